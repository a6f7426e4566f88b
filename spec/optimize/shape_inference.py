"""The shapes of all blobs of a network, from its Input layers on.

`infer_shapes` only computes; `report_shape_inference` does what ncnn's tool does after the passes: it writes the shapes
into the layers' hints, or says why it cannot. By default all hints are computed anew. In the upstream mode a blob that
has a hint already is taken to have that shape, right or wrong.

Follows: ncnn tools/modelwriter.h (shape_inference) @ a4d2ea1d.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from spec.graph import Graph, Layer, Shape
from spec.optimize.shape_rules import RULES, ShapeUnknown


@dataclass
class Inference:
    """Shapes by blob name, and by layer name why a layer's tops have none."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)


def infer_shapes(graph: Graph, trusted: Mapping[str, Shape] | None = None) -> Inference:
    """Shapes of all blobs that can be said. `trusted` blobs have the given shape, whatever makes them."""
    result = Inference(dict(trusted or {}))
    for layer in graph:
        missing = next((blob for blob in layer.bottoms if blob not in result.shapes), None)
        if all(top in result.shapes for top in layer.tops):
            continue
        if missing is not None:
            result.unknown[layer.name] = f"the shape of {missing} is not known"
            continue
        try:
            shapes = _shapes_of(layer, [result.shapes[blob] for blob in layer.bottoms])
        except ShapeUnknown as reason:
            result.unknown[layer.name] = str(reason)
            continue
        for top, shape in zip(layer.tops, shapes, strict=False):
            result.shapes.setdefault(top, shape)
    return result


def _shapes_of(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    if layer.type == "Input":
        shape = input_shape(layer)
        if shape is None:
            raise ShapeUnknown("the Input gives no shape")
        return [shape]
    if layer.type == "MemoryData":
        return [_memory_shape(layer)]
    rule = RULES.get(layer.type)
    if rule is None:
        raise ShapeUnknown(f"there is no shape rule for {layer.type}")
    return rule(layer, bottoms)


def input_shape(layer: Layer) -> Shape | None:
    """An Input's shape: w, or w and h, or w, h and c, or all four; None for any other mix."""
    w, h, d, c = (layer.get.integer(name) for name in "whdc")
    given = bool(w), bool(h), bool(d), bool(c)
    shapes: dict[tuple[bool, ...], Shape] = {
        (True, False, False, False): (w,),
        (True, True, False, False): (h, w),
        (True, True, False, True): (c, h, w),
        (True, True, True, True): (c, d, h, w),
    }
    return shapes.get(given)


def _memory_shape(layer: Layer) -> Shape:
    w, h, d, c = (layer.get.integer(name) for name in "whdc")
    shape: Shape = (c, d, h, w) if d else (c, h, w) if c else (h, w) if h else (w,)
    if math.prod(shape) < 1:
        raise ShapeUnknown("the MemoryData gives no shape")
    return shape


def why_skipped(graph: Graph) -> str | None:
    """Why nothing can be inferred, in upstream's words: custom layer types, or Inputs without shape."""
    if any(layer.layer_type is None for layer in graph):
        return "model has custom layer"
    for layer in graph:
        if layer.type == "Input" and input_shape(layer) is None:
            return f"Input layer {layer.name} without shape info"
    return None


def report_shape_inference(graph: Graph, *, upstream: bool = False, report: Callable[[str], None]) -> None:
    """Write the hints of all layers, with the log lines of ncnn's tool; layers without inferred shapes are named."""
    reason = why_skipped(graph)
    if reason is not None:
        report(f"{reason}, shape_inference skipped")
        return
    report("shape_inference")
    inference = infer_shapes(graph, graph.blob_shapes() if upstream else None)
    if not upstream:
        for name, why in inference.unknown.items():
            report(f"shape_inference {name} has no shape: {why}")
    for layer in graph:
        layer.hints = [inference.shapes.get(top) for top in layer.tops]
