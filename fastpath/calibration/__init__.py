"""Calibration by numpy: the modules of `spec.calibration` under the same names, equal to them bit for bit."""
