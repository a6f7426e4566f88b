"""GridSample."""

from __future__ import annotations

import itertools
import math

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.graph import Layer
from spec.layers.common import fault, floats
from spec.layers.interp import cubic_weights
from spec.layers.strided import strides_of, transpose

BILINEAR, NEAREST, BICUBIC = 1, 2, 3
"""Values of `sample_type`."""

ZEROS, BORDER, REFLECTION = 1, 2, 3
"""Values of `padding_mode`: what lies outside."""

Taps = list[tuple[int | None, float]]
"""Indices along one axis with their weights; None is outside and counts as 0."""


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Every place of the grid names a point of the image, and takes its interpolated value.

    (c, h, w) with a grid (out_h, out_w, 2) to (c, out_h, out_w), and (c, d, h, w) with (out_d, out_h, out_w, 3); with
    permute_fusion the grid's last axis comes first. Coordinates x, y(, z) of -1 and 1 are the borders: the centres of
    the outer cells with align_corner, else their outer edges.

    Follows: ncnn src/layer/gridsample.cpp @ a4d2ea1d.
    Unspecified: the order of the sums over neighbours, here along z, y and x with products of weights rounded.

    >>> layer = Layer("GridSample", "g", [], [], {2: 1})
    >>> image, grid = float_blob((1, 1, 3), [1.0, 2.0, 4.0]), float_blob((1, 2, 2), [-1.0, 0.0, 0.5, 0.0])
    >>> forward(layer, [image, grid])[0].tolist()
    [[[1.0, 3.0]]]
    """
    if len(bottoms) != 2:
        raise fault(layer, f"takes two bottom blobs, not {len(bottoms)}")
    image, grid = bottoms
    values = floats(layer, image)
    space = image.shape[1:]
    if layer.get.integer("permute_fusion"):
        grid = transpose(grid, (*range(1, len(grid.shape)), 0))
    if len(image.shape) not in (3, 4) or len(grid.shape) != len(image.shape) or grid.shape[-1] != len(space):
        raise fault(layer, f"cannot sample an image of shape {image.shape} with a grid of shape {grid.shape}")
    if layer.get.integer("sample_type") == BICUBIC and len(space) == 3:
        raise fault(layer, "has no cubics for volumes")
    coordinates = floats(layer, grid)
    points = [
        _point(layer, coordinates[k : k + len(space)][::-1], space) for k in range(0, len(coordinates), len(space))
    ]
    size = math.prod(space)
    result = [
        _sampled(values[start : start + size], point) for start in range(0, len(values), size) for point in points
    ]
    return [float_blob((image.shape[0], *grid.shape[:-1]), result)]


def _point(layer: Layer, coordinates: list[float], space: tuple[int, ...]) -> Taps:
    """The positions and weights that make one value, for coordinates in the order of the axes."""
    lines = [_taps(layer, coordinate, length) for coordinate, length in zip(coordinates, space)]
    point: Taps = []
    for taps in itertools.product(*lines):
        position: int | None = 0
        weight = 1.0
        for (index, factor), stride in zip(taps, strides_of(space)):
            position = None if index is None or position is None else position + index * stride
            weight = f32(weight * factor)
        point.append((position, weight))
    return point


def _taps(layer: Layer, coordinate: float, length: int) -> Taps:
    kind = layer.get.integer("sample_type")
    place = _unnormalized(layer, coordinate, length)
    if not math.isfinite(place):
        raise fault(layer, "has a grid with a coordinate that is not finite")
    if kind == BICUBIC:
        first = math.floor(place)
        weights = cubic_weights(f32(place - first))
        return [(_index(_reached(layer, float(first + k - 1), length), length), weights[k]) for k in range(4)]
    place = _reached(layer, place, length)
    if kind == NEAREST:
        return [(_index(math.floor(place + 0.5), length), 1.0)]
    first = math.floor(place)
    rest = f32(place - first)
    return [(_index(first, length), f32(1.0 - rest)), (_index(first + 1, length), rest)]


def _unnormalized(layer: Layer, coordinate: float, length: int) -> float:
    """From -1 ... 1 to the axis of cell centres 0 ... length - 1."""
    if layer.get.integer("align_corner"):
        return f32(f32(f32(coordinate + 1.0) / 2.0) * (length - 1))
    return f32(f32(f32(f32(coordinate + 1.0) * length) - 1.0) / 2.0)


def _reached(layer: Layer, place: float, length: int) -> float:
    """The place inside the axis that a place outside stands for; unchanged where zeros lie outside."""
    mode = layer.get.integer("padding_mode")
    if mode == ZEROS:
        return place
    if mode == REFLECTION:
        place = _reflected(place, length, bool(layer.get.integer("align_corner")))
    return min(max(place, 0.0), float(length - 1))


def _reflected(place: float, length: int, align_corner: bool) -> float:
    """Mirrored at the outer centres, or at the outer edges, as often as needed."""
    first, span = (0.0, float(length - 1)) if align_corner else (-0.5, float(length))
    if span == 0.0:
        return 0.0
    rest = math.fmod(abs(place - first), 2.0 * span)
    return f32((2.0 * span - rest if rest > span else rest) + first)


def _index(place: float, length: int) -> int | None:
    index = int(place)
    return index if 0 <= index < length else None


def _sampled(values: list[float], point: Taps) -> float:
    total = 0.0
    for position, weight in point:
        if position is not None:
            total = f32(total + f32(values[position] * weight))
    return total


def check(layer: Layer) -> None:
    """GraphError for unknown kinds of sampling and padding."""
    for name in ("sample_type", "padding_mode"):
        if layer.get.integer(name) not in (1, 2, 3):
            raise fault(layer, f"has {name} {layer.get.integer(name)}, but knows 1, 2 and 3")


FORWARD = {"GridSample": forward}
CHECK = {"GridSample": check}
