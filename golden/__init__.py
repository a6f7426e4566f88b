"""Vectors with provenance: what the real tools and the real runtime gave, and what was worked out by hand."""
