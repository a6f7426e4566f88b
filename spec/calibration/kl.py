"""The kl method: clip where the quantized distribution diverges least from the original one.

For every candidate length t the histogram is cut to t bins, the tail added to the last of them, folded to 128 bins (the
levels of int8 magnitudes), expanded to t bins again, and compared with the cut one by its Kullback-Leibler divergence.

All steps are binary32, in the order written: `array("f")` rounds what is stored in it. The logarithm is computed in
binary64 and rounded once; the real tool takes the C library's `logf`, which is not always rounded correctly, and that
has not been seen to change a threshold.

Follows: ncnn tools/quantize/ncnn2table.cpp @ a4d2ea1d.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from spec.binary32 import FLT_MAX, f32
from spec.calibration.statistics import BINS, Histogram

TARGET_BINS = 128
"""Levels of an int8 magnitude, and the shortest length tried."""

LONGEST = BINS - 1
"""The longest length tried: all bins but one."""

EPSILON = f32(0.0001)
"""What every bin gets so that no logarithm is infinite."""


@dataclass(frozen=True)
class KlThreshold:
    """The chosen length in bins, the threshold that it stands for, and the divergence there."""

    length: int
    threshold: float
    divergence: float


def kl_threshold(histogram: Histogram) -> KlThreshold:
    """The threshold of least divergence; the shortest such length if several tie.

    `threshold = (length + 0.5) * absmax / BINS`. A histogram without counts gives length 128 and threshold 0.
    """
    distribution = normalised(histogram.counts)
    best = FLT_MAX
    length = TARGET_BINS
    for candidate, divergence in enumerate(divergences(distribution), start=TARGET_BINS):
        if divergence < best:
            best = divergence
            length = candidate
    return KlThreshold(length, threshold_of(length, histogram.absmax), best)


def threshold_of(length: int, absmax: float) -> float:
    """The magnitude in the middle of bin `length`.

    >>> threshold_of(2047, 2048.0)
    2047.5
    """
    return f32(f32(f32(length + 0.5) * absmax) / BINS)


def normalised(counts: Sequence[int]) -> array[float]:
    """The share of each bin: f32(count / total). All zeros where nothing was counted."""
    total = sum(counts)
    return array("f", (count / total if total else 0.0 for count in counts))


def divergences(distribution: array[float]) -> list[float]:
    """The divergence at each length from 128 to 2047; none for an empty distribution."""
    if not any(distribution):
        return []
    return [divergence(distribution, length) for length in range(TARGET_BINS, LONGEST + 1)]


def divergence(distribution: array[float], length: int) -> float:
    """How far the distribution, clipped to `length` bins, is from its quantized form: sum of C * log(C / E)."""
    clipped_bins = clipped(distribution, length)
    expanded_bins = expanded(folded(distribution, length), length)
    total = 0.0
    for c, e in zip(clipped_bins, expanded_bins, strict=True):
        total = f32(total + f32(c * f32(math.log(f32(c / e)))))
    return total


def clipped(distribution: array[float], length: int) -> array[float]:
    """The first `length` bins, each with epsilon added; all later bins are added to the last one, in order."""
    result = array("f", (EPSILON + share for share in distribution[:length]))
    for share in distribution[length:]:
        result[length - 1] += share
    return result


def folded(distribution: array[float], length: int) -> array[float]:
    """The mean share of the bins under each of the 128 target bins, which split source bins where they must."""
    result = array("f", [0.0] * TARGET_BINS)
    for j in range(TARGET_BINS):
        first, last, left, right = target_bin(j, length)
        mean = array("f", [0.0])
        if left > 0.0:
            mean[0] += f32(left * distribution[first - 1])
        if right > 0.0:
            mean[0] += f32(right * distribution[last])
        for k in range(first, last):
            mean[0] += distribution[k]
        result[j] = mean[0] / (last - first + left + right)
    return result


def expanded(quantized: array[float], length: int) -> array[float]:
    """The 128 target bins spread over `length` bins again, on top of epsilon."""
    result = array("f", [EPSILON] * length)
    for j in range(TARGET_BINS):
        first, last, left, right = target_bin(j, length)
        if left > 0.0:
            result[first - 1] += f32(left * quantized[j])
        if right > 0.0:
            result[last] += f32(right * quantized[j])
        for k in range(first, last):
            result[k] += quantized[j]
    return result


def target_bin(j: int, length: int) -> tuple[int, int, float, float]:
    """Where target bin `j` lies: whole source bins first .. last - 1, and the shares of bins first - 1 and last.

    Its edges are j * length / 128 and (j + 1) * length / 128, both exact in binary32.

    >>> target_bin(1, 192)
    (2, 3, 0.5, 0.0)
    """
    low = j * length / TARGET_BINS
    high = (j + 1) * length / TARGET_BINS
    first = math.ceil(low)
    last = math.floor(high)
    return first, last, first - low, high - last
