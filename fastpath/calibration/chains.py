"""Sums in binary32, one term after the other, of many sequences that end in the same terms.

While a sum stays between two powers of two, all its values are multiples of one unit. Adding a term then means adding
the term rounded to whole units, whatever the sum is; only where a term lies half-way between two multiples does the
result depend on the sum, which becomes even. So what a run of terms adds to any sum between two powers of two is one of
two whole numbers, for an even and an odd beginning, and is computed once. Where a sum could leave its powers of two,
the terms are added one by one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastpath.calibration.statistics import Floats
from fastpath.layers.common import Scratch

SIDE_BY_SIDE = 16
"""From so many sequences on, numpy's reduction along the outer axis is used: it adds row after row."""

LONGEST_RUN = 1024
SHORTEST_RUN = 256
"""About how many terms make a run; a part of a run is added one by one."""

SMALLEST_EXPONENT = -125
"""What `frexp` says of the smallest normal number; below it units are no longer relative."""

ZERO = np.float32(0)

_SCRATCH = Scratch()

_UNITS = 2.0**23  # a normal number is at least so many units, and less than twice as many
_OFFSET = 1000  # makes exponents positive


def added(sums: Floats, terms: Floats) -> Floats:
    """Each of `sums` with its column of `terms` (n, sums) added to it, one after the other."""
    rows = _SCRATCH.array("rows", (len(terms) + 1, len(sums)))
    rows[0] = sums
    rows[1:] = terms
    return last_sums(rows)


def last_sums(rows: Floats) -> Floats:
    """The sums of the columns of `rows`, row after row."""
    if rows.shape[1] >= SIDE_BY_SIDE:
        return np.asarray(np.add.reduce(rows, axis=0))
    return np.asarray(np.add.accumulate(rows, axis=0, dtype=np.float32)[-1])


def total_of(terms: Floats, start: np.float32 = ZERO) -> np.float32:
    """`start` plus the terms, one after the other."""
    if not terms.size:
        return start
    chain = terms.copy()
    chain[0] += start
    return np.float32(np.add.accumulate(chain, dtype=np.float32)[-1])


@dataclass(frozen=True)
class Run:
    """What a run of terms does to a sum, in units: what it adds to an even and an odd one, and how far it strays."""

    offsets: tuple[float, float]
    low: float
    high: float

    def then(self, other: Run) -> Run:
        """Both runs as one."""
        even, odd = (offset + other.offsets[int(offset + parity) & 1] for parity, offset in enumerate(self.offsets))
        low = min(self.low, min(self.offsets) + other.low)
        return Run((even, odd), low, max(self.high, max(self.offsets) + other.high))


UNKNOWN = Run((0.0, 0.0), -math.inf, math.inf)
"""A run that must be added one by one."""


def run_of(terms: Floats, unit: float) -> Run:
    """What the terms do to sums that are multiples of `unit`."""
    exact = terms / np.float64(unit)
    steps = np.rint(exact)
    ties = np.flatnonzero(np.abs(exact - steps) == 0.5)
    if ties.size:
        # After a tie the sum is even. So all but the first are decided by what is between them and the one before.
        steps[ties] = np.floor(exact[ties])
        sums = np.cumsum(steps)
        steps[ties[1:]] += np.diff(sums[ties]) % 2
    sums = np.cumsum(steps)
    if not np.isfinite(sums[-1]):
        return UNKNOWN
    end, low, high = float(sums[-1]), float(sums.min()), float(sums.max())
    if not ties.size:
        return Run((end, end), low, high)
    odd = int(sums[ties[0]]) & 1
    return Run((end + odd, end + (1 - odd)), low, high + 1)


