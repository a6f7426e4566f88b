"""How hypothesis draws: HYPOTHESIS_PROFILE chooses dev (the default), ci or nightly. And what a run says at its end."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests.kernels.levels import summary

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("nightly", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which levels of kernels were run, and why the others were not."""
    terminalreporter.write_line(summary())
