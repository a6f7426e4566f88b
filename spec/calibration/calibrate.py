"""From a float network and samples to the rows of a calibration table.

Follows: ncnn tools/quantize/ncnn2table.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from spec.binary32 import f32
from spec.blob import Blob
from spec.calibration.aciq import gaussian_clip
from spec.calibration.eq import MOST_SAMPLES, Pair, search_scales
from spec.calibration.kl import kl_threshold
from spec.calibration.statistics import (
    NO_RANGE,
    Histogram,
    Range,
    blob_histogram,
    blob_range,
    empty_histogram,
    examined_values,
)
from spec.calibration.weight_scales import (
    Method,
    Row,
    convolution_layers,
    static_rows,
    weight_groups,
    weight_scales,
)
from spec.errors import CalibrationError
from spec.graph import Graph, Layer
from spec.net import Net
from spec.rounding import INT8_MAX

Activations = Callable[[Sequence[Blob], Sequence[str]], list[Blob]]
"""Runs the float network on one sample, a blob for each Input layer in file order, and returns the blobs asked for."""

Progress = Callable[[str, int, int], None]
"""Called with the stage, the position of a sample and the number of samples, before each sample."""


class Sample(Protocol):
    """One sample: what messages call it, and its input blobs, which are loaded when they are needed."""

    @property
    def name(self) -> str:
        """What messages call the sample."""

    def load(self) -> list[Blob]:
        """One blob for each Input layer, in file order."""


def net_activations(net: Net) -> Activations:
    """The float network `net` as calibration sees it."""

    def run(inputs: Sequence[Blob], names: Sequence[str]) -> list[Blob]:
        with net.create_extractor() as extractor:
            for name, blob in zip(net.input_names(), inputs, strict=True):
                extractor.input(name, blob)
            return [extractor.extract(name)[1] for name in names]

    return run


@dataclass(frozen=True)
class LayerCalibration:
    """What calibration found for one layer. The histogram is None where the method took none."""

    layer: Layer
    weight_scales: list[float]
    range: Range
    histogram: Histogram | None
    threshold: float
    bottom_scale: float

    def line(self) -> str:
        """The line that the real tool prints."""
        return (
            f"{self.layer.name:<40} : max = {self.range.absmax:<15f}  threshold = {self.threshold:<15f}"
            f"  scale = {self.bottom_scale:<15f}"
        )


@dataclass(frozen=True)
class Calibration:
    """The outcome for a network: the layers with calibrated activations, and the rows that need no samples."""

    layers: list[LayerCalibration]
    static: list[Row]

    def rows(self) -> list[Row]:
        """All rows in the order of the table: weights, activations, static weights."""
        weights = [(f"{found.layer.name}_param_0", found.weight_scales) for found in self.layers]
        bottoms = [(found.layer.name, [found.bottom_scale]) for found in self.layers]
        return [*weights, *bottoms, *self.static]


def calibrate(
    graph: Graph,
    samples: Sequence[Sample],
    activations: Activations,
    method: Method = "kl",
    *,
    upstream: bool = False,
    report: Callable[[str], None],
    progress: Progress = lambda stage, done, total: None,
) -> Calibration:
    """Calibrate all layers of `graph`. CalibrationError without samples, or if an activation is NaN or infinite."""
    layers = convolution_layers(graph)
    if not samples:
        raise CalibrationError("there are no samples to calibrate with")
    scales = [weight_scales(layer, method, upstream=upstream, report=report) for layer in layers]
    ranges = measure_ranges(layers, samples, activations, upstream=upstream, progress=progress)
    if method == "aciq":
        found = [
            aciq_calibration(layer, weights, extent, None, upstream)
            for layer, weights, extent in zip(layers, scales, ranges, strict=True)
        ]
    else:
        histograms = build_histograms(layers, ranges, samples, activations, upstream=upstream, progress=progress)
        found = [
            kl_calibration(layer, weights, extent, histogram)
            for layer, weights, extent, histogram in zip(layers, scales, ranges, histograms, strict=True)
        ]
    for each in found:
        report(each.line())
    if method == "eq":
        found = search(found, graph, samples, activations, upstream=upstream, report=report)
        for each in found:
            report(each.line())
    return Calibration(found, static_rows(graph))


def weight_only(graph: Graph) -> Calibration:
    """The rows that need no samples."""
    return Calibration([], static_rows(graph))


def measure_ranges(
    layers: Sequence[Layer],
    samples: Sequence[Sample],
    activations: Activations,
    *,
    first: int = 0,
    upstream: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> list[Range]:
    """The first pass: the range of each layer's bottom blob. `first` is the position of the first sample."""
    ranges = [NO_RANGE] * len(layers)
    for position, sample in enumerate(samples):
        progress("count the absmax", position, len(samples))
        for i, values in enumerate(_bottoms(layers, sample, activations, upstream)):
            try:
                ranges[i] = ranges[i].merge(blob_range(values, first + position))
            except ValueError as error:
                raise CalibrationError(str(error), sample=sample.name, layer=layers[i].name) from error
    return ranges


