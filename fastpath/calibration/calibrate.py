"""The twin of `spec.calibration.calibrate`: from a float network and samples to the rows of a calibration table.

Both passes look at the same activations. They are kept between the passes while they fit into `HELD_BYTES`; otherwise
the network runs twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from fastpath.calibration.aciq import gaussian_clip
from fastpath.calibration.checkpoint import Checkpoint
from fastpath.calibration.eq import MOST_SAMPLES, search_scales
from fastpath.calibration.kl import kl_threshold
from fastpath.calibration.statistics import (
    NO_RANGE,
    Floats,
    Histogram,
    Range,
    blob_histogram,
    blob_range,
    empty_histogram,
    examined_values,
)
from fastpath.calibration.weight_scales import (
    INT8_MAX,
    Method,
    Row,
    convolution_layers,
    static_rows,
    weight_groups,
    weight_scales,
)
from fastpath.calibration.workers import Workers
from fastpath.net import Net
from spec.errors import CalibrationError
from spec.graph import Graph, Layer

HELD_BYTES = 512 << 20
"""Activations up to this many bytes are kept from the first pass for the second."""

Activations = Callable[[Sequence[Floats], Sequence[str]], list[Floats]]
"""Runs the float network on one sample, a blob for each Input layer in file order, and returns the blobs asked for."""

Progress = Callable[[str, int, int], None]
"""Called with the stage, the position of a sample and the number of samples, before each sample."""


def _no_progress(stage: str, done: int, total: int) -> None:
    pass


class Sample(Protocol):
    """One sample: what messages call it, and its input blobs, which are loaded when they are needed."""

    @property
    def name(self) -> str:
        """What messages call the sample."""

    def load(self) -> list[Floats]:
        """One blob for each Input layer, in file order."""


def net_activations(net: Net) -> Activations:
    """The float network `net` as calibration sees it."""

    def run(inputs: Sequence[Floats], names: Sequence[str]) -> list[Floats]:
        with net.create_extractor() as extractor:
            for name, blob in zip(net.input_names(), inputs, strict=True):
                extractor.input(name, blob)
            return [extractor.extract(name)[1] for name in names]

    return run


@dataclass(frozen=True)
class LayerCalibration:
    """What calibration found for one layer. The histogram is None where none was taken."""

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


class Bottoms:
    """The bottom blobs of some layers, sample by sample; kept for the next pass while they are not too large."""

    def __init__(
        self,
        layers: Sequence[Layer],
        samples: Sequence[Sample],
        activations: Activations,
        upstream: bool = False,
        held_bytes: int = HELD_BYTES,
    ) -> None:
        self.samples = samples
        self._names = [layer.bottoms[0] for layer in layers]
        self._activations = activations
        self._upstream = upstream
        self._free = held_bytes
        self._held: dict[int, list[Floats]] = {}

    @property
    def complete(self) -> bool:
        """Whether the next pass needs no inference."""
        return len(self._held) == len(self.samples)

    def of(self, position: int) -> list[Floats]:
        """The values of each layer's first bottom blob for the sample at `position`."""
        if position in self._held:
            return self._held[position]
        blobs = self._activations(self.samples[position].load(), self._names)
        values = [examined_values(np.asarray(blob, np.float32), self._upstream) for blob in blobs]
        size = sum(value.nbytes for value in values)
        if size <= self._free:
            self._free -= size
            self._held[position] = values
        return values


