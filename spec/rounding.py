"""From float to int8, and the scales that are computed while a network runs."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from operator import mul

from spec.binary32 import REFERENCE, Profile, f32

INT8_MAX = 127
"""Codes lie in [-127, 127]; -128 is never produced."""

MAX_TERMS = (2**31 - 1) // 2**14
"""So many products of two int8 codes always fit the int32 accumulator: 131071 times (-128) * (-128)."""


def quantize(value: float, scale: float, profile: Profile = REFERENCE) -> int:
    """The int8 code of a binary32 `value`: `float_to_int8(f32(value * scale))`."""
    return float_to_int8(f32(value * scale), profile)


def float_to_int8(value: float, profile: Profile = REFERENCE) -> int:
    """Round to the nearest integer, halves away from zero, and clamp to [-127, 127].

    Follows: ncnn src/layer/quantize.cpp (float2int8) @ a4d2ea1d.
    Unspecified: NaN raises ValueError; infinities saturate. (x86 builds return -127 for NaN, both infinities and
    everything from 2**31 up.)

    >>> [float_to_int8(v) for v in (0.49999997, 0.5, -0.5, 2.5, -2.5, 126.5, -200.0)]
    [0, 1, -1, 3, -3, 127, -127]
    """
    if math.isnan(value):
        raise ValueError("NaN has no int8 code")
    if value >= INT8_MAX:
        return INT8_MAX
    if value <= -INT8_MAX:
        return -INT8_MAX
    if profile.vector_rounding:
        return math.trunc(f32(value + math.copysign(0.5, value)))
    return math.floor(value + 0.5) if value >= 0.0 else -math.floor(0.5 - value)


def absmax(values: Iterable[float]) -> float:
    """The largest magnitude, starting from 0.

    >>> absmax([1.0, -3.0, 2.0]), absmax([])
    (3.0, 0.0)
    """
    return max(map(abs, values), default=0.0)


def dynamic_scale(largest: float) -> float:
    """The scale computed at run time for values of magnitude up to `largest`: 127 / largest, or 1 for all zeros.

    Unspecified: below 3.7e-37 the quotient overflows and the scale is infinite.

    >>> dynamic_scale(2.0), dynamic_scale(0.0), dynamic_scale(1e-38)
    (63.5, 1.0, inf)
    """
    return f32(INT8_MAX / largest) if largest > 0.0 else 1.0


def quantize_all(values: Sequence[float], scale: float, profile: Profile = REFERENCE) -> list[int]:
    """The int8 codes of many binary32 values under one scale.

    An infinite scale means that the values were too small for a dynamic scale. Their codes are 0, as their descale
    1 / infinity is 0 and they contribute nothing.

    Unspecified: raises ValueError for NaN and infinities. (x86 builds skip NaN when they look for the maximum and give
    all of them the code -127.)

    >>> quantize_all([0.5, -1.0, 0.25], 127.0)
    [64, -127, 32]
    """
    if not all(map(math.isfinite, values)):
        raise ValueError("NaN and infinities have no int8 codes")
    if math.isinf(scale):
        return [0] * len(values)
    return [float_to_int8(value, profile) for value in array("f", [value * scale for value in values])]


def dot(codes: Sequence[int], weights: Sequence[int]) -> int:
    """The exact sum of products of int8 codes: what the int32 accumulator holds.

    >>> dot([1, -2, 3], [10, 10, 127])
    371
    """
    return sum(map(mul, codes, weights))
