"""The twin of `spec.calibration.calibrate`: from a float network and samples to the rows of a calibration table.

Histograms need the range of all samples first, so there are two passes over the data. But one inference a sample is
enough: each process keeps the activations of its samples in memory, up to its share of `memory` bytes, and the second
pass reads those. Samples whose activations did not fit are run again. Both ways see the same numbers, and ranges and
histograms merge exactly in any order, so neither the memory nor the number of workers can change a table.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastpath.calibration.aciq import gaussian_clip
from fastpath.calibration.bottoms import HELD_BYTES as HELD_BYTES
from fastpath.calibration.bottoms import Activations as Activations
from fastpath.calibration.bottoms import Bottoms as Bottoms
from fastpath.calibration.bottoms import Sample as Sample
from fastpath.calibration.bottoms import Tick
from fastpath.calibration.bottoms import net_activations as net_activations
from fastpath.calibration.checkpoint import Checkpoint
from fastpath.calibration.crew import Alone, Crew, Executors, Job, Task
from fastpath.calibration.eq import MOST_SAMPLES
from fastpath.calibration.kl import KlThreshold, kl_threshold
from fastpath.calibration.statistics import NO_RANGE, Histogram, Range, empty_histogram
from fastpath.calibration.weight_scales import (
    INT8_MAX,
    Method,
    Row,
    convolution_layers,
    static_rows,
    weight_groups,
    weight_scales,
)
from fastpath.calibration.workers import Processes
from spec.errors import CalibrationError
from spec.graph import Graph, Layer

Progress = Callable[[str, int, int], None]
"""Called with the stage, how much of it is done, and how much there is, before each sample."""

RANGES, HISTOGRAMS, SEARCH = "count the absmax", "build histogram", "search scales"
"""The stages."""

SHARDS_PER_WORKER = 2
"""What is left of the samples would be so many parts per worker, if all were as large as the next one."""

LARGEST_SHARD = 64
"""Samples of one part, at most."""


def _no_progress(stage: str, done: int, total: int) -> None:
    pass


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


def calibrate(
    graph: Graph,
    samples: Sequence[Sample],
    activations: Activations,
    method: Method = "kl",
    *,
    upstream: bool = False,
    histograms: bool = False,
    workers: int = 1,
    executor: Executor | str | None = None,
    memory: int = HELD_BYTES,
    checkpoint: Checkpoint | None = None,
    report: Callable[[str], None],
    progress: Progress = _no_progress,
) -> Calibration:
    """Calibrate all layers of `graph`. CalibrationError without samples, or if an activation is NaN or infinite.

    `histograms` asks for histograms also where the method needs none; where they cost nothing they are taken anyway.
    More than one of `workers` are processes; or an `executor` does the work: one of `concurrent.futures`, or the Dask
    cluster whose scheduler has the address. `memory` bounds the bytes of activations that all of them keep. With a
    `checkpoint` an interrupted calibration goes on where it was.
    """
    layers = convolution_layers(graph)
    if not samples:
        raise CalibrationError("there are no samples to calibrate with")
    scales = [weight_scales(layer, method, upstream=upstream, report=report) for layer in layers]
    job = Job(graph, samples, upstream, memory)
    with _crew(job, activations, workers, executor) as crew:
        passes = Passes(crew, len(layers), len(samples), checkpoint, progress)
        ranges = passes.ranges()
        taken = passes.histograms(ranges) if histograms or method != "aciq" or passes.held else None
        thresholds = passes.thresholds(taken) if taken and method != "aciq" else None
        found = []
        for i, (layer, weights, extent) in enumerate(zip(layers, scales, ranges, strict=True)):
            histogram = taken[i] if taken else None
            if thresholds:
                threshold = thresholds[i].threshold
                each = LayerCalibration(layer, weights, extent, histogram, threshold, scale_of(threshold))
            else:
                each = aciq_calibration(layer, weights, extent, histogram, upstream)
            report(each.line())
            found.append(each)
        if method == "eq":
            found = search(found, graph, len(samples), passes, upstream=upstream, report=report)
            for each in found:
                report(each.line())
    return Calibration(found, static_rows(graph))


def _crew(
    job: Job, activations: Activations, workers: int, executor: Executor | str | None
) -> AbstractContextManager[Crew]:
    """Who does the work."""
    if isinstance(executor, str):
        from fastpath.calibration.cluster import Cluster  # Dask is an optional dependency

        return Cluster(job, executor)
    if executor is not None:
        return Executors(job, executor, workers if workers > 1 else None)
    workers = min(workers, len(job.samples))
    return Processes(job, activations, workers) if workers > 1 else Alone(job, activations)


def weight_only(graph: Graph) -> Calibration:
    """The rows that need no samples."""
    return Calibration([], static_rows(graph))


class Passes:
    """The stages of a calibration as tasks for a crew. `held` says whether the second pass needs no inference."""

    def __init__(
        self, crew: Crew, layers: int, samples: int, checkpoint: Checkpoint | None, progress: Progress
    ) -> None:
        self.held = False
        self._crew = crew
        self._layers = layers
        self._total = samples
        self._checkpoint = checkpoint
        self._progress = progress
        self._homes: dict[tuple[int, ...], object] = {}

    def ranges(self) -> list[Range]:
        """The first pass: the range of each layer's bottom blob."""
        merged = [NO_RANGE] * self._layers
        done = np.zeros(self._total, np.bool_)
        if self._checkpoint:
            done, merged = self._checkpoint.load_ranges(done, merged)
        shards = self._shards(done)
        tasks = [Task("ranges", (shard,), len(shard)) for shard in shards]
        all_kept = 0
        for answer in self._crew.do(tasks, self._ticks(RANGES, int(done.sum()), self._total)):
            ranges, kept = answer.value
            merged = [a.merge(b) for a, b in zip(merged, ranges, strict=True)]
            shard = shards[answer.position]
            done[shard] = True
            all_kept += kept
            if kept:
                self._homes[tuple(shard)] = answer.worker
            if self._checkpoint:
                self._checkpoint.save_ranges(done, merged, last=bool(done.all()))
        self.held = all_kept == self._total
        return merged

    def histograms(self, ranges: Sequence[Range]) -> list[Histogram]:
        """The second pass: the histogram of each layer's bottom blob over its range."""
        merged = [empty_histogram(extent.absmax) for extent in ranges]
        done = np.zeros(self._total, np.bool_)
        if self._checkpoint:
            done, merged = self._checkpoint.load_histograms(done, merged)
        shards = self._shards(done)
        tasks = [Task("histograms", (shard, ranges), len(shard), self._homes.get(tuple(shard))) for shard in shards]
        for answer in self._crew.do(tasks, self._ticks(HISTOGRAMS, int(done.sum()), self._total)):
            merged = [a.merge(b) for a, b in zip(merged, answer.value, strict=True)]
            shard = shards[answer.position]
            done[shard] = True
            if self._checkpoint:
                self._checkpoint.save_histograms(done, ranges, merged, last=bool(done.all()))
        return merged

    def thresholds(self, histograms: Sequence[Histogram]) -> list[KlThreshold]:
        """What kl makes of each histogram; equal ones, as of copies of a blob, are looked at once."""
        keys = [(histogram.absmax, histogram.counts.tobytes()) for histogram in histograms]
        distinct = dict(zip(keys, histograms, strict=True))
        tasks = [Task("threshold", (histogram,)) for histogram in distinct.values()]
        found = {answer.position: answer.value for answer in self._crew.do(tasks, lambda: None)}
        thresholds = dict(zip(distinct, (found[position] for position in range(len(tasks))), strict=True))
        return [thresholds[key] for key in keys]

    def search(
        self, layers: Sequence[LayerCalibration], positions: Sequence[Sequence[int]]
    ) -> Iterable[tuple[list[float], float, list[str]]]:
        """What eq makes of each layer, with these samples for each: weight scales, activation scale, lines to report.

        In the order of the layers.
        """
        tasks = [
            Task("search", (i, used, found.weight_scales, found.bottom_scale), len(used))
            for i, (found, used) in enumerate(zip(layers, positions, strict=True))
        ]
        total = sum(task.samples for task in tasks)
        early: dict[int, tuple[list[float], float, list[str]]] = {}
        for answer in self._crew.do(tasks, self._ticks(SEARCH, 0, total)):
            early[answer.position] = answer.value
        return [early[position] for position in range(len(tasks))]

    def _shards(self, done: NDArray[np.bool_]) -> list[list[int]]:
        """The samples that are not done, in parts: single ones if this thread does the work.

        Parts get smaller towards the end, so that all workers finish together.
        """
        missing = np.flatnonzero(~done).tolist()
        parts = SHARDS_PER_WORKER * self._crew.size
        shards = []
        while missing:
            size = min(max(len(missing) // parts, 1), LARGEST_SHARD) if parts else 1
            shards.append(missing[:size])
            missing = missing[size:]
        return shards

    def _ticks(self, stage: str, done: int, total: int) -> Tick:
        """What counts the samples of a stage."""
        counter = itertools.count(done)
        return lambda: self._progress(stage, next(counter), total)


def measure_ranges(layers: Sequence[Layer], bottoms: Bottoms, *, progress: Progress = _no_progress) -> list[Range]:
    """The first pass in this thread: the range of each layer's bottom blob."""
    total = len(bottoms.samples)
    counter = itertools.count()
    return bottoms.ranges(range(total), lambda: progress(RANGES, next(counter), total))


def build_histograms(
    ranges: Sequence[Range], bottoms: Bottoms, *, progress: Progress = _no_progress
) -> list[Histogram]:
    """The second pass in this thread: the histogram of each layer's bottom blob over its range."""
    total = len(bottoms.samples)
    counter = itertools.count()
    return bottoms.histograms(range(total), ranges, lambda: progress(HISTOGRAMS, next(counter), total))


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
    samples: int,
    passes: Passes,
    *,
    upstream: bool,
    report: Callable[[str], None],
) -> list[LayerCalibration]:
    """The eq method, from the outcome of kl."""
    used = [list(range(samples))[:MOST_SAMPLES]] * len(found)
    if upstream:
        check_upstream_search(found, graph, samples)
        used = [[position] * min(samples, MOST_SAMPLES) for position in range(len(found))]
    improved = []
    for start, (weights, bottom, lines) in zip(found, passes.search(found, used), strict=True):
        for line in lines:
            report(line)
        improved.append(replace(start, weight_scales=weights, bottom_scale=bottom, threshold=scale_of(bottom)))
    return improved


def check_upstream_search(found: Sequence[LayerCalibration], graph: Graph, samples: int) -> None:
    """CalibrationError where the real tool's search would read beyond its lists.

    It takes the sample from the position of the layer, and the input from the position of the weight scale.
    """
    if len(graph.input_names()) != 1 or any(weight_groups(each.layer) != 1 for each in found):
        raise CalibrationError("the real tool's eq search needs one input and layers with one weight scale each")
    if samples < len(found):
        raise CalibrationError(f"the real tool's eq search needs {len(found)} samples, one for each layer")
