"""The vectorised twin of `spec.calibration.kl`: the divergence at all lengths, many lengths at a time.

Sums run in the order of the spec: `numpy.add.accumulate` adds one binary32 number after the other. Folding adds a bin
of zero where a target bin is narrower than others, which changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fastpath.calibration.statistics import BINS, Counts, Floats, Histogram

TARGET_BINS = 128
"""Levels of an int8 magnitude, and the shortest length tried."""

LONGEST = BINS - 1
"""The longest length tried: all bins but one."""

EPSILON = np.float32(0.0001)
"""What every bin gets so that no logarithm is infinite."""

_BATCH = 64  # lengths per batch: the arrays of one batch fit the cache
_FLT_MAX = float(np.finfo(np.float32).max)
_HALF_WAY = 1 << 28  # the low 29 bits of a binary64 number half-way between two binary32 numbers
_LOW_BITS = (1 << 29) - 1
_LOG_ERROR = 4  # two logarithm routines differ by less than this in the last place


@dataclass(frozen=True)
class KlThreshold:
    """The chosen length in bins, the threshold that it stands for, and the divergence there."""

    length: int
    threshold: float
    divergence: float


def kl_threshold(histogram: Histogram) -> KlThreshold:
    """The threshold of least divergence; the shortest such length if several tie."""
    curve = divergences(normalised(histogram.counts))
    if curve.size == 0:
        return KlThreshold(TARGET_BINS, threshold_of(TARGET_BINS, histogram.absmax), _FLT_MAX)
    position = int(curve.argmin())
    length = TARGET_BINS + position
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
    means = _folded(distribution)
    return np.concatenate([_batch(distribution, means, *batch) for batch in _batches()])


def _folded(distribution: Floats) -> Floats:
    """The 128 mean shares at each length, (lengths, 128)."""
    plan = _fold_plan()
    padded = np.append(distribution, np.float32(0))
    means = plan.left * padded.take(plan.left_bins)
    means += plan.right * padded.take(plan.right_bins)
    for bins in plan.whole_bins:
        means += padded.take(bins)
    means /= plan.widths
    return means


@dataclass(frozen=True)
class _FoldPlan:
    """Where target bins lie, (lengths, 128) each: shares and positions of split bins, positions of whole ones.

    Position BINS stands for a bin of zero.
    """

    left: Floats
    right: Floats
    left_bins: NDArray[np.intp]
    right_bins: NDArray[np.intp]
    whole_bins: list[NDArray[np.intp]]
    widths: Floats


@cache
def _edges() -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, Floats]:
    lengths = np.arange(TARGET_BINS, LONGEST + 1)[:, None]
    low = np.arange(TARGET_BINS) * lengths / TARGET_BINS
    high = np.arange(1, TARGET_BINS + 1) * lengths / TARGET_BINS
    first = np.ceil(low).astype(np.intp)
    last = np.floor(high).astype(np.intp)
    return first, last, (first - low).astype(np.float32), (high - last).astype(np.float32)


@cache
def _fold_plan() -> _FoldPlan:
    first, last, left, right = _edges()
    whole_bins = []
    for step in range(int((last - first).max())):
        whole_bins.append(np.where(first + step < last, first + step, BINS))
    widths = ((last - first).astype(np.float32) + left) + right
    return _FoldPlan(left, right, np.maximum(first - 1, 0), last, whole_bins, widths)


_Batch = tuple[int, int, NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]


@cache
def _batches() -> list[_Batch]:
    """For each batch: its lengths, how often each mean repeats, and the places and owners of the split bins.

    A split bin lies between target bins j and j + 1; it belongs to j in the count of repetitions. The last column of
    the repetitions fills a row up to the longest length of the batch.
    """
    first, last, _, right = _edges()
    batches = []
    for start in range(0, len(first), _BATCH):
        stop = min(start + _BATCH, len(first))
        lengths = np.arange(start, stop) + TARGET_BINS
        longest = int(lengths[-1])
        split = right[start:stop] > 0
        repeats = np.empty((stop - start, TARGET_BINS + 1), np.intp)
        repeats[:, :-1] = last[start:stop] - first[start:stop] + split
        repeats[:, -1] = longest - lengths
        rows, owners = np.nonzero(split)
        places = rows * longest + last[start:stop][rows, owners]
        batches.append((start, stop, repeats.ravel(), places, rows, owners))
    return batches


def _batch(
    distribution: Floats,
    means: Floats,
    start: int,
    stop: int,
    repeats: NDArray[np.intp],
    places: NDArray[np.intp],
    rows: NDArray[np.intp],
    owners: NDArray[np.intp],
) -> Floats:
    """The divergences of the lengths 128 + start .. 128 + stop - 1. Rows are filled up with bins that add nothing."""
    _, _, left, right = _edges()
    longest = TARGET_BINS + stop - 1
    padded = np.ones((stop - start, TARGET_BINS + 1), np.float32)
    padded[:, :-1] = EPSILON + means[start:stop]
    expanded = np.repeat(padded.ravel(), repeats)
    above = start + rows
    expanded[places] = (EPSILON + right[above, owners] * means[above, owners]) + (
        left[above, owners + 1] * means[above, owners + 1]
    )
    clipped = _clipped(distribution, start, stop)
    ratio = clipped.ravel() / expanded
    terms = clipped * _log(ratio).reshape(stop - start, longest)
    return np.add.accumulate(terms, axis=1, dtype=np.float32)[:, -1]


def _clipped(distribution: Floats, start: int, stop: int) -> Floats:
    """The first `length` bins plus epsilon in a row per length, the tail added to the last; ones fill up the rows."""
    shortest, longest = TARGET_BINS + start, TARGET_BINS + stop - 1
    rows = np.arange(stop - start)
    base = EPSILON + distribution
    clipped = np.empty((stop - start, longest), np.float32)
    clipped[:] = base[:longest]
    # From position shortest - 1 on: nothing, the last bin of this length, then the tail.
    tails = np.empty((stop - start, BINS - shortest + 1), np.float32)
    tails[:] = distribution[shortest - 1 :]
    before = np.tri(stop - start, k=-1, dtype=np.bool_)
    tails[:, : stop - start][before] = 0
    tails[rows, rows] = base[shortest - 1 : longest]
    clipped[:, shortest - 1 :][~(before | np.eye(stop - start, dtype=np.bool_))] = 1
    clipped[rows, shortest - 1 + rows] = np.add.accumulate(tails, axis=1, dtype=np.float32)[:, -1]
    return clipped


def _log(values: Floats) -> Floats:
    """The logarithm in binary64, rounded once to binary32, as `math.log` gives it.

    numpy's own binary64 logarithm may differ from it in the last place. That shows only next to a half-way point
    between two binary32 numbers, and there `math.log` decides.
    """
    logarithms = np.log(values.astype(np.float64))
    distance = (logarithms.view(np.int64) & _LOW_BITS) - _HALF_WAY
    for place in np.flatnonzero(np.abs(distance) <= _LOG_ERROR):
        logarithms[place] = math.log(values[place])
    return logarithms.astype(np.float32)
