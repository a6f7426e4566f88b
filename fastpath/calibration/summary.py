"""What a calibration means: how much is clipped, how much noise to expect, and what to do about trouble."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from spec.graph import Layer

FEW_BINS = 64
"""With no more histogram bins in use than this, kl compares spikes, not distributions."""

CLIPS_MUCH = 0.9
"""A threshold below this share of absmax is worth a warning where kl cannot be trusted."""

TEXT_ERROR = 1e-4
"""Relative error from which a scale is said not to fit the six decimals of a table."""


class HistogramLike(Protocol):
    """A histogram of either engine."""

    @property
    def absmax(self) -> float:
        """The end of the last bin."""

    @property
    def counts(self) -> Sequence[int] | np.ndarray:
        """How often magnitudes other than zero fall into each bin."""

    @property
    def zeros(self) -> int:
        """How often zero occurs."""


class RangeLike(Protocol):
    """A range of either engine."""

    @property
    def absmax(self) -> float:
        """The largest magnitude."""

    @property
    def count(self) -> int:
        """The number of elements in the blob of the last sample."""


class Found(Protocol):
    """A layer's calibration by either engine."""

    @property
    def layer(self) -> Layer:
        """The layer."""

    @property
    def weight_scales(self) -> list[float]:
        """One scale per weight group."""

    @property
    def range(self) -> RangeLike:
        """The range of the activations."""

    @property
    def histogram(self) -> HistogramLike | None:
        """The histogram of the activations, where one was taken."""

    @property
    def threshold(self) -> float:
        """The magnitude that becomes 127."""

    @property
    def bottom_scale(self) -> float:
        """127 / threshold."""


def bin_centres(histogram: HistogramLike) -> np.ndarray:
    """The magnitude in the middle of each bin."""
    bins = len(histogram.counts)
    return (np.arange(bins) + 0.5) * (histogram.absmax / bins)


def clipped_share(histogram: HistogramLike, threshold: float) -> float:
    """The share of all values, zeros included, above the threshold."""
    counts = np.asarray(histogram.counts)
    total = int(counts.sum()) + histogram.zeros
    return float(counts[bin_centres(histogram) > threshold].sum()) / total if total else 0.0


def expected_snr(histogram: HistogramLike, threshold: float) -> float:
    """The signal-to-noise ratio of the quantized activations in dB, estimated from the histogram.

    Rounding adds noise of step^2 / 12 to each value that is not zero, clipping what lies above the threshold.
    """
    counts = np.asarray(histogram.counts, np.float64)
    centres = bin_centres(histogram)
    signal = float((counts * centres**2).sum())
    step = threshold / 127
    noise = np.where(centres > threshold, (centres - threshold) ** 2, step**2 / 12)
    total = float((counts * noise).sum())
    return 10 * math.log10(signal / total) if signal > 0 and total > 0 else math.inf


def used_bins(histogram: HistogramLike) -> int:
    """How many bins hold anything."""
    return int(np.count_nonzero(np.asarray(histogram.counts)))


def table_rows(layers: Sequence[Found]) -> list[tuple[str, str, str, str, str]]:
    """Name, absmax, threshold, clipped share and expected SNR of each layer, as text."""
    rows = []
    for found in layers:
        clipped, snr = "-", "-"
        if found.histogram is not None and found.range.absmax > 0 and math.isfinite(found.threshold):
            clipped = f"{clipped_share(found.histogram, found.threshold):.3%}"
            snr = f"{expected_snr(found.histogram, found.threshold):.1f} dB"
        rows.append((found.layer.name, f"{found.range.absmax:.6g}", f"{found.threshold:.6g}", clipped, snr))
    return rows


def advice(layers: Sequence[Found], method: str) -> Iterator[str]:
    """One line for each thing that may spoil the int8 network, and what to do about it."""
    for found in layers:
        yield from _layer_advice(found, method)
    unclipped = [found.layer.name for found in layers if 0 < found.range.absmax <= found.threshold]
    if method == "aciq" and unclipped:
        yield (
            f"aciq clips nothing in {_names(unclipped)}: it expects Gaussian values, more than 8000 of them in a blob; "
            "their thresholds exceed absmax and waste codes, try method=kl"
        )


def _layer_advice(found: Found, method: str) -> Iterator[str]:
    name = found.layer.name
    if found.range.absmax == 0:
        yield (
            f"{name}: the activations are always zero, the scale is {found.bottom_scale:f}: calibrate with other "
            f"samples, or comment out the row {name} to keep the layer float"
        )
    histogram = found.histogram
    clips_much = found.threshold < CLIPS_MUCH * found.range.absmax
    if method != "aciq" and histogram is not None and clips_much and used_bins(histogram) <= FEW_BINS:
        yield (
            f"{name}: the input has few distinct magnitudes, {used_bins(histogram)} of {len(histogram.counts)} bins "
            f"are in use, and {method} clips {clipped_share(histogram, found.threshold):.1%} of it: use method=aciq, "
            f"or set the row {name} to {127 / found.range.absmax:f}, which clips nothing"
        )
    infinite = sum(math.isinf(scale) for scale in found.weight_scales)
    if infinite:
        yield (
            f"{name}: {infinite} of {len(found.weight_scales)} weight groups are zero, their scales are inf: "
            "ncnn2int8 writes them as zeros"
        )
    if any(map(math.isnan, found.weight_scales)):
        yield f"{name}: some weight scales are not a number"
    lost = [scale for scale in (*found.weight_scales, found.bottom_scale) if _loses_digits(scale)]
    if lost:
        yield (
            f"{name}: {len(lost)} scales are too small for the six decimals of a table (the smallest is "
            f"{min(lost):.3g}): the values are very large, rescale them or keep the layer float"
        )


def _loses_digits(scale: float) -> bool:
    return math.isfinite(scale) and abs(float(f"{scale:f}") - scale) > TEXT_ERROR * scale


def _names(names: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more layers"
