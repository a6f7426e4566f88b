"""binary32 against exact fractions and against numpy's own binary32 operations."""

from __future__ import annotations

import math
import operator
import struct
from array import array
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spec.binary32 import FLT_MAX, REFERENCE, X86, add_products, f32, f32_array, fma, multiply_add

numbers = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)


def nearest(exact: Fraction) -> float:
    """The binary32 number nearest to a fraction, halves to even, by integer arithmetic alone."""
    if exact == 0:
        return 0.0
    magnitude = abs(exact)
    exponent = max(math.frexp(magnitude)[1] if magnitude < 1 else magnitude.__floor__().bit_length(), -125)
    while magnitude >= Fraction(2) ** exponent:
        exponent += 1
    while exponent > -125 and magnitude < Fraction(2) ** (exponent - 1):
        exponent -= 1
    unit = Fraction(2) ** (exponent - 24)
    rounded = round(magnitude / unit) * unit
    value = math.inf if rounded >= Fraction(2) ** 128 else float(rounded)
    return value if exact > 0 else -value


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(2.0**-150)
@example(FLT_MAX + 2.0**102)
@example(FLT_MAX + 2.0**103)
def test_f32_rounds_to_the_nearest(value: float) -> None:
    assert f32(value) == nearest(Fraction(value))


@given(numbers, numbers)
@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul, operator.truediv])
def test_one_operation_and_one_rounding_is_the_binary32_operation(
    operation: Callable[[Any, Any], Any], a: float, b: float
) -> None:
    if operation is operator.truediv and b == 0.0:
        return
    with np.errstate(all="ignore"):
        expected = float(operation(np.float32(a), np.float32(b)))
    got = f32(operation(a, b))
    assert struct.pack("<f", got) == struct.pack("<f", expected)


@given(st.floats(min_value=0.0, width=32, allow_infinity=False))
def test_square_root_needs_no_more_care(value: float) -> None:
    assert f32(math.sqrt(value)) == float(np.sqrt(np.float32(value)))


@given(numbers, numbers, numbers)
@example(3.0, f32(1.0 / 3.0), -1.0)
@example(1.0 + 2.0**-23, 1.0 - 2.0**-23, -1.0)
@example(1.0 + 2.0**-12, 1.0 + 2.0**-12, 2.0**-80)
@example(1.0 + 2.0**-12, 1.0 + 2.0**-12, -(2.0**-80))
@example(2.0**-100, 2.0**-49, 2.0**-149)
@example(FLT_MAX, 1.0, FLT_MAX)
def test_fma_rounds_once(a: float, b: float, c: float) -> None:
    assert fma(a, b, c) == nearest(Fraction(a) * Fraction(b) + Fraction(c))


@given(st.integers(2**23, 2**24 - 1), st.integers(2**23, 2**24 - 1), st.integers(-60, -20), st.booleans())
def test_fma_near_ties(a: int, b: int, exponent: int, negative: bool) -> None:
    """The addend moves a product of 48 bits by less than its last bit: where rounding twice goes wrong."""
    c = -math.ldexp(1.0, exponent) if negative else math.ldexp(1.0, exponent)
    assert fma(float(a), float(b), c) == nearest(Fraction(a) * Fraction(b) + Fraction(c))


def test_fma_is_not_two_operations() -> None:
    third = f32(1.0 / 3.0)
    assert multiply_add(3.0, third, -1.0, REFERENCE) == 0.0
    assert multiply_add(3.0, third, -1.0, X86) == 2.0**-25


def test_beyond_the_range_lies_infinity() -> None:
    assert f32(1e39) == math.inf
    assert f32_array([-1e39])[0] == -math.inf
    assert fma(FLT_MAX, 2.0, 0.0) == math.inf
    assert math.isnan(fma(math.inf, 0.0, 1.0))


@given(st.lists(numbers, min_size=1, max_size=8), numbers)
def test_adding_products_rounds_each_product_first(totals: list[float], factor: float) -> None:
    factors = totals[::-1]
    got = add_products(array("f", totals), factors, factor)
    expected = [f32(total + f32(value * factor)) for total, value in zip(totals, factors, strict=True)]
    assert struct.pack(f"{len(expected)}f", *got) == struct.pack(f"{len(expected)}f", *expected)
