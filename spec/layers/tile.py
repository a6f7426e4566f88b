"""Tile."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob
from spec.graph import Layer, Shape
from spec.layers.common import fault, only_bottom, resolve_axis
from spec.layers.strided import positions, strides_of


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The blob repeated: `tiles` times along an axis, or `repeats` times along each, aligned with the innermost.

    One case differs: a (c, h, w) blob with four repeats keeps c outermost and becomes (c * r0, r1, h * r2, w * r3).

    Follows: ncnn src/layer/tile.cpp @ a4d2ea1d.

    >>> from spec.blob import float_blob
    >>> forward(Layer("Tile", "t", [], [], {2: [2, 1]}), [float_blob((2,), [1.0, 2.0])])[0].tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    blob = only_bottom(layer, bottoms)
    shape, repeats = _aligned(layer, blob.shape)
    if min(repeats) < 1:
        raise fault(layer, f"cannot repeat {repeats} times")
    extents: list[int] = []
    strides: list[int] = []
    for repeat, extent, stride in zip(repeats, shape, strides_of(shape)):
        extents += [repeat, extent]
        strides += [0, stride]
    tiled = tuple(repeat * extent for repeat, extent in zip(repeats, shape))
    values = [blob.values[place] for place in positions(extents, strides)]
    return [Blob(tiled, blob.dtype, values)]


def _aligned(layer: Layer, shape: Shape) -> tuple[Shape, list[int]]:
    """The shape and the repeats, filled up with ones to the same rank."""
    repeats = layer.get.integers("repeats")
    rank = len(shape)
    if not repeats:
        axis = resolve_axis(layer, layer.get.integer("axis"), rank)
        tiles = layer.get.integer("tiles")
        return shape, [tiles if index == axis else 1 for index in range(rank)]
    if len(repeats) > 4:
        raise fault(layer, f"has {len(repeats)} repeats, but a blob has at most 4 dims")
    if rank == 3 and len(repeats) == 4:
        return (shape[0], 1, *shape[1:]), repeats
    missing = len(repeats) - rank
    return (1,) * missing + shape, [1] * -missing + repeats


FORWARD = {"Tile": forward}
