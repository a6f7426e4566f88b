"""The levels of kernels: those that this installation and this CPU can run, and why the others are not run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fastpath import kernels
from fastpath.cpu_level import INTERPRETED, NEEDS, cpu_features
from fastpath.kernels import BUILT, Kernels

LEVELS = (INTERPRETED, *NEEDS)
"""All of them."""


def why_not(level: str) -> str:
    """What keeps a level from being run here; empty for one that can."""
    if level == INTERPRETED:
        return ""
    missing = sorted(NEEDS[level] - cpu_features())
    if missing:
        return f"this CPU lacks {', '.join(missing)}"
    return "" if level in BUILT else "this installation does not hold it"


RUNNABLE = tuple(level for level in LEVELS if not why_not(level))

COMPILED_LEVELS = RUNNABLE[1:]


def summary() -> str:
    """Which levels are run, and why the others are not."""
    others = [f"{level} ({why_not(level)})" for level in LEVELS if level not in RUNNABLE]
    return f"kernel levels run: {', '.join(RUNNABLE)}; not run: {', '.join(others) or 'none'}"


def _parameters(levels: tuple[str, ...]) -> pytest.MarkDecorator:
    skips = {level: pytest.mark.skip(reason=f"level {level} is not run: {why_not(level)}") for level in levels}
    parameters = [pytest.param(level, marks=() if level in RUNNABLE else skips[level]) for level in levels]
    return pytest.mark.parametrize("level", parameters)


def every_level() -> pytest.MarkDecorator:
    """Run a test once for every level; those that cannot run are skipped with the reason."""
    return _parameters(LEVELS)


def every_compiled_level() -> pytest.MarkDecorator:
    """Run a test once for every level but the interpreted kernels."""
    return _parameters(LEVELS[1:])


def require_compiled() -> None:
    """Skip a test where nothing is compiled."""
    if not COMPILED_LEVELS:
        pytest.skip("the kernels of this installation are not compiled")


def kernels_of(level: str) -> Kernels:
    """The kernels of a level."""
    return kernels.kernels(level)


@contextmanager
def forced(level: str) -> Iterator[None]:
    """Everything that is loaded inside uses the kernels of this level; numpy alone if they are interpreted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NCNN_ASSAY_LEVEL", level)
        patch.setattr(kernels, "_LEVEL", level)
        patch.setattr(kernels, "COMPILED", level != INTERPRETED)
        yield
