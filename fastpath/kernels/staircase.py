"""Integers that reproduce a layer's float steps.

From int32 sum to int8 code a layer takes binary32 steps: descale, bias, activation, scale, round, clamp. Each of them
never falls as its operand grows, so per channel the code is a staircase of the sum. `find_steps` finds the sum at which
each code begins. `fit` then finds m, c and a shift with (sum * m + c) >> shift equal to the code everywhere, or at
least never above it and never more than one below, and then the steps themselves decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Longs = NDArray[np.int64]

Chain = Callable[[NDArray[np.float32]], NDArray[np.int8]]
"""The float steps of all channels: sums (channels, n) as whole float32 numbers to codes (channels, n)."""

MULTIPLIER_BITS = 31
"""m stays below 2 to this power, so that m times an int32 sum fits 63 bits."""

LARGEST_SHIFT = 54
"""Leaves room for a byte above the shift."""

NUDGES = np.arange(-6, 7)
"""Multipliers tried around the slope, in units of 2**-26 of it."""


@dataclass(frozen=True)
class Stairs:
    """The staircases of all channels, in codes: m, c, shift; exact, or right together with `steps`.

    `steps[channel, i]` is the smallest sum whose code is at least `low + 1 + i`; above `bound` where no sum has it.
    """

    m: Longs
    c: Longs
    shift: int
    low: int
    high: int
    bound: int
    exact: bool
    steps: Longs


def find_steps(chain: Chain, channels: int, bound: int, low: int, high: int) -> Longs:
    """For every code from low + 1 to high the smallest sum in [-bound, bound] that has it or more; else bound + 1."""
    codes = np.arange(low + 1, high + 1)
    below = np.full((channels, codes.size), -bound - 1, np.int64)
    reached = np.full((channels, codes.size), bound + 1, np.int64)
    while True:
        open_ = reached - below > 1
        if not open_.any():
            return reached
        middle = (below + reached) // 2
        enough = chain(middle.astype(np.float32)) >= codes
        reached = np.where(open_ & enough, middle, reached)
        below = np.where(open_ & ~enough, middle, below)


def fit(steps: Longs, bound: int, low: int, high: int) -> Stairs | None:
    """Multipliers for these steps; None where no straight line comes within one of the staircase."""
    codes = np.arange(low + 1, high + 1)
    slopes = _slopes(steps, bound)
    largest = float(slopes.max())
    shift = (
        LARGEST_SHIFT
        if largest <= 0
        else int(np.clip(MULTIPLIER_BITS - np.ceil(np.log2(largest)) - 1, 1, LARGEST_SHIFT))
    )
    unit = np.int64(1) << np.int64(shift)
    straight = np.rint(slopes * float(unit)).astype(np.int64)
    begins, ends = codes * unit, codes * unit - 1
    reachable, entered = steps <= bound, steps > -bound
    m = straight.copy()
    c = np.zeros_like(m)
    exact = np.zeros(m.shape, np.bool_)
    for nudge in NUDGES[np.argsort(np.abs(NUDGES))]:
        trial = np.maximum(straight + (straight >> 26) * nudge, 0)
        least = np.where(reachable, begins - steps * trial[:, np.newaxis], np.iinfo(np.int64).min).max(axis=1)
        most = np.where(entered, ends - (steps - 1) * trial[:, np.newaxis], np.iinfo(np.int64).max).min(axis=1)
        found = ~exact & (least <= most)
        m, c, exact = np.where(found, trial, m), np.where(found, _between(least, most), c), exact | found
    if exact.all():
        return Stairs(m, c, shift, low, high, bound, True, steps)
    # Take the highest line that nowhere passes the staircase, and see how far below it lies.
    most = np.where(entered, ends - (steps - 1) * m[:, np.newaxis], np.iinfo(np.int64).max).min(axis=1)
    c = np.where(exact, c, most)
    guess = (steps * m[:, np.newaxis] + c[:, np.newaxis]) >> np.int64(shift)
    near = np.where(reachable, guess >= codes - 1, True).all()
    return Stairs(m, c, shift, low, high, bound, False, steps) if near else None


def _slopes(steps: Longs, bound: int) -> NDArray[np.float64]:
    """Codes per sum, from the first to the last step of each channel that lies inside the bounds."""
    inside = (steps > -bound) & (steps <= bound)
    count = inside.sum(axis=1)
    first = np.where(inside, steps, np.iinfo(np.int64).max).min(axis=1)
    last = np.where(inside, steps, np.iinfo(np.int64).min).max(axis=1)
    several = (count > 1) & (last > first)
    run = np.where(several, last - first, 1)
    return np.where(several, (count - 1) / run, 0.0)


def _between(least: Longs, most: Longs) -> Longs:
    """A whole number from least to most, either of which may be without a limit."""
    return np.where(least == np.iinfo(np.int64).min, np.where(most == np.iinfo(np.int64).max, 0, most), least)
