"""Input and MemoryData: blobs that no other layer makes."""

from __future__ import annotations

import math

from fastpath.layers.common import Array, Operator, Prepare, fault, weights
from spec.graph import Layer


def prepare_input(layer: Layer) -> Operator:
    """Input stands for what the caller feeds; it never runs itself. The declared shape is not enforced."""

    def operator(bottoms: list[Array]) -> list[Array]:
        raise fault(layer, f"blob {layer.tops[0]} was not fed")

    return operator


def prepare_memory_data(layer: Layer) -> Operator:
    """MemoryData: a constant blob of shape (w,), (h, w), (c, h, w) or (c, d, h, w), by which extents are given.

    Follows: ncnn src/layer/memorydata.cpp @ a4d2ea1d.
    """
    w, h, d, c = (layer.get.integer(name) for name in ("w", "h", "d", "c"))
    if d:
        shape: tuple[int, ...] = (c, d, h, w)
    elif c:
        shape = (c, h, w)
    elif h:
        shape = (h, w)
    else:
        shape = (w,)
    if min(shape) < 1:
        raise fault(layer, f"has the impossible shape {shape}")
    blob = weights(layer, "data", math.prod(shape)).reshape(shape)
    return lambda bottoms: [blob]


PREPARE: dict[str, Prepare] = {"Input": prepare_input, "MemoryData": prepare_memory_data}
