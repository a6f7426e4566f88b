"""Integers that reproduce a layer's float steps.

From int32 sum to int8 code a layer takes binary32 steps: descale, bias, activation, scale, round, clamp. Each of them
never falls as its operand grows, so per channel the code is a staircase of the sum. `find_steps` finds the sum at which
each code begins. `fit` then finds m, c and a shift with (sum * m + c) >> shift equal to the code everywhere, or at
least never above it and never more than one below, and then the steps themselves decide.

A leaky ReLU bends the line: below the sum where the float becomes positive another m and c hold. If its slope is
negative, the codes fall there as the sum grows, and the staircase is one of the negated sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

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
class Lower:
    """What holds below the bend: per channel the first sum above it, m and c, and steps of the sum times `turn`."""

    bend: Longs
    m: Longs
    c: Longs
    turn: Longs
    steps: Longs


@dataclass(frozen=True)
class Stairs:
    """The staircases of all channels, in codes: m, c, shift; exact for the channels that `fits` marks.

    For the others the integers give the code or one less, and the steps decide.

    `steps[channel, i]` is the smallest sum whose code is at least `low + 1 + i`; above the channel's bound
    where no sum has it.

    With a `lower` line, sums below its `bend` take its m, c and steps.
    """

    m: Longs
    c: Longs
    shift: int
    low: int
    high: int
    bounds: Longs
    fits: NDArray[np.bool_]
    steps: Longs
    lower: Lower | None = None

    @property
    def exact(self) -> bool:
        """Whether no channel needs its steps."""
        return bool(self.fits.all())

    def widened(self, channels: int) -> Stairs:
        """The same with channels behind that always have one code."""
        more = channels - self.m.size

        def zeros(values: Longs) -> Longs:
            return np.concatenate([values, np.zeros((more, *values.shape[1:]), values.dtype)])

        lower = self.lower
        if lower is not None:
            turn = np.concatenate([lower.turn, np.ones(more, np.int64)])
            lower = Lower(zeros(lower.bend), zeros(lower.m), zeros(lower.c), turn, zeros(lower.steps))
        fits = np.concatenate([self.fits, np.ones(more, np.bool_)])
        m, c, bounds, steps = zeros(self.m), zeros(self.c), zeros(self.bounds), zeros(self.steps)
        return replace(self, m=m, c=c, bounds=bounds, fits=fits, steps=steps, lower=lower)


def find_steps(chain: Chain, bounds: Longs, low: int, high: int) -> Longs:
    """For every channel and code from low + 1 to high the smallest sum that has this code or a larger one.

    A channel's sums lie within plus or minus its bound; where none has the code, the bound + 1 stands.
    """
    return _steps_between(chain, -bounds, bounds, np.arange(low + 1, high + 1))


def _steps_between(chain: Chain, first: Longs, last: Longs, codes: Longs) -> Longs:
    """The same for the sums from `first` to `last`."""
    below = np.tile(first[:, np.newaxis] - 1, codes.size)
    reached = np.tile(last[:, np.newaxis] + 1, codes.size)
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
    shift = _shift(float(slopes.max()))
    line = _fit_line(_Lines(steps, -bounds, bounds, np.arange(low + 1, high + 1), shift), slopes)
    return None if line is None else Stairs(line[0], line[1], shift, low, high, bounds, line[2], steps)


def fit_bent(
    chain: Chain,
    bend: Longs,
    slopes: NDArray[np.float64],
    lower_slopes: NDArray[np.float64],
    bounds: Longs,
    low: int,
    high: int,
) -> Stairs | None:
    """The same for a chain that never falls from the sum `bend` on, and below it rises or falls by `lower_slopes`."""
    shift, codes = _shift(max(float(slopes.max()), float(np.abs(lower_slopes).max()))), np.arange(low + 1, high + 1)
    first = np.maximum(bend, -bounds)
    steps = _steps_between(chain, first, bounds, codes)
    upper = _fit_line(_Lines(steps, first, bounds, codes, shift), slopes)
    turn = np.where(lower_slopes < 0, -1, 1)
    start, end = np.where(turn > 0, -bounds, 1 - bend), np.where(turn > 0, bend - 1, bounds)

    def turned(values: NDArray[np.float32]) -> NDArray[np.int8]:
        return chain(values * turn[:, np.newaxis].astype(np.float32))

    lower_steps = _steps_between(turned, start, end, codes)
    lower = _fit_line(_Lines(lower_steps, start, end, codes, shift), np.abs(lower_slopes))
    if upper is None or lower is None:
        return None
    below = Lower(bend, lower[0] * turn, lower[1], turn, lower_steps)
    return Stairs(upper[0], upper[1], shift, low, high, bounds, upper[2] & lower[2], steps, below)


def _shift(largest: float) -> int:
    """The shift that goes with multipliers for slopes up to the largest."""
    if largest <= 0:
        return LARGEST_SHIFT
    return int(np.clip(MULTIPLIER_BITS - np.ceil(np.log2(largest)) - 1, 1, LARGEST_SHIFT))


def _fit_line(lines: _Lines, slopes: NDArray[np.float64]) -> tuple[Longs, Longs, NDArray[np.bool_]] | None:
    """For every channel m, c, and whether they are exact; None where they are off by more than one."""
    m = lines.best(np.rint(slopes * float(lines.unit)).astype(np.int64))
    least, most = lines.limits(m)
    # Where no line fits, take the highest one that nowhere passes the staircase.
    c = np.where(least == NO_LOWER_LIMIT, np.where(most == NO_UPPER_LIMIT, 0, most), np.minimum(least, most))
    return (m, c, lines.exact(m)) if lines.near(m, c) else None


class _Lines:
    """Lines m, c and the steps that they should reproduce, per channel for sums from `first` to `last`."""

    def __init__(self, steps: Longs, first: Longs, last: Longs, codes: Longs, shift: int) -> None:
        self.codes, self.shift, self.unit = codes, np.int64(shift), np.int64(1) << np.int64(shift)
        first, last = first[:, np.newaxis], last[:, np.newaxis]
        self.reached, self.entered = (steps <= last) & (first <= last), (steps > first) & (first <= last)
        self.at, self.before = np.maximum(steps, first), np.minimum(steps - 1, last)

    def limits(self, m: Longs) -> tuple[Longs, Longs]:
        """The least c that reaches every step in time, and the largest that reaches none too early."""
        slope = m[:, np.newaxis]
        least = np.where(self.reached, self.codes * self.unit - self.at * slope, NO_LOWER_LIMIT)
        most = np.where(self.entered, self.codes * self.unit - 1 - self.before * slope, NO_UPPER_LIMIT)
        return least.max(axis=1), most.min(axis=1)

    def exact(self, m: Longs) -> NDArray[np.bool_]:
        """Whether one c does both."""
        least, most = self.limits(m)
        exact: NDArray[np.bool_] = least <= most
        return exact

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

    def near(self, m: Longs, c: Longs) -> bool:
        """Whether the line is at most one below the staircase."""
        guess = (self.at * m[:, np.newaxis] + c[:, np.newaxis]) >> self.shift
        return bool(np.where(self.reached, guess >= self.codes - 1, True).all())
