"""ncnn2int8: a float network and a calibration table become an int8 network."""