def calibrate(
    graph: Graph,
    samples: Sequence[Sample],
    activations: Activations,
    method: Method = "kl",
    *,
    upstream: bool = False,
    histograms: bool = False,
    workers: int = 1,
    checkpoint: Checkpoint | None = None,
    report: Callable[[str], None],
    progress: Progress = _no_progress,
) -> Calibration:
    """Calibrate all layers of `graph`. CalibrationError without samples, or if an activation is NaN or infinite.

    `histograms` asks for histograms also where the method needs none; where they cost nothing they are taken anyway.
    `workers` processes share the samples. With a `checkpoint`, which needs a single process, an interrupted calibration
    goes on where it was.
    """
    layers = convolution_layers(graph)
    if not samples:
        raise CalibrationError("there are no samples to calibrate with")
    scales = [weight_scales(layer, method, upstream=upstream, report=report) for layer in layers]
    wanted = histograms or method != "aciq"
    if workers > 1:
        ranges, taken = _in_processes(graph, samples, workers, upstream, wanted, progress)
    else:
        bottoms = Bottoms(layers, samples, activations, upstream)
        ranges = measure_ranges(layers, bottoms, progress=progress, checkpoint=checkpoint)
        taken = None
        if wanted or bottoms.complete:
            shown = progress if wanted else _no_progress
            taken = build_histograms(ranges, bottoms, progress=shown, checkpoint=checkpoint)
    found = [
        _by_method(method, layer, weights, extent, taken[i] if taken else None, upstream)
        for i, (layer, weights, extent) in enumerate(zip(layers, scales, ranges, strict=True))
    ]
    for each in found:
        report(each.line())
    if method == "eq":
        found = search(found, graph, samples, activations, upstream=upstream, report=report)
        for each in found:
            report(each.line())
    return Calibration(found, static_rows(graph))


def _in_processes(
    graph: Graph, samples: Sequence[Sample], count: int, upstream: bool, histograms: bool, progress: Progress
) -> tuple[list[Range], list[Histogram] | None]:
    """Both passes, or only the first one, in `count` processes."""
    with Workers(graph, samples, count, upstream=upstream, held_bytes=HELD_BYTES) as workers:
        ranges = workers.ranges(progress)
        return ranges, workers.histograms(ranges, progress) if histograms else None


def _by_method(
    method: Method, layer: Layer, weights: list[float], extent: Range, histogram: Histogram | None, upstream: bool
) -> LayerCalibration:
    if method == "aciq":
        return aciq_calibration(layer, weights, extent, histogram, upstream)
    assert histogram is not None
    return kl_calibration(layer, weights, extent, histogram)


def weight_only(graph: Graph) -> Calibration:
    """The rows that need no samples."""
    return Calibration([], static_rows(graph))


def measure_ranges(
    layers: Sequence[Layer],
    bottoms: Bottoms,
    *,
    first: int = 0,
    progress: Progress = _no_progress,
    checkpoint: Checkpoint | None = None,
) -> list[Range]:
    """The first pass: the range of each layer's bottom blob. `first` is the position of the first sample."""
    total = len(bottoms.samples)
    done, ranges = checkpoint.load_ranges(len(layers)) if checkpoint else (0, [])
    ranges = ranges or [NO_RANGE] * len(layers)
    for position in range(done, total):
        sample = bottoms.samples[position]
        progress("count the absmax", position, total)
        for i, values in enumerate(bottoms.of(position)):
            try:
                ranges[i] = ranges[i].merge(blob_range(values, first + position))
            except ValueError as error:
                raise CalibrationError(str(error), sample=sample.name, layer=layers[i].name) from error
        if checkpoint:
            checkpoint.save(position + 1, ranges, 0, [], last=position + 1 == total)
    return ranges


def build_histograms(
    ranges: Sequence[Range],
    bottoms: Bottoms,
    *,
    progress: Progress = _no_progress,
    checkpoint: Checkpoint | None = None,
) -> list[Histogram]:
    """The second pass: the histogram of each layer's bottom blob over its range."""
    total = len(bottoms.samples)
    done, histograms = checkpoint.load_histograms(ranges) if checkpoint else (0, [])
    histograms = histograms or [empty_histogram(extent.absmax) for extent in ranges]
    for position in range(done, total):
        progress("build histogram", position, total)
        for i, values in enumerate(bottoms.of(position)):
            histograms[i] = histograms[i].merge(blob_histogram(values, ranges[i].absmax))
        if checkpoint:
            checkpoint.save(total, ranges, position + 1, histograms, last=position + 1 == total)
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
    """127 / threshold in binary32, infinite for 0: activations that are always zero."""
    with np.errstate(divide="ignore", over="ignore"):
        return float(np.float32(INT8_MAX) / np.float32(threshold))


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


def _pair(layer: Layer, sample: Sample, activations: Activations) -> tuple[Floats, Floats]:
    bottom, top = activations(sample.load(), [layer.bottoms[0], layer.tops[0]])
    return bottom, top
