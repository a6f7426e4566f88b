"""The integers that stand for float steps, tried on every sum that a layer can have."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastpath.kernels.halves import Halves, halve
from fastpath.kernels.staircase import Stairs, find_steps, fit, fit_bent
from fastpath.rounding import quantize

BOUND = 3000


def codes_by(stairs: Stairs, sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """The codes that the integers give for sums (channels, n)."""
    codes: NDArray[np.int64] = (sums * stairs.m[:, np.newaxis] + stairs.c[:, np.newaxis]) >> np.int64(stairs.shift)
    below = codes.clip(stairs.low, stairs.high - 1)
    next_step = np.take_along_axis(stairs.steps, below - stairs.low, axis=1)
    by_steps = below + (sums >= next_step)
    return np.where(stairs.fits[:, np.newaxis], codes.clip(stairs.low, stairs.high), by_steps)


@given(
    descale=st.lists(st.floats(2.0**-12, 0.25, width=32), min_size=1, max_size=4),
    bias=st.floats(-20, 20, width=32),
    scale=st.floats(0.25, 8, width=32),
    relu=st.booleans(),
)
def test_integers_equal_the_float_steps_for_every_sum(
    descale: list[float], bias: float, scale: float, relu: bool
) -> None:
    factors = np.array(descale, np.float32)[:, np.newaxis]

    def chain(sums: NDArray[np.float32]) -> NDArray[np.int8]:
        values = sums * factors + np.float32(bias)
        return quantize(np.maximum(values, np.float32(0)) if relu else values, np.float32(scale))

    sums = np.tile(np.arange(-BOUND, BOUND + 1), (len(descale), 1))
    expected = chain(sums.astype(np.float32))
    low, high = int(expected.min()), int(expected.max())
    if low == high:
        return
    bounds = np.full(len(descale), BOUND)
    steps = find_steps(chain, bounds, low, high)
    stairs = fit(steps, factors[:, 0].astype(np.float64) * scale, bounds, low, high)
    if stairs is None:
        # Only where codes leap: more than one step at a single sum.
        assert (np.diff(steps, axis=1) == 0).any()
        return
    assert np.array_equal(codes_by(stairs, sums), expected)


def bytes_by(halves: Halves, sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bytes that 32-bit integers give for sums (channels, n); no intermediate result may need more."""

    def fits(values: NDArray[np.int64]) -> NDArray[np.int64]:
        assert np.abs(values).max() < 2**31
        return values

    rows = [halves.floor, halves.width, halves.fine, halves.coarse, halves.offset]
    floor, width, fine, coarse, offset = (fits(row[:, np.newaxis]) for row in rows)
    way = fits(sums - floor).clip(0, width)
    total = fits(fits((fits(way * fine) >> np.int64(halves.fine_shift)) + fits(way * coarse)) + offset)
    return total >> np.int64(halves.coarse_shift)


@given(
    descale=st.lists(st.floats(2.0**-12, 0.25, width=32), min_size=1, max_size=4),
    bias=st.floats(-2000, 2000, width=32),
    scale=st.floats(0.25, 8, width=32),
    excess=st.integers(-(10**6), 10**6),
    signed=st.booleans(),
)
def test_halves_equal_the_staircase_for_every_sum(
    descale: list[float], bias: float, scale: float, excess: int, signed: bool
) -> None:
    factors = np.array(descale, np.float32)[:, np.newaxis]
    zero = 128 if signed else 0

    def chain(sums: NDArray[np.float32]) -> NDArray[np.int8]:
        values = sums * factors + np.float32(bias)
        return quantize(values if signed else np.maximum(values, np.float32(0)), np.float32(scale))

    sums = np.tile(np.arange(-BOUND, BOUND + 1), (len(descale), 1))
    expected = chain(sums.astype(np.float32))
    low, high = int(expected.min()), int(expected.max())
    if low == high:
        return
    bounds = np.full(len(descale), BOUND)
    steps = find_steps(chain, bounds, low, high)
    stairs = fit(steps, factors[:, 0].astype(np.float64) * scale, bounds, low, high)
    halves = None if stairs is None else halve(stairs, np.full(len(descale), excess), zero)
    if stairs is None or halves is None:
        return
    found = bytes_by(halves, sums + excess)
    assert np.array_equal(found[stairs.fits], expected[stairs.fits].astype(np.int64) + zero)
    assert found.min() >= low + zero and found.max() <= high + zero


