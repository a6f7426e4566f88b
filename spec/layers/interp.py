"""Interp: resizing by the nearest value, linearly, or with cubics."""

from __future__ import annotations

import math

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.functions import divide
from spec.graph import Layer
from spec.layers.common import fault, floats, rounded
from spec.shape_expression import evaluate

NEAREST, BILINEAR, BICUBIC = 1, 2, 3
"""Values of `resize_type`."""

A = -0.75
"""The parameter of the cubic."""

Taps = list[tuple[int, list[float]]]
"""For each place of the result: the first source index, and the weights of it and its successors."""


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The blob resized: (c, h, w) to (c, out_h, out_w), of a 2-D blob only w, and (c,) to (c, out_h, out_w).

    The size is that of `size_expr` (w, or w and h), of the second bottom with dynamic_target_size, of output_width and
    output_height if both are given, or the scales times the extents, truncated. Rows are resized first, then columns. A
    blob of the right size is unchanged. Scales play no part in linear and cubic coordinates.

    Follows: ncnn src/layer/interp.cpp @ a4d2ea1d.
    Unspecified: bicubic needs extents of 4 and more, else GraphError (upstream reads outside the row). With
    align_corner an output of one cell takes the first.

    >>> forward(Layer("Interp", "i", [], [], {0: 2, 4: 3, 3: 1, 6: 1}), [float_blob((1, 2), [1.0, 2.0])])[0].tolist()
    [[1.0, 1.5, 2.0]]
    """
    if not bottoms:
        raise fault(layer, "takes at least one bottom blob")
    blob = bottoms[0]
    values = floats(layer, blob)
    rank = len(blob.shape)
    if rank == 4:
        raise fault(layer, f"takes a blob of 1 to 3 dims, not shape {blob.shape}")
    h, w = (1, 1) if rank == 1 else (blob.shape[0], blob.shape[1]) if rank == 2 else blob.shape[1:]
    out_h, out_w = _target(layer, bottoms, h, w)
    if rank == 1:
        return [float_blob((blob.shape[0], out_h, out_w), [x for x in values for _ in range(out_h * out_w)])]
    if rank == 2:
        if out_w == w:
            return [blob]
        rows = [values[start : start + w] for start in range(0, h * w, w)]
        resized = [_resized(row, _taps(layer, w, out_w, "w")) for row in rows]
        return [float_blob((h, out_w), [x for row in resized for x in row])]
    if (out_h, out_w) == (h, w):
        return [blob]
    across, down = _taps(layer, w, out_w, "w"), _taps(layer, h, out_h, "h")
    result: list[float] = []
    for start in range(0, len(values), h * w):
        rows = [_resized(values[first : first + w], across) for first in range(start, start + h * w, w)]
        for index, weights in down:
            result += _combined(rows[index : index + len(weights)], weights)
    return [float_blob((blob.shape[0], out_h, out_w), result)]


def _target(layer: Layer, bottoms: list[Blob], h: int, w: int) -> tuple[int, int]:
    expression = layer.get.text("size_expr")
    if expression:
        sizes = evaluate(layer, expression, [bottom.shape for bottom in bottoms])
        if len(sizes) not in (1, 2):
            raise fault(layer, f"has a size expression of {len(sizes)} extents")
        out_w, out_h = sizes[0], sizes[1] if len(sizes) == 2 else h
    elif layer.get.integer("dynamic_target_size"):
        if len(bottoms) != 2:
            raise fault(layer, f"takes two bottom blobs, not {len(bottoms)}")
        like = bottoms[1].shape
        out_h, out_w = like[-2] if len(like) > 1 else 1, like[-1]
    elif layer.get.integer("output_height") and layer.get.integer("output_width"):
        out_h, out_w = layer.get.integer("output_height"), layer.get.integer("output_width")
    else:
        out_h = int(f32(h * f32(layer.get.number("height_scale"))))
        out_w = int(f32(w * f32(layer.get.number("width_scale"))))
    if out_h <= 0 or out_w <= 0:
        raise fault(layer, f"would resize {h} x {w} to {out_h} x {out_w}")
    return out_h, out_w


def _taps(layer: Layer, length: int, out: int, axis: str) -> Taps:
    kind = layer.get.integer("resize_type")
    if kind == NEAREST:
        return _nearest(layer, length, out, axis)
    if length == 1:
        return [(0, [1.0])] * out
    align_corner = bool(layer.get.integer("align_corner"))
    if kind == BILINEAR:
        return [linear_tap(_coordinate(x, length, out, align_corner), length) for x in range(out)]
    if length < 4:
        raise fault(layer, f"with cubics needs extents of 4 and more, not {length}")
    return [cubic_tap(_coordinate(x, length, out, align_corner), length) for x in range(out)]


def _nearest(layer: Layer, length: int, out: int, axis: str) -> Taps:
    """The source is x * s, truncated: s is length / out where a size is given, else 1 / scale.

    With a second bottom it is the scale, too, which the size does not follow.
    """
    size, scale = ("output_width", "width_scale") if axis == "w" else ("output_height", "height_scale")
    if layer.get.integer(size) or layer.get.text("size_expr"):
        step = divide(float(length), float(out))
    else:
        step = divide(1.0, f32(layer.get.number(scale)))
    return [(min(int(f32(x * step)), length - 1), [1.0]) for x in range(out)]


def _coordinate(x: int, length: int, out: int, align_corner: bool) -> float:
    """Where place x of the result lies in the source, computed in binary64 and rounded."""
    if align_corner:
        return f32(x * ((length - 1) / (out - 1))) if out > 1 else 0.0
    return f32((x + 0.5) * (length / out) - 0.5)


def linear_tap(coordinate: float, length: int) -> tuple[int, list[float]]:
    """The two neighbours of a coordinate, weighted by their nearness, held inside the source.

    >>> linear_tap(1.25, 4), linear_tap(-0.5, 4), linear_tap(3.5, 4)
    ((1, [0.75, 0.25]), (0, [1.0, 0.0]), (2, [0.0, 1.0]))
    """
    index = math.floor(coordinate)
    rest = f32(coordinate - index)
    if index < 0:
        index, rest = 0, 0.0
    if index >= length - 1:
        index, rest = length - 2, 1.0
    return index, [f32(1.0 - rest), rest]


def cubic_tap(coordinate: float, length: int) -> tuple[int, list[float]]:
    """The four values around a coordinate; weights that fall outside the source go to its border.

    >>> cubic_tap(1.5, 4)
    (0, [-0.09375, 0.59375, 0.59375, -0.09375])
    """
    index = math.floor(coordinate)
    c0, c1, c2, c3 = cubic_weights(f32(coordinate - index))
    if index <= -1:
        index, (c0, c1, c2, c3) = 1, (f32(1.0 - c3), c3, 0.0, 0.0)
    if index == 0:
        index, (c0, c1, c2, c3) = 1, (f32(c0 + c1), c2, c3, 0.0)
    if index == length - 2:
        index, (c0, c1, c2, c3) = length - 3, (0.0, c0, c1, f32(c2 + c3))
    if index >= length - 1:
        index, (c0, c1, c2, c3) = length - 3, (0.0, 0.0, c0, f32(1.0 - c0))
    return index - 1, [c0, c1, c2, c3]


def cubic_weights(rest: float) -> tuple[float, float, float, float]:
    """The weights of the four neighbours, `rest` after the second of them."""
    t = f32(rest + 1.0)
    cube, square = f32(f32(f32(A * t) * t) * t), f32(f32(f32(5.0 * A) * t) * t)
    c0 = f32(f32(f32(cube - square) + f32(f32(8.0 * A) * t)) - 4.0 * A)
    c1, c2 = _near_cubic(rest), _near_cubic(f32(1.0 - rest))
    return c0, c1, c2, f32(f32(f32(1.0 - c0) - c1) - c2)


def _near_cubic(t: float) -> float:
    cube, square = f32(f32(f32((A + 2.0) * t) * t) * t), f32(f32(f32((A + 3.0) * t) * t))
    return f32(f32(cube - square) + 1.0)


def _resized(row: list[float], taps: Taps) -> list[float]:
    return [_combined([[x] for x in row[index : index + len(weights)]], weights)[0] for index, weights in taps]


def _combined(rows: list[list[float]], weights: list[float]) -> list[float]:
    """The weighted sum of rows, from the first to the last, every step rounded. A single row is itself."""
    if len(weights) == 1:
        return rows[0]
    total = rounded(x * weights[0] for x in rows[0])
    for row, weight in zip(rows[1:], weights[1:]):
        products = rounded(x * weight for x in row)
        total = rounded(x + y for x, y in zip(total, products))
    return total


def check(layer: Layer) -> None:
    """GraphError for an unknown kind of resizing."""
    if layer.get.integer("resize_type") not in (NEAREST, BILINEAR, BICUBIC):
        raise fault(layer, f"has resize_type {layer.get.integer('resize_type')}, but knows 1, 2 and 3")


FORWARD = {"Interp": forward}
CHECK = {"Interp": check}