def build_histograms(
    layers: Sequence[Layer],
    ranges: Sequence[Range],
    samples: Sequence[Sample],
    activations: Activations,
    *,
    upstream: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> list[Histogram]:
    """The second pass: the histogram of each layer's bottom blob over its range."""
    histograms = [empty_histogram(extent.absmax) for extent in ranges]
    for position, sample in enumerate(samples):
        progress("build histogram", position, len(samples))
        for i, values in enumerate(_bottoms(layers, sample, activations, upstream)):
            histograms[i] = histograms[i].merge(blob_histogram(values, ranges[i].absmax))
    return histograms


def kl_calibration(layer: Layer, weights: list[float], extent: Range, histogram: Histogram) -> LayerCalibration:
    """The outcome by the kl method."""
    threshold = kl_threshold(histogram).threshold
    return LayerCalibration(layer, weights, extent, histogram, threshold, scale_of(threshold))


def aciq_calibration(
    layer: Layer, weights: list[float], extent: Range, histogram: Histogram | None, upstream: bool
) -> LayerCalibration:
    """The outcome by the aciq method. A blob of one value keeps its magnitude, unless `upstream`, whose scale is 0."""
    threshold = extent.absmax
    if extent.count > 1 or upstream:
        threshold = gaussian_clip(extent.absmax, extent.count, bits=8)
    return LayerCalibration(layer, weights, extent, histogram, threshold, scale_of(threshold))


def scale_of(threshold: float) -> float:
    """f32(127 / threshold), infinite for 0: activations that are always zero.

    >>> scale_of(2.0)
    63.5
    """
    if threshold != threshold:
        return threshold
    return f32(INT8_MAX / threshold) if threshold > 0.0 else float("inf")


def search(
    found: Sequence[LayerCalibration],
    graph: Graph,
    samples: Sequence[Sample],
    activations: Activations,
    *,
    upstream: bool,
    report: Callable[[str], None],
) -> list[LayerCalibration]:
    """The eq method, from the outcome of kl."""
    if upstream:
        check_upstream_search(found, graph, samples)
    improved = []
    for position, start in enumerate(found):
        used = samples[:MOST_SAMPLES] if not upstream else [samples[position]] * min(len(samples), MOST_SAMPLES)
        pairs = [_pair(start.layer, sample, activations) for sample in used]
        weights, bottom = search_scales(start.layer, pairs, start.weight_scales, start.bottom_scale, report=report)
        improved.append(replace(start, weight_scales=weights, bottom_scale=bottom, threshold=scale_of(bottom)))
    return improved


def check_upstream_search(found: Sequence[LayerCalibration], graph: Graph, samples: Sequence[Sample]) -> None:
    """CalibrationError where the real tool's search would read beyond its lists.

    It takes the sample from the position of the layer, and the input from the position of the weight scale.
    """
    if len(graph.input_names()) != 1 or any(weight_groups(each.layer) != 1 for each in found):
        raise CalibrationError("the real tool's eq search needs one input and layers with one weight scale each")
    if len(samples) < len(found):
        raise CalibrationError(f"the real tool's eq search needs {len(found)} samples, one for each layer")


def _bottoms(layers: Sequence[Layer], sample: Sample, activations: Activations, upstream: bool) -> list[list[float]]:
    """The values of each layer's first bottom blob for one sample."""
    blobs = activations(sample.load(), [layer.bottoms[0] for layer in layers])
    return [examined_values(blob, upstream) for blob in blobs]


def _pair(layer: Layer, sample: Sample, activations: Activations) -> Pair:
    bottom, top = activations(sample.load(), [layer.bottoms[0], layer.tops[0]])
    return bottom, top
