"""Vectors with provenance."""
