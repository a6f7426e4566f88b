"""The fast twin of `spec.calibration.kl`: the same length, found without adding up every divergence in its order.

The divergence in binary64 follows from prefix sums, because all bins that share a target bin expand to one number: 128
logarithms a length instead of up to 2047. It comes with a bound of what the binary32 steps of the spec can add to it.
Only lengths that the bound leaves in the running are computed as the spec does: `numpy.add.accumulate` adds one
binary32 number after the other, and folding adds a bin of zero where a target bin is narrower than others, which
changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastpath.calibration.statistics import BINS, Counts, Floats, Histogram

TARGET_BINS = 128
"""Levels of an int8 magnitude, and the shortest length tried."""

LONGEST = BINS - 1
"""The longest length tried: all bins but one."""

EPSILON = np.float32(0.0001)
"""What every bin gets so that no logarithm is infinite."""

Doubles = NDArray[np.float64]
Places = NDArray[np.intp]

_LENGTHS = np.arange(TARGET_BINS, LONGEST + 1)
_BATCH = 64  # lengths that are estimated at a time: the arrays of one batch fit the cache
_ROWS = [slice(start, min(start + _BATCH, len(_LENGTHS))) for start in range(0, len(_LENGTHS), _BATCH)]
_EXACT_BATCH = 16  # lengths that are computed at a time: their number depends on the data, the memory hardly
_FLT_MAX = float(np.finfo(np.float32).max)
_HALF_WAY = 1 << 28  # the low 29 bits of a binary64 number half-way between two binary32 numbers
_LOW_BITS = (1 << 29) - 1
_LOG_ERROR = 4  # two logarithm routines differ by less than this in the last place

_UNIT = 2.0**-24  # the largest relative error of one binary32 step
_STEPS_UNDER_LOGARITHM = (
    25  # steps from shares to the ratio under a logarithm: at most 18 additions, and what surrounds them
)
_SAFETY = 2  # for products of errors, and for binary64


@dataclass(frozen=True)
class KlThreshold:
    """The chosen length in bins, the threshold that it stands for, and the divergence there."""

    length: int
    threshold: float
    divergence: float


def kl_threshold(histogram: Histogram) -> KlThreshold:
    """The threshold of least divergence; the shortest such length if several tie."""
    distribution = normalised(histogram.counts)
    if not distribution.any():
        return KlThreshold(TARGET_BINS, threshold_of(TARGET_BINS, histogram.absmax), _FLT_MAX)
    lengths = contenders(distribution)
    curve = np.concatenate([_exact(distribution, plan) for plan in _plans(lengths)])
    position = int(curve.argmin())
    length = int(lengths[position])
    return KlThreshold(length, threshold_of(length, histogram.absmax), float(curve[position]))


def threshold_of(length: int, absmax: float) -> float:
    """The magnitude in the middle of bin `length`."""
    return float((np.float32(length) + np.float32(0.5)) * np.float32(absmax) / np.float32(BINS))


def normalised(counts: Counts) -> Floats:
    """The share of each bin: f32(count / total). All zeros where nothing was counted."""
    total = int(counts.sum())
    return (counts / total if total else np.zeros(BINS)).astype(np.float32)


def divergences(distribution: Floats) -> Floats:
    """The divergence at each length from 128 to 2047; none for an empty distribution."""
    if not distribution.any():
        return np.zeros(0, np.float32)
    return np.concatenate([_exact(distribution, plan) for plan in _all_plans()])


def contenders(distribution: Floats) -> Places:
    """The lengths, ascending, that can have the least divergence. The distribution is not empty.

    Batches whose lower bounds are least come first, and those that cannot be in the running any more are left out.
    """
    sums = _Sums(distribution)
    lower = sums.lower_bounds()
    least = math.inf
    running: list[tuple[slice, Doubles]] = []
    for rows in sorted(_ROWS, key=lambda rows: float(lower[rows].min())):
        if lower[rows].min() > least:
            break
        values, errors = sums.estimates(_edges(rows.start))
        least = min(least, float((values + errors).min()))
        running.append((rows, values - errors))
    found = [TARGET_BINS + rows.start + np.flatnonzero(values <= least) for rows, values in running]
    return np.sort(np.concatenate(found))


def estimates(distribution: Floats) -> tuple[Doubles, Doubles]:
    """The divergence at each length in binary64, and by how much `divergences` can differ from it."""
    sums = _Sums(distribution)
    values, errors = zip(*(sums.estimates(_edges(rows.start)) for rows in _ROWS), strict=True)
    return np.concatenate(values), np.concatenate(errors)


class _Sums:
    """What divergences follow from in binary64: sums of a distribution, its entropy, and the bins that end a length.

    Target bins keep their share of the distribution. So a partial sum of terms c * log(c / e) is at least the sum of
    c - e, hence not less than minus the share of the target bin that it ends in; and it exceeds the whole sum by no
    more than that. This bounds all partial sums, of which each addition loses `_UNIT` at most.
    """

    def __init__(self, distribution: Floats) -> None:
        self.base = (EPSILON + distribution).astype(np.float64)
        shares = distribution.astype(np.float64)
        self.below, self.base_below, self.entropy_below = (
            _below(terms) for terms in (shares, self.base, self.base * np.log(self.base))
        )
        self.padded_shares, self.padded_base = np.append(shares, 0.0), np.append(self.base, 0.0)
        self.last = self.base[_LENGTHS - 1] + (self.below[BINS] - self.below[_LENGTHS])
        self.additions = np.count_nonzero(distribution) - _below(distribution > 0)[_LENGTHS]

    def lower_bounds(self) -> Doubles:
        """What the divergence at each length cannot be below, after the errors of its binary32 steps.

        By the log sum inequality it is at least that of two bins: the last one, with the tail, and all others. The
        errors grow with the divergence, but more slowly.
        """
        width = _LENGTHS / TARGET_BINS
        starts = _LENGTHS - width
        floors = np.floor(starts).astype(np.intp)
        before = self.below[floors] + (starts - floors) * self.padded_shares[floors]
        expanded_last = float(EPSILON) + (self.below[_LENGTHS] - before) / width
        rest, expanded_rest = self.base_below[_LENGTHS - 1], self.below[_LENGTHS] + float(EPSILON) * _LENGTHS
        last_terms = self.last * np.log(self.last / expanded_last)
        values = last_terms + rest * np.log(rest / (expanded_rest - expanded_last))
        return np.asarray(values - self._errors(slice(None), values, last_terms), np.float64)

    def estimates(self, edges: _Edges) -> tuple[Doubles, Doubles]:
        """The divergence at some lengths, and by how much that of the spec can differ from it."""
        ends = self.padded_shares.take(edges.floors)
        ends *= edges.fractions
        ends += self.below.take(edges.floors)
        means = (ends[:, 1:] - ends[:, :-1]) / edges.width
        inner = edges.fractions[:, 1:-1]
        split_means = means[:, 1:] + inner * (means[:, :-1] - means[:, 1:])
        logarithms = np.log(means + float(EPSILON))
        split_logarithms = np.log(split_means + float(EPSILON))
        split = self.padded_base.take(edges.floors)
        split *= edges.is_split
        whole_ends = self.base_below.take(edges.floors)
        whole = whole_ends[:, 1:] - whole_ends[:, :-1] - split[:, :-1]
        crossed = np.vecdot(whole, logarithms) + np.vecdot(split[:, 1:-1], split_logarithms)
        lengths, last, last_logarithms = _LENGTHS[edges.rows], self.last[edges.rows], logarithms[:, -1]
        crossed -= self.base[lengths - 1] * last_logarithms
        last_terms = last * (np.log(last) - last_logarithms)
        values = np.asarray(self.entropy_below[lengths - 1] - crossed + last_terms, np.float64)
        return values, self._errors(edges.rows, values, last_terms)

    def _errors(self, rows: slice, values: Doubles, last_terms: Doubles) -> Doubles:
        lengths = _LENGTHS[rows]
        steps = _STEPS_UNDER_LOGARITHM * (1.01 + lengths * float(EPSILON))
        steps += lengths * np.maximum(values, 0) + 2 * lengths / TARGET_BINS + 2 * np.abs(values) + 8
        steps += self.additions[rows] * (np.abs(last_terms) + self.last[rows])
        return np.asarray(_SAFETY * _UNIT * steps, np.float64)


def _below(terms: NDArray[Any]) -> Doubles:
    """The sums of the terms before each position."""
    return np.concatenate([[0.0], np.cumsum(terms, dtype=np.float64)])


@dataclass(frozen=True)
class _Edges:
    """For some lengths, one in a row: the width of a target bin, and where target bins begin and end, 129 places."""

    rows: slice
    width: Doubles
    floors: Places
    fractions: Doubles
    is_split: Doubles


@cache
def _edges(start: int) -> _Edges:
    """Those of one batch."""
    rows = _ROWS[start // _BATCH]
    width = _LENGTHS[rows, None] / TARGET_BINS
    places = np.arange(TARGET_BINS + 1) * width
    floors = np.floor(places)
    fractions = places - floors
    return _Edges(rows, width, floors.astype(np.intp), fractions, (fractions > 0).astype(np.float64))


@dataclass(frozen=True)
class _Plan:
    """Where the target bins of some lengths lie: shares and positions of split bins, positions of whole ones.

    The first six have a row per length and a column per target bin; position BINS stands for a bin of zero. A split
    bin between target bins j and j + 1 belongs to j in the count of repetitions, and the last column of those fills a
    row up to the longest length. `places` are the split bins, in rows of the longest length.
    """

    lengths: Places
    left: Floats
    right: Floats
    left_bins: Places
    right_bins: Places
    whole_bins: list[Places]
    widths: Floats
    repeats: Places
    places: Places
    rows: Places
    owners: Places


@cache
def _all_plans() -> list[_Plan]:
    return list(_plans(_LENGTHS))


def _plans(lengths: Places) -> Iterator[_Plan]:
    for start in range(0, len(lengths), _EXACT_BATCH):
        yield _plan(lengths[start : start + _EXACT_BATCH])


def _plan(lengths: Places) -> _Plan:
    low = np.arange(TARGET_BINS) * lengths[:, None] / TARGET_BINS
    high = np.arange(1, TARGET_BINS + 1) * lengths[:, None] / TARGET_BINS
    first, last = np.ceil(low).astype(np.intp), np.floor(high).astype(np.intp)
    left, right = (first - low).astype(np.float32), (high - last).astype(np.float32)
    whole_bins = [
        np.where(first + step < last, first + step, BINS) for step in range(int((last - first).max(initial=0)))
    ]
    widths = ((last - first).astype(np.float32) + left) + right
    longest = int(lengths.max())
    split = right > 0
    repeats = np.column_stack([last - first + split, longest - lengths])
    rows, owners = np.nonzero(split)
    places = rows * longest + last[rows, owners]
    left_bins = np.maximum(first - 1, 0)
    return _Plan(lengths, left, right, left_bins, last, whole_bins, widths, repeats.ravel(), places, rows, owners)


def _exact(distribution: Floats, plan: _Plan) -> Floats:
    """The divergences at the lengths of a plan. Rows are filled up with bins that add nothing."""
    count, longest = len(plan.lengths), int(plan.lengths.max())
    means = _folded(distribution, plan)
    padded = np.ones((count, TARGET_BINS + 1), np.float32)
    padded[:, :-1] = EPSILON + means
    expanded = np.repeat(padded.ravel(), plan.repeats)
    rows, owners = plan.rows, plan.owners
    expanded[plan.places] = (EPSILON + plan.right[rows, owners] * means[rows, owners]) + (
        plan.left[rows, owners + 1] * means[rows, owners + 1]
    )
    clipped = _clipped(distribution, plan.lengths)
    ratio = clipped.ravel() / expanded
    terms = clipped * _log(ratio).reshape(count, longest)
    return np.add.accumulate(terms, axis=1, dtype=np.float32)[:, -1].copy()  # a view would keep all sums


def _folded(distribution: Floats, plan: _Plan) -> Floats:
    """The 128 mean shares at each length, (lengths, 128)."""
    padded = np.append(distribution, np.float32(0))
    means = plan.left * padded.take(plan.left_bins)
    means += plan.right * padded.take(plan.right_bins)
    for bins in plan.whole_bins:
        means += padded.take(bins)
    means /= plan.widths
    return means


def _clipped(distribution: Floats, lengths: Places) -> Floats:
    """The first `length` bins plus epsilon in a row per length, the tail added to the last; ones fill up the rows."""
    shortest, longest = int(lengths.min()), int(lengths.max())
    base = EPSILON + distribution
    last = lengths[:, None] - 1
    # From position shortest - 1 on: nothing, the last bin of this length, then the tail.
    positions = np.arange(shortest - 1, BINS)
    tails = np.where(positions > last, distribution[positions], np.float32(0))
    tails[np.arange(len(lengths)), lengths - shortest] = base[lengths - 1]
    clipped = np.where(np.arange(longest) > last, np.float32(1), base[:longest])
    clipped[np.arange(len(lengths)), lengths - 1] = np.add.accumulate(tails, axis=1, dtype=np.float32)[:, -1]
    return clipped


def _log(values: Floats) -> Floats:
    """The logarithm in binary64, rounded once to binary32, as `math.log` gives it.

    numpy's own binary64 logarithm may differ from it in the last place. That shows only next to a half-way point
    between two binary32 numbers, and there `math.log` decides.
    """
    logarithms = values.astype(np.float64)
    np.log(logarithms, out=logarithms)
    distance = logarithms.view(np.int64) & _LOW_BITS
    distance -= _HALF_WAY
    for place in np.flatnonzero(np.abs(distance, out=distance) <= _LOG_ERROR):
        logarithms[place] = math.log(values[place])
    return logarithms.astype(np.float32)
