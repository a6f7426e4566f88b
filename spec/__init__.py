"""The law: every file format, calibration method, optimizer rule and int8 layer of ncnn, in plain Python.

Standard library only, one concept a module, written to be read. `fastpath` does the same at the speed of C++.
"""