class Terms:
    """The terms of a sequence, in runs of which one, two, four ... are added at a time.

    Sums can go on anywhere, and best at multiples of `period`.
    """

    def __init__(self, terms: Floats, period: int) -> None:
        self.terms = terms
        parts, periods = -(-period // LONGEST_RUN), -(-SHORTEST_RUN // period)
        cuts = np.arange(parts) * period // parts
        places = np.arange(0, len(terms), period * periods)[:, None] + cuts
        self._places: list[int] = [*places[places < len(terms)].tolist(), len(terms)]
        self._runs: dict[tuple[int, int, int], Run] = {}

    def add(self, sums: Floats, start: int) -> Floats:
        """Each of `sums` with the terms from place `start` on added to it, one after the other."""
        index = bisect_left(self._places, start)
        sums = self._one_by_one(sums, start, self._places[index])
        count = len(self._places) - 1
        while index < count:
            exponents = _exponents(sums)
            level = min((index & -index).bit_length() - 1 if index else count, (count - index).bit_length() - 1)
            while level >= 0:
                result = self._at_once(sums, level, index, exponents)
                if result is not None:
                    break
                level -= 1
            else:
                level = 0
                result = self._one_by_one(sums, self._places[index], self._places[index + 1])
            sums = result
            index += 1 << level
        return sums

    def _one_by_one(self, sums: Floats, start: int, stop: int) -> Floats:
        if start >= stop:
            return sums
        return added(sums, self.terms[start:stop, None])

    def _at_once(self, sums: Floats, level: int, index: int, groups: Sequence[_Exponent]) -> Floats | None:
        """The sums after 2**level runs from `index` on; None if one of them could leave its powers of two."""
        runs = []
        for group in groups:
            if group.value < SMALLEST_EXPONENT:
                return None
            run = self._run(level, index, group.value)
            if not group.least + run.low > group.bottom or not group.most + run.high < group.top:
                return None
            runs.append(run)
        if len(runs) == 1:
            return _moved(sums, runs[0], groups[0].value)
        results = sums.copy()
        for group, run in zip(groups, runs, strict=True):
            results[group.members] = _moved(sums[group.members], run, group.value)
        return results

    def _run(self, level: int, index: int, exponent: int) -> Run:
        key = (level, index, exponent)
        run = self._runs.get(key)
        if run is None:
            if level:
                half = 1 << (level - 1)
                run = self._run(level - 1, index, exponent).then(self._run(level - 1, index + half, exponent))
            else:
                run = run_of(self.terms[self._places[index] : self._places[index + 1]], 2.0 ** (exponent - 24))
            self._runs[key] = run
        return run


@dataclass(frozen=True)
class _Exponent:
    """The sums between two powers of two: which ones, the least and the largest of them, and their bounds, in units."""

    value: int
    members: slice | NDArray[np.bool_]
    least: float
    most: float
    bottom: float
    top: float

    @classmethod
    def of(cls, value: int, members: slice | NDArray[np.bool_], least: float, most: float) -> _Exponent:
        """From the least and the largest sum, which have the same sign."""
        least, most = math.ldexp(least, 24 - value), math.ldexp(most, 24 - value)
        bounds = (_UNITS, 2 * _UNITS) if least > 0 else (-2 * _UNITS, -_UNITS)
        return cls(value, members, least, most, *bounds)


def _exponents(sums: Floats) -> list[_Exponent]:
    """The sums by sign and exponent; none that can be added at once if one of them is 0 or not finite."""
    least, most = float(sums.min()), float(sums.max())
    if not (math.isfinite(least) and math.isfinite(most)):
        return [_NOWHERE]
    value = math.frexp(least)[1]
    if least * most > 0 and value == math.frexp(most)[1]:
        return [_Exponent.of(value, slice(None), least, most)]
    groups = []
    exponents = np.where(sums > 0, 1, -1) * (np.frexp(sums)[1] + _OFFSET)
    for key in set(exponents.tolist()):
        members = exponents == key
        some = sums[members]
        least, most = float(some.min()), float(some.max())
        if least * most <= 0:
            return [_NOWHERE]
        groups.append(_Exponent.of(abs(key) - _OFFSET, members, least, most))
    return groups


def _moved(sums: Floats, run: Run, exponent: int) -> Floats:
    """The sums after a run that leaves their exponent alone. The last bit of a number says whether it is odd."""
    even, odd = (np.float32(math.ldexp(offset, exponent - 24)) for offset in run.offsets)
    if even == odd:
        return sums + even
    return sums + np.where(sums.view(np.int32) & 1 == 0, even, odd)


_NOWHERE = _Exponent(SMALLEST_EXPONENT - 1, slice(None), 0.0, 0.0, 0.0, 0.0)
