"""GridSample: an image read at the points that a grid names."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, floats
from fastpath.layers.interp import cubic_weights
from spec.graph import Layer

BILINEAR, NEAREST, BICUBIC = 1, 2, 3
"""Values of `sample_type`."""

ZEROS, BORDER, REFLECTION = 1, 2, 3
"""Values of `padding_mode`: what lies outside."""

HALF, ONE, TWO = np.float32(0.5), np.float32(1), np.float32(2)

Taps = list[tuple[NDArray[np.int64], Floats]]
"""Along one axis the neighbours of every point, -1 for outside, each with its weights."""


def prepare_grid_sample(layer: Layer) -> Operator:
    """GridSample: (c, h, w) with a grid (out_h, out_w, 2) to (c, out_h, out_w), likewise for volumes.

    Follows: ncnn src/layer/gridsample.cpp @ a4d2ea1d.
    """
    for name in ("sample_type", "padding_mode"):
        if layer.get.integer(name) not in (1, 2, 3):
            raise fault(layer, f"has {name} {layer.get.integer(name)}, but knows 1, 2 and 3")
    cubic, fused = layer.get.integer("sample_type") == BICUBIC, layer.get.integer("permute_fusion") != 0

    def operator(bottoms: list[Array]) -> list[Array]:
        if len(bottoms) != 2:
            raise fault(layer, f"takes two bottom blobs, not {len(bottoms)}")
        image, grid = floats(layer, bottoms[0]), bottoms[1]
        if fused:
            grid = np.moveaxis(grid, 0, -1)
        space = image.shape[1:]
        if image.ndim not in (3, 4) or grid.ndim != image.ndim or grid.shape[-1] != len(space):
            raise fault(layer, f"cannot sample an image of shape {image.shape} with a grid of shape {grid.shape}")
        if cubic and len(space) == 3:
            raise fault(layer, "has no cubics for volumes")
        points = floats(layer, grid).reshape(-1, len(space))
        lines = [_taps(layer, points[:, -1 - axis], length) for axis, length in enumerate(space)]
        return [_sampled(image, lines).reshape(image.shape[0], *grid.shape[:-1])]

    return operator


def _taps(layer: Layer, coordinates: Floats, length: int) -> Taps:
    place = _unnormalized(layer, coordinates, length)
    if not np.isfinite(place).all():
        raise fault(layer, "has a grid with a coordinate that is not finite")
    kind = layer.get.integer("sample_type")
    if kind == BICUBIC:
        first = np.floor(place)
        weights = cubic_weights(place - first)
        near = [_reached(layer, first + np.float32(k - 1), length) for k in range(4)]
        return [(_index(place, length), weight) for place, weight in zip(near, weights, strict=True)]
    place = _reached(layer, place, length)
    if kind == NEAREST:
        return [(_index(np.floor(place.astype(np.float64) + 0.5), length), np.ones_like(place))]
    first = np.floor(place)
    rest = place - first
    return [(_index(first, length), ONE - rest), (_index(first.astype(np.float64) + 1, length), rest)]


def _unnormalized(layer: Layer, coordinates: Floats, length: int) -> Floats:
    """From -1 ... 1 to the axis of cell centres 0 ... length - 1."""
    if layer.get.integer("align_corner"):
        return (coordinates + ONE) / TWO * np.float32(length - 1)
    return ((coordinates + ONE) * np.float32(length) - ONE) / TWO


def _reached(layer: Layer, place: Floats, length: int) -> Floats:
    """The places inside the axis that places outside stand for; unchanged where zeros lie outside."""
    mode = layer.get.integer("padding_mode")
    if mode == ZEROS:
        return place
    if mode == REFLECTION:
        place = _reflected(place, length, layer.get.integer("align_corner") != 0)
    return np.minimum(np.maximum(place, np.float32(0)), np.float32(length - 1))


def _reflected(place: Floats, length: int, align_corner: bool) -> Floats:
    """Mirrored at the outer centres, or at the outer edges, as often as needed."""
    first, span = (0.0, float(length - 1)) if align_corner else (-0.5, float(length))
    if span == 0:
        return np.zeros_like(place)
    rest = np.fmod(np.abs(place.astype(np.float64) - first), 2 * span)
    return (np.where(rest > span, 2 * span - rest, rest) + first).astype(np.float32)


def _index(place: NDArray[np.floating], length: int) -> NDArray[np.int64]:
    """Whole places as indexes, -1 for those outside."""
    inside = (place > -1) & (place < length)
    return np.where(inside, np.where(inside, place, 0).astype(np.int64), -1)


def _sampled(image: Floats, lines: list[Taps]) -> Floats:
    """The sums over neighbours, the innermost axis running fastest."""
    count = lines[0][0][0].size
    total = np.zeros((image.shape[0], count), np.float32)
    flat = image.reshape(image.shape[0], -1)
    for taps in itertools.product(*lines):
        position, inside, weight = np.zeros(count, np.int64), np.ones(count, np.bool_), np.ones(count, np.float32)
        for (index, factor), extent in zip(taps, image.shape[1:], strict=True):
            position = position * extent + index
            inside &= index >= 0
            weight = weight * factor
        products = flat[:, np.where(inside, position, 0)] * weight
        np.add(total, products, out=total, where=inside)
    return total


PREPARE: dict[str, Prepare] = {"GridSample": prepare_grid_sample}
