"""From float to int8: ties, the clamp, and scales."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spec.binary32 import FLT_MAX, REFERENCE, X86, f32
from spec.rounding import MAX_TERMS, absmax, dot, dynamic_scale, float_to_int8, quantize, quantize_all

numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
codes = st.integers(-127, 127)
BELOW_HALF = math.nextafter(0.5, 0.0)
LARGEST_BINARY32_BELOW_HALF = 0.5 - 2.0**-25


def half_away(value: float) -> int:
    """Round by fractions, then clamp."""
    exact = abs(Fraction(value)) + Fraction(1, 2)
    return max(-127, min(127, math.floor(exact) if value > 0 else -math.floor(exact)))


@given(numbers)
@example(LARGEST_BINARY32_BELOW_HALF)
@example(-LARGEST_BINARY32_BELOW_HALF)
@example(FLT_MAX)
@example(2.0**31)
def test_the_nearest_integer_halves_away_from_zero(value: float) -> None:
    assert float_to_int8(value) == half_away(value)


@given(st.integers(0, 126), st.sampled_from([-1, 0, 1]), st.sampled_from([1.0, -1.0]))
def test_at_the_tie_and_one_step_beside_it(whole: int, steps: int, sign: float) -> None:
    tie = whole + 0.5
    step = 2.0 ** (math.frexp(tie)[1] - 24) if steps > 0 or tie != 0.5 else 2.0**-25
    value = f32(tie + steps * step)
    assert (value > tie) - (value < tie) == steps
    assert float_to_int8(sign * value) == sign * (whole if steps < 0 else whole + 1)


@given(numbers, numbers)
def test_monotone(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert float_to_int8(low) <= float_to_int8(high)


@given(numbers)
def test_odd(value: float) -> None:
    assert float_to_int8(-value) == -float_to_int8(value)


@given(numbers)
@example(BELOW_HALF)
def test_vector_rounding_differs_at_one_magnitude_only(value: float) -> None:
    value = f32(value)
    if abs(value) == LARGEST_BINARY32_BELOW_HALF:
        assert float_to_int8(value, X86) == math.copysign(1, value)
    else:
        assert float_to_int8(value, X86) == float_to_int8(value)


def test_vector_rounding_of_the_largest_number_below_half() -> None:
    assert float_to_int8(LARGEST_BINARY32_BELOW_HALF, REFERENCE) == 0
    assert float_to_int8(LARGEST_BINARY32_BELOW_HALF, X86) == 1
    assert float_to_int8(-LARGEST_BINARY32_BELOW_HALF, X86) == -1


def test_minus_128_is_never_produced() -> None:
    assert [float_to_int8(value) for value in (-127.5, -128.0, -1e30, -math.inf, math.inf)] == [-127] * 4 + [127]


def test_nan_has_no_code() -> None:
    with pytest.raises(ValueError, match="NaN"):
        float_to_int8(math.nan)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_quantizing_refuses_what_is_not_finite(value: float) -> None:
    with pytest.raises(ValueError, match="no int8 codes"):
        quantize_all([0.0, value], 1.0)


@given(st.lists(numbers, max_size=8), st.floats(2.0**-20, 2.0**20, width=32))
def test_many_values_are_quantized_like_each(values: list[float], scale: float) -> None:
    assert quantize_all(values, scale) == [quantize(value, scale) for value in values]


@given(codes, st.floats(2.0**-10, 2.0**10, width=32))
def test_a_code_survives_the_way_to_float_and_back(code: int, scale: float) -> None:
    assert quantize(f32(code / scale), scale) == code


@given(st.lists(st.floats(-1.0, 1.0, width=32), max_size=8), st.floats(2.0**-119, 2.0**119, width=32))
def test_a_dynamic_scale_takes_the_largest_to_127(parts: list[float], largest: float) -> None:
    values = [largest, *(f32(part * largest) for part in parts)]
    found = quantize_all(values, dynamic_scale(absmax(values)))
    assert found[0] == max(map(abs, found)) == 127


def test_zeros_and_nothing_have_scale_one() -> None:
    assert dynamic_scale(absmax([])) == dynamic_scale(absmax([0.0, -0.0])) == 1.0


def test_what_is_too_small_for_a_scale_counts_as_zero() -> None:
    assert dynamic_scale(1e-38) == math.inf
    assert quantize_all([1e-38, -1e-38], math.inf) == [0, 0]


@given(st.lists(st.tuples(st.integers(-128, 127), st.integers(-128, 127)), max_size=20))
def test_sums_are_exact(pairs: list[tuple[int, int]]) -> None:
    total = 0
    for a, b in pairs:
        total += a * b
    assert dot([a for a, _ in pairs], [b for _, b in pairs]) == total


def test_the_longest_sum_fits_an_int32() -> None:
    assert MAX_TERMS * 128 * 128 <= 2**31 - 1 < (MAX_TERMS + 1) * 128 * 128
