"""The vectorised twin of `spec.calibration.statistics`: ranges and histograms of activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Counts = NDArray[np.int64]

BINS = 2048
"""Bins of a histogram: bin i holds the magnitudes in [i, i + 1) * absmax / BINS, and the last one absmax as well."""

SMALLEST = np.float32(2.0**-126)
"""The smallest normal binary32 number. Magnitudes below it count as zero: ncnn flushes them while it runs a network."""

SMALLEST_IN_FIRST_BIN = 2.0**-114
"""With an absmax of at least this, all magnitudes below `SMALLEST` lie in the first bin."""

PIECE = 1 << 16
"""Values that are counted at a time. OpenCV counts in binary32, which is exact up to 2**24."""


@dataclass(frozen=True)
class Range:
    """How large activations get. `count` is the number of elements in the blob of the last sample."""

    absmax: float
    count: int
    last_sample: int

    def merge(self, other: Range) -> Range:
        """The range of both sets of samples."""
        later = self if self.last_sample >= other.last_sample else other
        return Range(max(self.absmax, other.absmax), later.count, later.last_sample)


NO_RANGE = Range(0.0, 0, -1)
"""The range of no samples: merging it changes nothing."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often each magnitude occurs, in `BINS` equal bins up to `absmax`. Zeros are counted apart."""

    absmax: float
    counts: Counts
    zeros: int

    def merge(self, other: Histogram) -> Histogram:
        """The histogram of both sets of samples; ValueError unless both go up to the same absmax."""
        if self.absmax != other.absmax:
            raise ValueError(f"histograms up to {self.absmax} and {other.absmax} do not merge")
        return Histogram(self.absmax, self.counts + other.counts, self.zeros + other.zeros)


def empty_histogram(absmax: float) -> Histogram:
    """A histogram that has seen nothing yet."""
    return Histogram(absmax, np.zeros(BINS, np.int64), 0)


def blob_range(values: Floats, sample: int) -> Range:
    """The range of one blob; ValueError for NaN and infinity, which no scale fits."""
    if values.size == 0:
        return Range(0.0, 0, sample)
    largest = np.maximum(values.max(), -values.min())  # NaN if there is one
    if not np.isfinite(largest):
        first = values[~np.isfinite(values)][0]
        raise ValueError(f"the activations hold {float(first)}")
    return Range(float(largest) if largest >= SMALLEST else 0.0, values.size, sample)


def blob_histogram(values: Floats, absmax: float) -> Histogram:
    """The histogram of one blob, whose magnitudes are at most `absmax`."""
    if absmax == 0:
        return Histogram(absmax, np.zeros(BINS, np.int64), values.size)
    counts, zeros = np.zeros(BINS + 1, np.int64), 0
    for magnitudes in _magnitudes(values):
        is_zero = magnitudes < SMALLEST
        zeros += int(np.count_nonzero(is_zero))
        if absmax < SMALLEST_IN_FIRST_BIN:
            magnitudes[is_zero] = 0
        magnitudes /= np.float32(absmax)
        magnitudes *= np.float32(BINS)
        counts += _counted(magnitudes)
    counts[0] -= zeros
    counts[BINS - 1] += counts[BINS]
    return Histogram(absmax, counts[:BINS].copy(), zeros)


def _magnitudes(values: Floats) -> Iterator[Floats]:
    """The magnitudes of a blob, in pieces that fit the cache; each piece is overwritten by the next one."""
    flat = np.ascontiguousarray(values).ravel()
    buffer = np.empty(min(PIECE, flat.size), np.float32)
    for start in range(0, flat.size, PIECE):
        piece = flat[start : start + PIECE]
        yield np.abs(piece, out=buffer[: piece.size])


def _counted(positions: Floats) -> Counts:
    """How many positions lie in each of BINS + 1 bins of width 1. OpenCV counts twice as fast as numpy."""
    bins = positions.astype(np.uint16).reshape(1, -1)
    counts = cv2.calcHist([bins], [0], None, [BINS + 1], [0, BINS + 1])
    return counts.ravel().astype(np.int64)


def examined_values(blob: Floats, upstream: bool = False) -> Floats:
    """The values of a float blob that calibration looks at: all of them, or with `upstream` the first depth slices."""
    return blob[:, 0] if upstream and blob.ndim == 4 else blob
