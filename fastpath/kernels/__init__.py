"""The compiled kernels, at the level that fits this CPU.

A plan takes its kernels from two levels at once, `narrow()` and `wide()`: vectors of 256 bits win where sums are short,
vectors of 512 bits where they are long. Elsewhere the two are the same. NCNN_ASSAY_LEVEL names one level to use for
both; `interpreted` switches the compiled kernels off.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from functools import cache
from typing import TYPE_CHECKING

from fastpath.cpu_level import INTERPRETED, NEEDS, runnable
from spec.errors import UsageError

NARROW_TWIN = {"vnni512": "vnni256"}
"""For levels of 512-bit vectors, the level of 256-bit vectors that goes with them."""

MODULES = (
    "activations", "cells", "chains", "counting", "dense", "depthwise", "dot", "encode", "functions", "lanes", "lrn",
    "move", "planes", "pooling", "records", "recurrent", "requantize", "search", "short", "similarity", "taps",
)  # fmt: skip
"""The modules of a level."""


class Kernels:
    """The modules of one level: those of `fastpath.kernels.source`, compiled or (for tests) interpreted."""

    if TYPE_CHECKING:
        from fastpath.kernels.source import (
            activations,
            cells,
            chains,
            counting,
            dense,
            depthwise,
            dot,
            encode,
            functions,
            lanes,
            lrn,
            move,
            planes,
            pooling,
            records,
            recurrent,
            requantize,
            search,
            short,
            similarity,
            taps,
        )

    def __init__(self, name: str) -> None:
        self.name = name
        package = f"{__name__}.{'source' if name == INTERPRETED else name}"
        modules = {module: importlib.import_module(f"{package}.{module}") for module in MODULES}
        self.__dict__.update(modules)

    @property
    def shifts_lanes(self) -> bool:
        """Whether vectors can be shifted by another number of bits in each lane here."""
        return self.name != "base"

    @property
    def multiplies_bytes(self) -> bool:
        """Whether dense weights are bytes here; else they are 16-bit words."""
        return "vnni" in self.name


def _is_built(name: str) -> bool:
    package = f"{__name__}.{name}"
    return importlib.util.find_spec(package) is not None and importlib.util.find_spec(f"{package}.dense") is not None


BUILT = tuple(name for name in NEEDS if _is_built(name))
"""The levels that this installation holds, the best first."""


def _choose() -> str:
    asked = os.environ.get("NCNN_ASSAY_LEVEL", "")
    if asked == INTERPRETED:
        return INTERPRETED
    if asked:
        if asked not in BUILT or not runnable(asked):
            expected = ", ".join([name for name in BUILT if runnable(name)] + [INTERPRETED])
            raise UsageError(f"NCNN_ASSAY_LEVEL={asked}: this installation runs {expected}")
        return asked
    return next((name for name in BUILT if runnable(name)), INTERPRETED)


_LEVEL = _choose()

COMPILED = _LEVEL != INTERPRETED
"""Whether compiled kernels are in use."""


def level() -> str:
    """The level in use: one of `fastpath.cpu_level.NEEDS`, or `interpreted`."""
    return _LEVEL


@cache
def kernels(name: str) -> Kernels:
    """The kernels of one level."""
    return Kernels(name)


def wide() -> Kernels:
    """The kernels for long sums."""
    return kernels(_LEVEL)


def narrow() -> Kernels:
    """The kernels for short sums."""
    twin = NARROW_TWIN.get(_LEVEL, _LEVEL)
    return kernels(twin if twin in BUILT and "NCNN_ASSAY_LEVEL" not in os.environ else _LEVEL)
