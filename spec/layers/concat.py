"""Concat."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob
from spec.graph import Layer
from spec.layers.common import fault, resolve_axis, split_at


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The bottoms one after the other along an axis, of any dtype that they share.

    GraphError unless they have the same rank, dtype and extents on the other axes.

    Follows: ncnn src/layer/concat.cpp @ a4d2ea1d.
    Unspecified: upstream trusts the first bottom's extents.

    >>> from spec.blob import float_blob
    >>> layer = Layer("Concat", "c", [], [], {0: 1})
    >>> forward(layer, [float_blob((2, 1), [1.0, 2.0]), float_blob((2, 1), [3.0, 4.0])])[0].tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    if not bottoms:
        raise fault(layer, "takes at least one bottom blob")
    first = bottoms[0]
    axis = resolve_axis(layer, layer.get.integer("axis"), len(first.shape))
    for blob in bottoms[1:]:
        if blob.dtype != first.dtype:
            raise fault(layer, f"joins blobs of one dtype, not {first.dtype} and {blob.dtype}")
        if (*blob.shape[:axis], *blob.shape[axis + 1 :]) != (*first.shape[:axis], *first.shape[axis + 1 :]):
            raise fault(layer, f"cannot join shapes {first.shape} and {blob.shape} along axis {axis}")
    outer = split_at(first.shape, axis)[0]
    values: list[float] = []
    for index in range(outer):
        for blob in bottoms:
            size = len(blob.values) // outer
            values += blob.values[index * size : (index + 1) * size]
    extent = sum(blob.shape[axis] for blob in bottoms)
    return [Blob((*first.shape[:axis], extent, *first.shape[axis + 1 :]), first.dtype, values)]


FORWARD = {"Concat": forward}
