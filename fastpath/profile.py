"""How long each layer takes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastpath.layers.common import Array, Operator
from fastpath.planning.plan import Plan
from spec.graph import Graph, Layer, Shape
from spec.optimize.mac_estimate import layer_mac_count

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
"""Matrices of each recurrent layer."""


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


def layer_costs(layers: Iterable[Layer], shapes: Mapping[str, Shape]) -> dict[str, int]:
    """The multiplications of each layer by name: ncnn's count, and the recurrent layers, which ncnn does not count."""
    return {layer.name: multiplications(layer, shapes) for layer in layers if layer.bottoms and layer.tops}


def multiplications(layer: Layer, shapes: Mapping[str, Shape]) -> int:
    """The products that a layer with weights sums up, for blobs of these shapes; 0 for other layers."""
    if not layer.bottoms or not layer.tops:
        return 0
    bottom, top = shapes.get(layer.bottoms[0]), shapes.get(layer.tops[0])
    if bottom is None or top is None:
        return 0
    if layer.type in GATES:
        get = layer.get.integer
        hidden = get("hidden_size" if layer.type == "LSTM" else "num_output")
        directions = 2 if get("direction") == 2 else 1
        inputs = get("weight_data_size") // (directions * GATES[layer.type] * hidden)
        return math.prod(bottom[:-1]) * directions * GATES[layer.type] * hidden * (inputs + get("num_output"))
    if layer.type == "InnerProduct" and len(bottom) == 2 and len(top) == 2:
        return math.prod(bottom) * top[-1]
    return layer_mac_count(layer, bottom, top)


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
