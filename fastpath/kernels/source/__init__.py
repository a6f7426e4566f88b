"""The kernels as they are written. Each compiled level is a package beside this one with the same modules."""
