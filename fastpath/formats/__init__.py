"""The vectorised parts of `spec.formats`, under the same names and equal to them bit for bit."""
