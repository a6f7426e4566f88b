"""What calibration remembers of the activations of a layer: a range, then a histogram over that range.

Both are made from one blob at a time and merge: the result does not depend on the order, or on how samples are shared
among workers. Calibrating takes two passes, because the bins of the histogram need the range of all samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from spec.binary32 import f32
from spec.blob import Blob

BINS = 2048
"""Bins of a histogram: bin i holds the magnitudes in [i, i + 1) * absmax / BINS, and the last one absmax as well."""


SMALLEST = 2.0**-126
"""The smallest normal binary32 number. Magnitudes below it count as zero: ncnn flushes them while it runs a network."""


@dataclass(frozen=True)
class Range:
    """How large activations get. `count` is the number of elements in the blob of the last sample.

    Only the last sample counts, not the sum: that is what the aciq method goes by. `last_sample` is its position in the
    list, so that ranges merge in any order.
    """

    absmax: float
    count: int
    last_sample: int

    def merge(self, other: Range) -> Range:
        """The range of both sets of samples."""
        later = self if self.last_sample >= other.last_sample else other
        return Range(max(self.absmax, other.absmax), later.count, later.last_sample)


NO_RANGE = Range(0.0, 0, -1)
"""The range of no samples: merging it changes nothing."""


@dataclass(frozen=True)
class Histogram:
    """How often each magnitude occurs, in `BINS` equal bins up to `absmax`. Zeros are counted apart."""

    absmax: float
    counts: tuple[int, ...]
    zeros: int

    def merge(self, other: Histogram) -> Histogram:
        """The histogram of both sets of samples; ValueError unless both go up to the same absmax."""
        if self.absmax != other.absmax:
            raise ValueError(f"histograms up to {self.absmax} and {other.absmax} do not merge")
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Histogram(self.absmax, counts, self.zeros + other.zeros)


def empty_histogram(absmax: float) -> Histogram:
    """A histogram that has seen nothing yet."""
    return Histogram(absmax, (0,) * BINS, 0)


def blob_range(values: Iterable[float], sample: int) -> Range:
    """The range of one blob. `values` are binary32; ValueError for NaN and infinity, which no scale fits.

    Follows: ncnn tools/quantize/ncnn2table.cpp @ a4d2ea1d.

    >>> blob_range([1.0, -3.0, 2.0], sample=0)
    Range(absmax=3.0, count=3, last_sample=0)
    """
    largest = 0.0
    count = 0
    for value in values:
        if not math.isfinite(value):
            raise ValueError(f"the activations hold {value}")
        largest = max(largest, abs(value))
        count += 1
    return Range(largest if largest >= SMALLEST else 0.0, count, sample)


def blob_histogram(values: Iterable[float], absmax: float) -> Histogram:
    """The histogram of one blob, whose magnitudes are at most `absmax`.

    A magnitude of at least `SMALLEST` falls into bin trunc(f32(f32(|value| / absmax) * BINS)); absmax into the last.

    Follows: ncnn tools/quantize/ncnn2table.cpp @ a4d2ea1d.

    >>> histogram = blob_histogram([0.0, 0.5, -1.0], absmax=1.0)
    >>> histogram.zeros, histogram.counts[1024], histogram.counts[2047]
    (1, 1, 1)
    """
    counts = [0] * BINS
    zeros = 0
    for value in values:
        if abs(value) < SMALLEST:
            zeros += 1
        else:
            position = math.trunc(f32(f32(abs(value) / absmax) * BINS))
            counts[min(position, BINS - 1)] += 1
    return Histogram(absmax, tuple(counts), zeros)


def examined_values(blob: Blob, upstream: bool = False) -> list[float]:
    """The values of a float blob that calibration looks at: all of them.

    With `upstream` only the first depth slice of each channel of a 4-D blob (c, d, h, w), as the real tool does.
    """
    values = blob.floats()
    if not upstream or len(blob.shape) != 4:
        return values
    channels, depth, height, width = blob.shape
    plane = height * width
    return [values[c * depth * plane + i] for c in range(channels) for i in range(plane)]
