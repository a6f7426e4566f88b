"""How long each layer takes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastpath.layers.common import Array, Operator
from fastpath.planning.plan import Plan
from spec.graph import Graph, Layer, Shape


@dataclass(frozen=True)
class LayerTime:
    """What a layer took: seconds, and the multiplications of its matrix products (0 for other layers)."""

    layer: Layer
    seconds: float
    multiplications: int

    @property
    def rate(self) -> float:
        """Multiplications a second."""
        return self.multiplications / self.seconds if self.seconds else 0.0


def multiplications(layer: Layer, shapes: Mapping[str, Shape]) -> int:
    """The products that a convolution or InnerProduct sums up, for blobs of these shapes; 0 for other layers."""
    if layer.type in ("Convolution", "ConvolutionDepthWise") and not layer.get.integer("dynamic_weight"):
        top = shapes[layer.tops[0]]
        return layer.get.integer("weight_data_size") * (math.prod(top) // layer.get.integer("num_output"))
    if layer.type == "InnerProduct":
        rows = math.prod(shapes[layer.tops[0]]) // layer.get.integer("num_output")
        return layer.get.integer("weight_data_size") * rows
    return 0


def profile_plan(graph: Graph, plan: Plan, fed: Mapping[str, Array], runs: int) -> list[LayerTime]:
    """The shortest time of each step of a plan over so many runs; layers that cost nothing are left out."""
    times: dict[int, float] = {}
    for _ in range(runs):
        plan.time(dict(fed), times)
    return _in_order(graph, times, plan.shapes)


def profile_layers(graph: Graph, operators: Sequence[Operator], fed: Mapping[str, Array], runs: int) -> list[LayerTime]:
    """The shortest time of each layer over so many runs, one after the other without a plan."""
    times: dict[int, float] = {}
    shapes: dict[str, Shape] = {}
    with np.errstate(all="ignore"):
        for _ in range(runs):
            blobs = dict(fed)
            for index, layer in enumerate(graph.layers):
                if layer.type == "Input" or any(name not in blobs for name in layer.bottoms):
                    continue
                bottoms = [blobs[name] for name in layer.bottoms]
                start = time.perf_counter()
                tops = operators[index](bottoms)
                times[index] = min(times.get(index, math.inf), time.perf_counter() - start)
                blobs.update(zip(layer.tops, tops, strict=True))
            shapes = {name: blob.shape for name, blob in blobs.items()}
    return _in_order(graph, times, shapes)


def _in_order(graph: Graph, times: Mapping[int, float], shapes: Mapping[str, Shape]) -> list[LayerTime]:
    return [
        LayerTime(graph.layers[index], seconds, multiplications(graph.layers[index], shapes))
        for index, seconds in sorted(times.items())
    ]
