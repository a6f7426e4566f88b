"""The vectorised part of the weight formats."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np

from spec.formats.weights import narrow_as_x86


def narrow_float16(values: array[float]) -> array[int]:
    """binary32 to binary16 bit patterns, to nearest, halves to even, overflow to infinity: the spec's bits."""
    with np.errstate(over="ignore"):
        halves = np.frombuffer(values, np.float32).astype(np.float16)
    return array("H", halves.tobytes())


def narrow_float16_as_x86(values: array[float]) -> array[int]:
    """As the real tools do on x86: to nearest in complete groups of four, the rest truncated."""
    whole = len(values) - len(values) % 4
    return narrow_float16(values[:whole]) + narrow_as_x86(values[whole:])


def narrowing(*, upstream: bool) -> Callable[[array[float]], array[int]]:
    """How to store binary16: exactly as the real tools with `upstream`, to nearest throughout otherwise."""
    return narrow_float16_as_x86 if upstream else narrow_float16
