"""The integers that stand for float steps, tried on every sum that a layer can have."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastpath.kernels.staircase import Stairs, find_steps, fit
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


def test_steps_of_a_known_staircase() -> None:
    """code = sum / 10, halves away from zero: code 1 begins at 5, code 2 at 15, code 0 at -4."""

    def chain(sums: NDArray[np.float32]) -> NDArray[np.int8]:
        return quantize(sums, np.float32(0.1))

    steps = find_steps(chain, np.array([29]), -2, 3)
    assert steps.tolist() == [[-14, -4, 5, 15, 25]]
    assert find_steps(chain, np.array([20]), 0, 3).tolist() == [[5, 15, 21]]
