"""The compiled kernels, at the level that fits this CPU.

A plan takes its kernels from two levels at once, `narrow` and `wide`: vectors of 256 bits win where sums are short,
vectors of 512 bits where they are long. Elsewhere the two are the same. NCNN_ASSAY_LEVEL names one level to use for
both; `interpreted` switches the compiled kernels off.
"""

from __future__ import annotations

import importlib.util
import os

from fastpath.cpu_level import INTERPRETED, NEEDS, runnable
from spec.errors import UsageError


def _is_built(name: str) -> bool:
    package = f"{__name__}.{name}"
    return (
        importlib.util.find_spec(package) is not None
        and importlib.util.find_spec(f"{package}.group__mypyc") is not None
    )


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
