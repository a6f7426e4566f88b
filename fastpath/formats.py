"""The vectorised part of the weight formats."""

from __future__ import annotations

from array import array

import numpy as np


def narrow_float16(values: array[float]) -> array[int]:
    """binary32 to binary16 bit patterns: to nearest, halves to even, overflow to infinity; as the spec's, bit for bit."""
    with np.errstate(over="ignore"):
        halves = np.frombuffer(values, np.float32).astype(np.float16)
    return array("H", halves.tobytes())
