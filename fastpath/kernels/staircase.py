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

SEARCH_BITS = 18
"""Multipliers are searched within a 2**-18 part of the slope."""

NO_LOWER_LIMIT = np.iinfo(np.int64).min
NO_UPPER_LIMIT = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Stairs:
    """The staircases of all channels, in codes: m, c, shift; exact for the channels that `fits` marks.

    For the others the integers give the code or one less, and the steps decide.

    `steps[channel, i]` is the smallest sum whose code is at least `low + 1 + i`; above the channel's bound
    where no sum has it.
    """

    m: Longs
    c: Longs
    shift: int
    low: int
    high: int
    bounds: Longs
    fits: NDArray[np.bool_]
    steps: Longs

    @property
    def exact(self) -> bool:
        """Whether no channel needs its steps."""
        return bool(self.fits.all())


def find_steps(chain: Chain, bounds: Longs, low: int, high: int) -> Longs:
    """For every channel and code from low + 1 to high the smallest sum that has this code or a larger one.

    A channel's sums lie within plus or minus its bound; where none has the code, the bound + 1 stands.
    """
    codes = np.arange(low + 1, high + 1)
    below = np.tile(-bounds[:, np.newaxis] - 1, codes.size)
    reached = np.tile(bounds[:, np.newaxis] + 1, codes.size)
    while True:
        open_ = reached - below > 1
        if not open_.any():
            return reached
        middle = (below + reached) // 2
        enough = chain(middle.astype(np.float32)) >= codes
        reached = np.where(open_ & enough, middle, reached)
        below = np.where(open_ & ~enough, middle, below)


def fit(steps: Longs, slopes: NDArray[np.float64], bounds: Longs, low: int, high: int) -> Stairs | None:
    """Multipliers near these slopes (codes per sum); None where no straight line comes within one of the staircase."""
    largest = float(slopes.max())
    shift = LARGEST_SHIFT
    if largest > 0:
        shift = int(np.clip(MULTIPLIER_BITS - np.ceil(np.log2(largest)) - 1, 1, LARGEST_SHIFT))
    unit = np.int64(1) << np.int64(shift)
    lines = _Lines(steps, bounds, np.arange(low + 1, high + 1), unit)
    m = lines.best(np.rint(slopes * float(unit)).astype(np.int64))
    least, most = lines.limits(m)
    fits = least <= most
    # Where no line fits, take the highest one that nowhere passes the staircase.
    c = np.where(least == NO_LOWER_LIMIT, np.where(most == NO_UPPER_LIMIT, 0, most), np.minimum(least, most))
    if not lines.near(m, c, shift):
        return None
    return Stairs(m, c, shift, low, high, bounds, fits, steps)


class _Lines:
    """Lines m, c and the steps that they should reproduce."""

    def __init__(self, steps: Longs, bounds: Longs, codes: Longs, unit: np.int64) -> None:
        self.steps, self.codes, self.unit = steps, codes, unit
        self.reached, self.entered = steps <= bounds[:, np.newaxis], steps > -bounds[:, np.newaxis]

    def limits(self, m: Longs) -> tuple[Longs, Longs]:
        """The least c that reaches every step in time, and the largest that reaches none too early."""
        slope = m[:, np.newaxis]
        least = np.where(self.reached, self.codes * self.unit - self.steps * slope, NO_LOWER_LIMIT)
        most = np.where(self.entered, self.codes * self.unit - 1 - (self.steps - 1) * slope, NO_UPPER_LIMIT)
        return least.max(axis=1), most.min(axis=1)

    def best(self, m: Longs) -> Longs:
        """Multipliers near m that leave most room for c. The room is a concave function of m, so a search finds it."""
        least, most = self.limits(m)
        wrong = least > most
        low, high = np.where(wrong, m - (m >> SEARCH_BITS), m), np.where(wrong, m + (m >> SEARCH_BITS), m)
        while (high - low > 2).any():
            third = (high - low) // 3
            left, right = low + third, high - third
            rises = self._room(left) < self._room(right)
            low, high = np.where(rises & (third > 0), left, low), np.where(rises | (third == 0), high, right)
        middle: Longs = low + (high - low) // 2
        return middle

    def _room(self, m: Longs) -> Longs:
        least, most = self.limits(m)
        room: Longs = np.where((least == NO_LOWER_LIMIT) | (most == NO_UPPER_LIMIT), 0, most - least)
        return room

    def near(self, m: Longs, c: Longs, shift: int) -> bool:
        """Whether the line is at most one below the staircase."""
        guess = (self.steps * m[:, np.newaxis] + c[:, np.newaxis]) >> np.int64(shift)
        return bool(np.where(self.reached, guess >= self.codes - 1, True).all())
