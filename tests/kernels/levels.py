"""The levels of kernels that this installation and this CPU can run; interpreted ones always."""

from __future__ import annotations

import pytest

from fastpath.cpu_level import INTERPRETED, runnable
from fastpath.kernels import BUILT, Kernels, kernels

RUNNABLE = [INTERPRETED, *(name for name in BUILT if runnable(name))]

COMPILED_LEVELS = RUNNABLE[1:]


def every_level() -> pytest.MarkDecorator:
    """Run a test once for every level."""
    return pytest.mark.parametrize("level", RUNNABLE)


def require_compiled() -> None:
    """Skip a test where nothing is compiled."""
    if not COMPILED_LEVELS:
        pytest.skip("the kernels of this installation are not compiled")


def kernels_of(level: str) -> Kernels:
    """The kernels of a level."""
    return kernels(level)
