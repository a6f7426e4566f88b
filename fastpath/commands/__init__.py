"""The commands: ncnnoptimize, ncnn2table, ncnn2int8 and ncnn-assay."""
