"""Reshape, Flatten, Squeeze, ExpandDims: the same values in the same order with other extents, any dtype."""

from __future__ import annotations

import math

import numpy as np

from fastpath.layers.common import Array, Operator, Prepare, fault, only_bottom, resolve_axis
from spec.graph import Layer, Shape, ncnn_extents
from spec.shape_expression import evaluate

UNSET = -233
"""An extent that is not given."""

NO_BATCH = 233
"""The batch axis of a network without batches."""


def prepare_reshape(layer: Layer) -> Operator:
    """Reshape: 0 keeps the extent of that name, one -1 takes the rest; or an expression over the bottoms' extents.

    Follows: ncnn src/layer/reshape.cpp @ a4d2ea1d.
    """
    if {layer.get.integer("input_batch_axis"), layer.get.integer("output_batch_axis")} != {NO_BATCH}:
        raise fault(layer, "moves a batch axis, but blobs here have none")
    expression = layer.get.text("shape_expr")
    w, h, d, c = (layer.get.integer(name) for name in ("w", "h", "d", "c"))

    def operator(bottoms: list[Array]) -> list[Array]:
        if not bottoms:
            raise fault(layer, "needs a bottom blob")
        blob = bottoms[0]
        if expression:
            wanted = evaluate(layer, expression, [bottom.shape for bottom in bottoms])
            if not 1 <= len(wanted) <= 4:
                raise fault(layer, f"has a shape expression of {len(wanted)} extents, but a blob has 1 to 4 dims")
        else:
            wanted = _given(w, h, d, c)
        return [blob.reshape(_resolved(layer, wanted, blob.shape))]

    return operator


def _given(w: int, h: int, d: int, c: int) -> list[int]:
    """The extents that are given: w, (h), (d), c."""
    if w == UNSET:
        return []
    if h == UNSET:
        return [w]
    if c == UNSET:
        return [w, h]
    if d == UNSET:
        return [w, h, c]
    return [w, h, d, c]


def _resolved(layer: Layer, wanted: list[int], shape: Shape) -> Shape:
    """The new shape in numpy order."""
    if not wanted:
        raise fault(layer, "has no extents")
    names = {1: "w", 2: "wh", 3: "whc", 4: "whdc"}[len(wanted)]
    have = dict(zip("whdc", ncnn_extents(shape)[1:], strict=True))
    extents = [have[name] if extent == 0 else extent for name, extent in zip(names, wanted, strict=True)]
    total = math.prod(shape)
    if extents.count(-1) == 1:
        known = math.prod(extent for extent in extents if extent != -1)
        extents[extents.index(-1)] = total // known if known > 0 else 0
    if min(extents) < 1 or math.prod(extents) != total:
        raise fault(layer, f"cannot give shape {shape} the extents {', '.join(map(str, wanted))} ({', '.join(names)})")
    return tuple(reversed(extents))


def prepare_flatten(layer: Layer) -> Operator:
    """Flatten: one dim. Follows: ncnn src/layer/flatten.cpp @ a4d2ea1d."""
    return lambda bottoms: [only_bottom(layer, bottoms).reshape(-1)]


def prepare_squeeze(layer: Layer) -> Operator:
    """Squeeze: drop the named axes where their extent is 1. Follows: ncnn src/layer/squeeze.cpp @ a4d2ea1d."""
    axes = layer.get.integers("axes")
    flags = {name: layer.get.integer(f"squeeze_{name}") != 0 for name in "whdc"}

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        if axes:
            dropped = {resolve_axis(layer, axis, blob.ndim) for axis in axes}
        else:
            names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[blob.ndim]
            dropped = {axis for axis, name in enumerate(names) if flags[name]}
        shape = [extent for axis, extent in enumerate(blob.shape) if axis not in dropped or extent != 1]
        return [blob.reshape(shape or [1])]

    return operator


def prepare_expand_dims(layer: Layer) -> Operator:
    """ExpandDims: axes of extent 1 at the given places of the result.

    Follows: ncnn src/layer/expanddims.cpp @ a4d2ea1d.
    """
    axes = layer.get.integers("axes")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        rank = blob.ndim + len(axes)
        if rank > 4:
            raise fault(layer, f"gives a blob of {rank} dims, but 4 is the most")
        places = {resolve_axis(layer, axis, rank) for axis in axes}
        if len(places) != len(axes):
            raise fault(layer, f"names an axis twice: {axes}")
        return [np.expand_dims(blob, tuple(places))]

    return operator


PREPARE: dict[str, Prepare] = {
    "Reshape": prepare_reshape,
    "Flatten": prepare_flatten,
    "Squeeze": prepare_squeeze,
    "ExpandDims": prepare_expand_dims,
}
