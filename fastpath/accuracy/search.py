"""Scales for every layer, one after the other in the order of the network.

Two networks run side by side over the same samples, layer by layer: the float one, and the int8 one as far as it has
been chosen. A layer's threshold and weight scales are those with which its output is nearest to the float network's.
The int8 input already carries the errors of the layers before, so what follows makes up for some of them; or, if
`sequential` is off, every layer is chosen by itself, on float inputs.

Layers that read the same blob get one threshold: the real ncnn2int8 hands all of them the codes of the first.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fastpath.accuracy import thresholds, weight_search
from fastpath.accuracy.metrics import Difference, difference
from fastpath.accuracy.network import Blobs, operators, quantizable, split_sources
from fastpath.accuracy.tables import as_written, copied_layer
from fastpath.calibration.calibrate import scale_of
from fastpath.calibration.eq import quantized_layer
from fastpath.calibration.statistics import Histogram, Range
from fastpath.calibration.weight_scales import CONVOLUTION_TYPES, Row, static_rows
from fastpath.layers import PREPARE
from fastpath.layers.common import Array, Operator
from fastpath.quantization.arithmetic import NUMPY_ARITHMETIC
from fastpath.rounding import BELOW_HALF
from spec.graph import Graph, Layer, float_weight
from spec.quantization.quantize_model import PASSES
from spec.quantization.scales import ScaleSource

JUDGES = 4
"""Thresholds are judged on this many samples; weight scales on all."""

Named = tuple[str, float]
"""A threshold and the method that it came from."""


@dataclass(frozen=True)
class Statistics:
    """What the float network's bottom blob of a layer looks like over all calibration samples."""

    range: Range
    histogram: Histogram

    @cached_property
    def candidates(self) -> dict[str, float]:
        """Thresholds by the name of their method."""
        return thresholds.candidates(self.range, self.histogram)


@dataclass(frozen=True)
class LayerChoice:
    """What was chosen for one layer with calibrated activations."""

    method: str
    threshold: float
    bottom_scale: float
    weight_scales: list[float]
    largest_code: int


@dataclass(frozen=True)
class Choices:
    """What was chosen for a network: by layer name, in file order."""

    layers: Mapping[str, LayerChoice]

    def rows(self, graph: Graph) -> list[Row]:
        """All rows in the order of ncnn2table."""
        weights = [(f"{name}_param_0", choice.weight_scales) for name, choice in self.layers.items()]
        bottoms = [(name, [choice.bottom_scale]) for name, choice in self.layers.items()]
        return [*weights, *bottoms, *static_rows(graph)]


def static_operator(layer: Layer) -> Operator | None:
    """The int8 form of a layer whose scales come from its weights alone; None for other types."""
    if layer.type in CONVOLUTION_TYPES or layer.type not in PASSES:
        return None
    layer = copied_layer(layer)
    PASSES[layer.type](layer, ScaleSource(None, NUMPY_ARITHMETIC, upstream=False))
    return PREPARE[layer.type](layer)


def int8_operator(layer: Layer, bottom_scale: float, weight_scales: Sequence[float]) -> Operator:
    """A layer with calibrated activations in int8, its output float."""
    quantized = quantized_layer(layer, weight_scales, bottom_scale)
    finite = array("f", [1.0 if np.isinf(scale) else scale for scale in weight_scales])
    quantized.weights["weight_data_int8_scales"] = float_weight("weight_data_int8_scales", finite, "raw")
    return PREPARE[layer.type](quantized)


def quantized_input(blob: Array, scale: float) -> Array:
    """What int8 keeps of a blob."""
    codes = np.clip(np.asarray(blob, np.float32) * np.float32(scale), -127, 127)
    return np.asarray(np.trunc(codes + np.copysign(BELOW_HALF, codes)) / np.float32(scale), np.float32)