def test_most_staircases_have_halves() -> None:
    """Spacings of 20 to 500 sums a code, as layers of trained networks have them."""
    spacings = np.linspace(20, 500, 64)
    factors = (1 / spacings).astype(np.float32)[:, np.newaxis]
    bounds = np.full(spacings.size, 10**6)

    def chain(sums: NDArray[np.float32]) -> NDArray[np.int8]:
        return quantize(np.maximum(sums * factors + np.float32(3), np.float32(0)), np.float32(1))

    stairs = fit(find_steps(chain, bounds, 0, 127), factors[:, 0].astype(np.float64), bounds, 0, 127)
    assert stairs is not None
    assert stairs.fits.mean() > 0.8
    assert halve(stairs, np.full(spacings.size, -60000), 0) is not None


def codes_by_bent(stairs: Stairs, sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same where the line has a bend."""
    assert stairs.lower is not None
    lower = stairs.lower
    below = sums < lower.bend[:, np.newaxis]
    m = np.where(below, lower.m[:, np.newaxis], stairs.m[:, np.newaxis])
    c = np.where(below, lower.c[:, np.newaxis], stairs.c[:, np.newaxis])
    codes: NDArray[np.int64] = (sums * m + c) >> np.int64(stairs.shift)
    guess = codes.clip(stairs.low, stairs.high - 1)
    upper_step = np.take_along_axis(stairs.steps, guess - stairs.low, axis=1)
    lower_step = np.take_along_axis(lower.steps, guess - stairs.low, axis=1)
    reached = np.where(below, sums * lower.turn[:, np.newaxis] >= lower_step, sums >= upper_step)
    return np.where(stairs.fits[:, np.newaxis], codes.clip(stairs.low, stairs.high), guess + reached)


@given(
    descale=st.lists(st.floats(2.0**-12, 0.25, width=32), min_size=1, max_size=4),
    bias=st.floats(-20, 20, width=32),
    scale=st.floats(0.25, 8, width=32),
    slope=st.floats(-2, 2, width=32),
)
def test_a_bent_line_equals_the_leaky_float_steps(
    descale: list[float], bias: float, scale: float, slope: float
) -> None:
    factors = np.array(descale, np.float32)[:, np.newaxis]

    def chain(sums: NDArray[np.float32]) -> NDArray[np.int8]:
        values = sums * factors + np.float32(bias)
        return quantize(np.where(values < 0, values * np.float32(slope), values), np.float32(scale))

    sums = np.tile(np.arange(-BOUND, BOUND + 1), (len(descale), 1))
    values = sums.astype(np.float32) * factors + np.float32(bias)
    bend = np.where((values > 0).any(axis=1), (values > 0).argmax(axis=1), 2 * BOUND + 1) - BOUND
    expected = chain(sums.astype(np.float32))
    low, high = int(expected.min()), int(expected.max())
    if low == high:
        return
    slopes = factors[:, 0].astype(np.float64) * scale
    bounds = np.full(len(descale), BOUND)
    stairs = fit_bent(chain, bend, slopes, slopes * np.float32(slope), bounds, low, high)
    if stairs is None:
        # Only where codes leap: more than one step at a single sum.
        assert (np.abs(np.diff(expected, axis=1).astype(int)) > 1).any()
        return
    assert np.array_equal(codes_by_bent(stairs, sums), expected)


def test_steps_of_a_known_staircase() -> None:
    """code = sum / 10, halves away from zero: code 1 begins at 5, code 2 at 15, code 0 at -4."""

    def chain(sums: NDArray[np.float32]) -> NDArray[np.int8]:
        return quantize(sums, np.float32(0.1))

    steps = find_steps(chain, np.array([29]), -2, 3)
    assert steps.tolist() == [[-14, -4, 5, 15, 25]]
    assert find_steps(chain, np.array([20]), 0, 3).tolist() == [[5, 15, 21]]
