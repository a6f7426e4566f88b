"""From float to int8, and the scales that are computed while a network runs."""

from __future__ import annotations

import math
from collections.abc import Iterable

from spec.binary32 import REFERENCE, Profile, f32

INT8_MAX = 127
"""Codes lie in [-127, 127]; -128 is never produced."""

ACCUMULATOR_MAX = 2**31 - 1
"""The largest sum of int8 products that an int32 accumulator holds."""


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
    """The scale computed at run time for values of magnitude up to `largest`: 127 / largest, or 1 for all zeros."""
    return f32(127.0 / largest) if largest > 0.0 else 1.0


def check_accumulator(total: int) -> int:
    """Return the exact sum of int8 products, or raise OverflowError where an int32 accumulator would wrap."""
    if not -ACCUMULATOR_MAX - 1 <= total <= ACCUMULATOR_MAX:
        raise OverflowError(f"the sum {total} does not fit the int32 accumulator")
    return total
