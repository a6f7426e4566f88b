"""Suites that any implementation can run."""
