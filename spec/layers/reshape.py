"""Reshape, Flatten, Squeeze, ExpandDims: the same values in the same order under another shape, for any dtype."""

from __future__ import annotations

import math

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob
from spec.graph import Layer, Shape, ncnn_extents
from spec.layers.common import fault, only_bottom, resolve_axis
from spec.shape_expression import evaluate

ABSENT = -233
"""An extent that is not given."""

COPIED, THE_REST = 0, -1
"""An extent that is the bottom's of the same name, and one that takes what the others leave."""

NO_BATCH = 233
"""The batch axis of a network without batches."""

AXIS_NAMES = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}
"""The axes of a blob of each rank, outermost first."""


def reshape(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The values of the first bottom under the shape that the parameters or the shape expression give.

    An extent of 0 copies the bottom's of the same name (1 if it has none); one extent of -1 takes the rest. The rank is
    that of the extents that are given, from w up. GraphError unless the number of values matches.

    Follows: ncnn src/layer/reshape.cpp @ a4d2ea1d, for batches of one.

    >>> from spec.blob import float_blob
    >>> reshape(Layer("Reshape", "r", [], [], {0: 2, 1: -1}), [float_blob((4,), [1.0, 2.0, 3.0, 4.0])])[0].tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    if not bottoms:
        raise fault(layer, "takes at least one bottom blob")
    blob = bottoms[0]
    wanted = _wanted_extents(layer, bottoms)
    _, w, h, d, c = ncnn_extents(blob.shape)
    own = {"w": w, "h": h, "d": d, "c": c}
    names = AXIS_NAMES[len(wanted)]
    shape = tuple(own[name] if extent == COPIED else extent for name, extent in zip(names, wanted))
    return [blob.reshaped(_fitted(layer, shape, len(blob.values)))]


def flatten(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The values of the bottom as one row.

    Follows: ncnn src/layer/flatten.cpp @ a4d2ea1d.
    """
    blob = only_bottom(layer, bottoms)
    return [blob.reshaped((len(blob.values),))]


def squeeze(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Drop the chosen axes whose extent is 1; what remains of nothing is (1,).

    The axes are `axes`, or else those whose flags are set. Chosen axes of another extent stay.

    Follows: ncnn src/layer/squeeze.cpp @ a4d2ea1d.

    >>> from spec.blob import float_blob
    >>> squeeze(Layer("Squeeze", "s", [], [], {3: [0]}), [float_blob((1, 2), [1.0, 2.0])])[0].tolist()
    [1.0, 2.0]
    """
    blob = only_bottom(layer, bottoms)
    rank = len(blob.shape)
    axes = layer.get.integers("axes")
    if axes:
        chosen = {resolve_axis(layer, axis, rank) for axis in axes}
    else:
        names = AXIS_NAMES[rank]
        chosen = {axis for axis in range(rank) if layer.get.integer(f"squeeze_{names[axis]}")}
    left = tuple(extent for axis, extent in enumerate(blob.shape) if extent != 1 or axis not in chosen)
    return [blob.reshaped(left or (1,))]


def expand_dims(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Insert axes of extent 1, at positions that count in the result. GraphError for more than 4 dims.

    Follows: ncnn src/layer/expanddims.cpp @ a4d2ea1d.

    >>> from spec.blob import float_blob
    >>> expand_dims(Layer("ExpandDims", "e", [], [], {3: [1]}), [float_blob((2,), [1.0, 2.0])])[0].tolist()
    [[1.0], [2.0]]
    """
    blob = only_bottom(layer, bottoms)
    axes = layer.get.integers("axes")
    rank = len(blob.shape) + len(axes)
    if rank > 4:
        raise fault(layer, f"would make {rank} dims of shape {blob.shape}, but a blob has at most 4")
    new = {resolve_axis(layer, axis, rank) for axis in axes}
    if len(new) != len(axes):
        raise fault(layer, f"names an axis twice in {axes}")
    old = iter(blob.shape)
    return [blob.reshaped(tuple(1 if axis in new else next(old) for axis in range(rank)))]


def _wanted_extents(layer: Layer, bottoms: list[Blob]) -> list[int]:
    """The extents as given, outermost first."""
    expression = layer.get.text("shape_expr")
    if expression:
        values = evaluate(layer, expression, [bottom.shape for bottom in bottoms])
        if not 1 <= len(values) <= 4:
            raise fault(layer, f"has a shape expression of {len(values)} extents")
        return values[::-1]
    w, h, d, c = (layer.get.integer(name) for name in "whdc")
    if w == ABSENT:
        raise fault(layer, "has no extents")
    if h == ABSENT:
        return [w]
    if c == ABSENT:
        return [h, w]
    if d == ABSENT:
        return [c, h, w]
    return [c, d, h, w]


def _fitted(layer: Layer, shape: Shape, count: int) -> Shape:
    """The shape with its -1 resolved. GraphError unless it holds `count` values."""
    known = math.prod(extent for extent in shape if extent != THE_REST)
    rest = count // known if known > 0 else 0
    fitted = tuple(rest if extent == THE_REST else extent for extent in shape)
    if shape.count(THE_REST) > 1 or min(fitted) <= 0 or math.prod(fitted) != count:
        raise fault(layer, f"cannot give {count} values the shape {shape}")
    return fitted


def check_reshape(layer: Layer) -> None:
    """GraphError for a Reshape that moves a batch axis."""
    if {layer.get.integer("input_batch_axis"), layer.get.integer("output_batch_axis")} != {NO_BATCH}:
        raise fault(layer, "moves a batch axis, but blobs here have none")


FORWARD = {"Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "ExpandDims": expand_dims}
CHECK = {"Reshape": check_reshape}
