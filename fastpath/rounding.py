"""From float to int8, and the scales that are computed while a network runs.

Rounding is half away from zero, clamped to [-127, 127]. It is exact for every binary32 number: adding the largest
number below a half, with the sign of the value, and truncating never crosses an integer that it should not.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastpath.layers.common import Floats

INT8_MAX = np.float32(127)
"""Codes lie in [-127, 127]; -128 is never produced."""

BELOW_HALF = np.float32(0.49999997)
"""The largest binary32 number below 0.5."""

BLOCK = 32768
"""Elements that a chain of elementwise steps handles at a time, so that they stay in cache."""

_SIGN_BIT = np.int32(-(2**31))
_BELOW_HALF_BITS = BELOW_HALF.view(np.int32)


def finite(values: Floats) -> bool:
    """Whether no value is NaN or infinite."""
    flat = values.reshape(-1)
    return bool(np.isfinite(np.dot(flat, flat)) or np.isfinite(flat).all())


def round_in_place(values: Floats, signs: NDArray[np.int32] | None) -> None:
    """Prepare scaled values for truncation: afterwards `values.astype(int8)` is half-away rounding.

    `signs` is scratch space of the same shape; None promises that no value is below 0.
    """
    np.clip(values, -INT8_MAX, INT8_MAX, out=values)
    if signs is None:
        np.add(values, BELOW_HALF, out=values)
        return
    np.bitwise_and(values.view(np.int32), _SIGN_BIT, out=signs)
    np.bitwise_or(signs, _BELOW_HALF_BITS, out=signs)
    np.add(values, signs.view(np.float32), out=values)


def float_to_int8(values: Floats) -> NDArray[np.int8]:
    """Round to the nearest integers, halves away from zero, and clamp; NaN is the caller's to refuse.

    >>> float_to_int8(np.array([0.49999997, 0.5, -0.5, 2.5, -2.5, 126.5, -200.0], np.float32)).tolist()
    [0, 1, -1, 3, -3, 127, -127]
    """
    return quantize(values, np.float32(1))


def quantize(values: Floats, scale: Floats | np.float32) -> NDArray[np.int8]:
    """The int8 codes of `values * scale`, the product rounded to binary32 first."""
    scaled = np.multiply(values, scale, dtype=np.float32)
    round_in_place(scaled, np.empty(scaled.shape, np.int32))
    return scaled.astype(np.int8)


def scaled(source: Floats, scale: np.float32, out: Floats, signs: NDArray[np.int32]) -> None:
    """`source * scale` into `out`, so that truncation gives the codes; the arrays are one block of one shape.

    ValueError for NaN and infinities.
    """
    low, high = source.min(), source.max()
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("NaN and infinities have no int8 codes")
    np.multiply(source, scale, out=out)
    if scale > 0 and low >= 0:
        if high * scale > INT8_MAX:
            np.minimum(out, INT8_MAX, out=out)
        np.add(out, BELOW_HALF, out=out)
    else:
        round_in_place(out, signs)


def quantize_to_floats(values: Floats, scale: np.float32, out: Floats) -> None:
    """The codes of `values * scale` as whole float32 numbers, into `out`, a contiguous array of as many elements.

    ValueError for NaN and infinities.
    """
    source, target = values.reshape(-1), out.reshape(-1)
    signs = np.empty(min(BLOCK, source.size), np.int32)
    for start in range(0, source.size, BLOCK):
        values, block = source[start : start + BLOCK], target[start : start + BLOCK]
        scaled(values, scale, block, signs[: block.size])
        np.trunc(block, out=block)


def absmax(values: Floats) -> np.float32:
    """The largest magnitude, starting from 0."""
    return np.float32(max(values.max(initial=0.0), -values.min(initial=0.0)))


def dynamic_scale(largest: np.float32) -> np.float32:
    """The scale computed at run time for values of magnitude up to `largest`: 127 / largest, or 1 for all zeros."""
    return np.float32(INT8_MAX / largest) if largest > 0 else np.float32(1)
