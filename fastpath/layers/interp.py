"""Interp: resizing by the nearest value, linearly, or with cubics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, floats
from spec.graph import Layer
from spec.shape_expression import evaluate

NEAREST, BILINEAR, BICUBIC = 1, 2, 3
"""Values of `resize_type`."""

A = np.float32(-0.75)
"""The parameter of the cubic."""

ONE = np.float32(1)


@dataclass(frozen=True)
class Taps:
    """For each place of the result the first source index, and the weights of it and its successors: (out, taps).

    Without weights the value at the index is taken as it is.
    """

    first: NDArray[np.int64]
    weights: Floats | None

    def apply(self, blob: Floats, axis: int) -> Floats:
        """Resize one axis: the weighted sum of neighbours from the first to the last, every step rounded."""
        if self.weights is None:
            return blob.take(self.first, axis)
        shape = [-1 if index == axis % blob.ndim else 1 for index in range(blob.ndim)]
        total = blob.take(self.first, axis) * self.weights[:, 0].reshape(shape)
        for tap in range(1, self.weights.shape[1]):
            total += blob.take(self.first + tap, axis) * self.weights[:, tap].reshape(shape)
        return total


def prepare_interp(layer: Layer) -> Operator:
    """Interp: (c, h, w) to (c, out_h, out_w), of a 2-D blob only w, and (c,) to (c, out_h, out_w).

    Follows: ncnn src/layer/interp.cpp @ a4d2ea1d.
    """
    kind = layer.get.integer("resize_type")
    if kind not in (NEAREST, BILINEAR, BICUBIC):
        raise fault(layer, f"has resize_type {kind}, but knows 1, 2 and 3")

    def operator(bottoms: list[Array]) -> list[Array]:
        if not bottoms:
            raise fault(layer, "takes at least one bottom blob")
        blob = floats(layer, bottoms[0])
        if blob.ndim == 4:
            raise fault(layer, f"takes a blob of 1 to 3 dims, not shape {blob.shape}")
        h, w = (1, 1) if blob.ndim == 1 else blob.shape[-2:]
        out_h, out_w = _target(layer, bottoms, h, w)
        if blob.ndim == 1:
            return [np.repeat(blob, out_h * out_w).reshape(-1, out_h, out_w)]
        if blob.ndim == 2:
            return [blob if out_w == w else taps(layer, w, out_w, "w").apply(blob, 1)]
        if (out_h, out_w) == (h, w):
            return [blob]
        across, down = taps(layer, w, out_w, "w"), taps(layer, h, out_h, "h")
        return [down.apply(across.apply(blob, 2), 1)]

    return operator


def _target(layer: Layer, bottoms: list[Array], h: int, w: int) -> tuple[int, int]:
    get = layer.get
    expression = get.text("size_expr")
    if expression:
        sizes = evaluate(layer, expression, [bottom.shape for bottom in bottoms])
        if len(sizes) not in (1, 2):
            raise fault(layer, f"has a size expression of {len(sizes)} extents")
        out_w, out_h = sizes[0], sizes[1] if len(sizes) == 2 else h
    elif get.integer("dynamic_target_size"):
        if len(bottoms) != 2:
            raise fault(layer, f"takes two bottom blobs, not {len(bottoms)}")
        like = bottoms[1].shape
        out_h, out_w = like[-2] if len(like) > 1 else 1, like[-1]
    elif get.integer("output_height") and get.integer("output_width"):
        out_h, out_w = get.integer("output_height"), get.integer("output_width")
    else:
        out_h = int(np.float32(h) * np.float32(get.number("height_scale")))
        out_w = int(np.float32(w) * np.float32(get.number("width_scale")))
    if out_h <= 0 or out_w <= 0:
        raise fault(layer, f"would resize {h} x {w} to {out_h} x {out_w}")
    return out_h, out_w


def taps(layer: Layer, length: int, out: int, axis: str) -> Taps:
    """Where the values of one axis come from."""
    kind = layer.get.integer("resize_type")
    if kind == NEAREST:
        return _nearest(layer, length, out, axis)
    if length == 1:
        return Taps(np.zeros(out, np.int64), None)
    places = np.arange(out, dtype=np.float64)
    if layer.get.integer("align_corner"):
        places *= (length - 1) / (out - 1) if out > 1 else 0.0
    else:
        places = (places + 0.5) * (length / out) - 0.5
    coordinates = places.astype(np.float32)
    if kind == BILINEAR:
        return linear_taps(coordinates, length)
    if length < 4:
        raise fault(layer, f"with cubics needs extents of 4 and more, not {length}")
    return cubic_taps(coordinates, length)


def _nearest(layer: Layer, length: int, out: int, axis: str) -> Taps:
    """The source is x * s, truncated: s is length / out where a size is given, else 1 / scale."""
    size, scale = ("output_width", "width_scale") if axis == "w" else ("output_height", "height_scale")
    if layer.get.integer(size) or layer.get.text("size_expr"):
        step = np.float32(length) / np.float32(out)
    else:
        step = ONE / np.float32(layer.get.number(scale))
    sources = (np.arange(out, dtype=np.float32) * step).astype(np.int64)
    return Taps(np.minimum(sources, length - 1), None)


def linear_taps(coordinates: Floats, length: int) -> Taps:
    """The two neighbours of each coordinate, weighted by their nearness, held inside the source."""
    index = np.floor(coordinates).astype(np.int64)
    rest = coordinates - index.astype(np.float32)
    rest[index < 0] = 0
    index[index < 0] = 0
    rest[index >= length - 1] = 1
    index[index >= length - 1] = length - 2
    return Taps(index, np.stack([ONE - rest, rest], axis=1))


def cubic_taps(coordinates: Floats, length: int) -> Taps:
    """The four values around each coordinate; weights that fall outside the source go to its border.

    The borders are tried one after the other: what the first moves the second may move again.
    """
    index = np.floor(coordinates).astype(np.int64)
    c0, c1, c2, c3 = cubic_weights(coordinates - index.astype(np.float32))
    zero = np.zeros_like(c0)
    for border in ("before", "first", "last", "after"):
        if border == "before":
            hit, to, folded = index <= -1, 1, (ONE - c3, c3, zero, zero)
        elif border == "first":
            hit, to, folded = index == 0, 1, (c0 + c1, c2, c3, zero)
        elif border == "last":
            hit, to, folded = index == length - 2, length - 3, (zero, c0, c1, c2 + c3)
        else:
            hit, to, folded = index >= length - 1, length - 3, (zero, zero, c0, ONE - c0)
        c0, c1, c2, c3 = (np.where(hit, new, old) for new, old in zip(folded, (c0, c1, c2, c3), strict=True))
        index = np.where(hit, to, index)
    return Taps(index - 1, np.stack([c0, c1, c2, c3], axis=1))


def cubic_weights(rest: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """The weights of the four neighbours, `rest` after the second of them."""
    t = rest + ONE
    cube, square = A * t * t * t, np.float32(5) * A * t * t
    c0 = (cube - square + np.float32(8) * A * t) - np.float32(4) * A
    c1, c2 = _near_cubic(rest), _near_cubic(ONE - rest)
    return c0, c1, c2, ONE - c0 - c1 - c2


def _near_cubic(t: Floats) -> Floats:
    return (A + np.float32(2)) * t * t * t - (A + np.float32(3)) * t * t + ONE


PREPARE: dict[str, Prepare] = {"Interp": prepare_interp}