class Search:
    """Chooses the scales of all layers of a float network."""

    def __init__(
        self,
        graph: Graph,
        samples: Sequence[Blobs],
        statistics: Mapping[str, Statistics],
        *,
        floats: Collection[str] = (),
        sequential: bool = True,
        keep_six_bits: bool = False,
        given: Mapping[str, float] | None = None,
        progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    ) -> None:
        """`samples` feed the network, by input blob; `statistics` are by layer; the layers `floats` stay float.

        With `given` the bottom scales are these, by layer, and only weight scales are chosen.
        """
        self.graph = graph
        self.samples = samples
        self.statistics = statistics
        self.floats = floats
        self.sequential = sequential
        self.keep_six_bits = keep_six_bits
        self.given = given
        self.progress = progress
        self.sources = split_sources(graph)
        self.wanted = {layer.name for layer in quantizable(graph) if layer.type in CONVOLUTION_TYPES}
        self.layers: dict[str, LayerChoice] = {}
        self.thresholds: dict[str, Named] = {}

    def run(self) -> Choices:
        """Choose the scales of every layer, those of `floats` too."""
        exact = [dict(sample) for sample in self.samples]
        quantized = [dict(sample) for sample in self.samples]
        last = {name: i for i, layer in enumerate(self.graph) for name in layer.bottoms}
        for i, (layer, operator) in enumerate(zip(self.graph, operators(self.graph), strict=True)):
            self.progress("choose scales", i, len(self.graph.layers))
            if layer.type == "Input":
                continue
            int8 = self._int8(layer, exact, quantized)
            with np.errstate(all="ignore"):
                for x, q in zip(exact, quantized, strict=True):
                    tops = operator([x[name] for name in layer.bottoms])
                    seen = q if self.sequential else x
                    other = (int8 or operator)([seen[name] for name in layer.bottoms])
                    x.update(zip(layer.tops, tops, strict=True))
                    q.update(zip(layer.tops, other if self.sequential else tops, strict=True))
                    for name in layer.bottoms:
                        if last[name] == i:
                            x.pop(name, None)
                            q.pop(name, None)
        return Choices({layer.name: self.layers[layer.name] for layer in self.graph if layer.name in self.layers})

    def _int8(self, layer: Layer, exact: list[Blobs], quantized: list[Blobs]) -> Operator | None:
        """The int8 form of a layer; None where it stays float."""
        if layer.name not in self.wanted:
            return None if layer.name in self.floats else static_operator(layer)
        bottom = layer.bottoms[0]
        pairs = [(x[bottom], (q if self.sequential else x)[bottom]) for x, q in zip(exact, quantized, strict=True)]
        source = self.sources.get(bottom, bottom)
        if self.given is not None:
            scale = as_written(self.given[layer.name])
            method, threshold = "given", float(np.float32(127) / np.float32(scale))
        else:
            if source not in self.thresholds:
                self.thresholds[source] = self._threshold(source, pairs)
            method, threshold = self.thresholds[source]
            scale = as_written(scale_of(threshold))
        form = weight_search.gather(layer, [(x, quantized_input(q, scale)) for x, q in pairs])
        weights = weight_search.choose(layer, form, scale, keep_six_bits=self.keep_six_bits)
        self.layers[layer.name] = LayerChoice(method, threshold, scale, weights.scales, weights.largest_code)
        return None if layer.name in self.floats else int8_operator(layer, scale, weights.scales)

    def _threshold(self, source: str, pairs: list[tuple[Array, Array]]) -> Named:
        """The threshold with which all layers that read the blob `source` together lose least."""
        readers = [
            layer
            for layer in self.graph
            if layer.name in self.wanted and self.sources.get(layer.bottoms[0], layer.bottoms[0]) == source
        ]
        statistics = self.statistics[readers[0].name]
        if statistics.range.absmax == 0.0:
            return "always zero", 127.0
        judging = [layer for layer in readers if layer.name not in self.floats] or readers
        judges = pairs[:: max(len(pairs) // JUDGES, 1)][:JUDGES]
        tasks = [_Task(layer, judges) for layer in judging]
        losses: dict[Named, float] = {}
        for tried in (statistics.candidates, None):
            if tried is None:
                tried = thresholds.around(*min(losses, key=losses.__getitem__), statistics.range.absmax)
            for name, threshold in tried.items():
                losses[name, threshold] = sum(task.loss(as_written(scale_of(threshold))) for task in tasks)
        return min(losses, key=losses.__getitem__)


class _Task:
    """One layer that a threshold is judged by: its float outputs, and its weights with little error of their own."""

    def __init__(self, layer: Layer, judges: Sequence[tuple[Array, Array]]) -> None:
        self.layer = layer
        self.bottoms = [quantized for _, quantized in judges]
        operator = PREPARE[layer.type](layer)
        with np.errstate(all="ignore"):
            self.tops = [operator([exact])[0] for exact, _ in judges]
        self.weight_scales = weight_search.absmax_scales(layer, 127)

    def loss(self, bottom_scale: float) -> float:
        """The noise of the output as a share of its signal."""
        operator = int8_operator(self.layer, bottom_scale, self.weight_scales)
        total = Difference()
        with np.errstate(all="ignore"):
            for bottom, top in zip(self.bottoms, self.tops, strict=True):
                total += difference(top, operator([bottom])[0])
        return total.noise / total.signal if total.signal > 0 else 0.0
