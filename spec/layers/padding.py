"""Padding: borders around a blob, of float32 or of int8 codes."""

from __future__ import annotations

import itertools
import math

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob
from spec.graph import Layer
from spec.layers.common import fault, only_bottom
from spec.layers.strided import strides_of

CONSTANT, REPLICATE, REFLECT = 0, 1, 2
"""The values of the parameter `type`."""

Borders = list[tuple[int, int]]
"""Cells before and after, axis by axis."""


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Add cells before and after each axis: a constant, the nearest cell, or the mirror image without the edge.

    float32 or int8. left and right belong to the last axis, top and bottom to the one before, front and behind to the
    third from the end: channels of a 3-D blob, depth of a 4-D one. A constant for each channel of the result, if the
    layer has them, takes the place of `value` in blobs of 3 and 4 dims. Into int8 goes the constant without its
    fraction; it is not scaled.

    Follows: ncnn src/layer/padding.cpp @ a4d2ea1d.
    Unspecified: raises GraphError for int32, for negative borders, for a mirror image larger than the blob, and for
    constants that are no int8 code.

    >>> from spec.blob import int8_blob
    >>> layer = Layer("Padding", "p", ["x"], ["y"], {2: 2, 3: 1, 4: REFLECT})
    >>> forward(layer, [int8_blob((3,), [1, 2, 3])])[0].tolist()
    [3, 2, 1, 2, 3, 2]
    """
    blob = only_bottom(layer, bottoms)
    if blob.dtype == "int32":
        raise fault(layer, "pads float32 and int8, but its bottom blob is int32")
    kind = layer.get.integer("type")
    sources = [
        _sources(layer, kind, extent, before, after)
        for extent, (before, after) in zip(blob.shape, _borders(layer, len(blob.shape)), strict=True)
    ]
    shape = tuple(map(len, sources))
    fills = _fills(layer, blob, shape)
    strides = strides_of(blob.shape)
    values = []
    for channel, source in enumerate(sources[0]):
        for rest in itertools.product(*sources[1:]):
            cell = (source, *rest)
            if None in cell:
                values.append(fills[channel])
            else:
                values.append(blob.values[sum(i * stride for i, stride in zip(cell, strides) if i is not None)])
    return [Blob(shape, blob.dtype, values)]


def _borders(layer: Layer, rank: int) -> Borders:
    get = layer.get
    innermost = [
        (get.integer("left"), get.integer("right")),
        (get.integer("top"), get.integer("bottom")),
        (get.integer("front"), get.integer("behind")),
        (0, 0),
    ]
    return innermost[:rank][::-1]


def _sources(layer: Layer, kind: int, extent: int, before: int, after: int) -> list[int | None]:
    """For each cell of one axis of the result, the cell that it copies, or None for the constant."""
    if kind == REFLECT and max(before, after) >= extent:
        raise fault(layer, f"mirrors {max(before, after)} cells of an axis of {extent}, but at most {extent - 1} fit")
    positions = range(-before, extent + after)
    if kind == CONSTANT:
        return [i if 0 <= i < extent else None for i in positions]
    if kind == REPLICATE:
        return [min(max(i, 0), extent - 1) for i in positions]
    return [extent - 1 - abs(extent - 1 - abs(i)) for i in positions]


def _fills(layer: Layer, blob: Blob, shape: tuple[int, ...]) -> list[float]:
    """The constant for each index of the result's outermost axis."""
    fills = [f32(layer.get.number("value"))] * shape[0]
    if layer.get["per_channel_pad_data_size"] and len(shape) > 2:
        fills = layer.weight("per_channel_pad_data").floats().tolist()
        if len(fills) != shape[0]:
            raise fault(layer, f"has constants for {len(fills)} channels, but its result has {shape[0]}")
    if blob.dtype == "float32":
        return fills
    if not all(-129.0 < fill < 128.0 for fill in fills):
        raise fault(layer, "has a constant that is no int8 code")
    return [math.trunc(fill) for fill in fills]


def check(layer: Layer) -> None:
    """GraphError for an unknown type and for negative borders."""
    if layer.get.integer("type") not in (CONSTANT, REPLICATE, REFLECT):
        raise fault(layer, f"has type {layer.get.integer('type')}, but there are only 0, 1 and 2")
    if any(min(pair) < 0 for pair in _borders(layer, 3)):
        raise fault(layer, "has a negative border")


FORWARD = {"Padding": forward}
CHECK = {"Padding": check}
