"""Networks from a few lines of param text, with random weights."""

from __future__ import annotations

from array import array

import numpy as np

from spec.formats.param import parse_param
from spec.formats.weights import zero_weights
from spec.graph import Graph, Layer, Weight

Inputs = dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"]


def net(*lines: str, seed: int = 0) -> Graph:
    """A network; its weights are random, variances and scales positive, matrices of int8 layers int8."""
    blobs: dict[str, None] = {}
    for line in lines:
        words = line.split()
        blobs |= dict.fromkeys(words[4 : 4 + int(words[2]) + int(words[3])])
    graph = parse_param("\n".join(["7767517", f"{len(lines)} {len(blobs)}", *lines, ""]))
    zero_weights(graph)
    graph.null_weights = False
    rng = np.random.default_rng(seed)
    for layer in graph:
        for name, weight in layer.weights.items():
            layer.weights[name] = _filled(layer, weight, rng)
    return graph


def _filled(layer: Layer, weight: Weight, rng: np.random.Generator) -> Weight:
    count = len(weight)
    if weight.name == "weight_data" and layer.params.get(8, 0) != 0:
        codes = rng.integers(-127, 128, count).astype(np.int8)
        return Weight(weight.name, "tagged", "int8", array("b", codes.tobytes()))
    values = rng.uniform(-1, 1, count)
    if weight.name in ("var_data", "scale_data") or weight.name.endswith("scales"):
        values = rng.uniform(0.5, 2.0, count)
    if weight.name == "weight_data":
        fan_in = max(1, count // max(1, layer.get.integer("num_output")))
        values /= fan_in**0.5
    return Weight(weight.name, weight.kind, "float32", array("f", values.astype(np.float32).tobytes()))


def random_inputs(graph: Graph, seed: int = 1) -> Inputs:
    """One random blob for every Input, of the shape that it gives."""
    rng = np.random.default_rng(seed)
    inputs: Inputs = {}
    for layer in graph:
        if layer.type == "Input":
            w, h, d, c = (layer.get.integer(name) for name in "whdc")
            shape = tuple(extent for extent in (c, d, h, w) if extent)
            inputs[layer.tops[0]] = rng.uniform(-1, 1, shape).astype(np.float32)
    return inputs
