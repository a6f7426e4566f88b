"""Unfold and Fold: an image as a matrix of its windows, and back."""

from __future__ import annotations

from array import array

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.graph import Layer
from spec.layers.common import fault, float_bottom, require_rank
from spec.layers.strided import box, positions
from spec.layers.window import SAME_LOWER, SAME_UPPER, same_padding, window_count

Pads = tuple[int, int, int, int]
"""Cells above, below, left and right."""


def unfold(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Every window of a padded image becomes a column: (c, h, w) to (c * kernel_h * kernel_w, windows).

    Rows run over channel, kernel row, kernel column; columns over the windows from left to right, then down.

    Follows: ncnn src/layer/unfold.cpp @ a4d2ea1d.

    >>> unfold(Layer("Unfold", "u", [], [], {1: 2, 11: 1}), [float_blob((1, 1, 3), [1.0, 2.0, 3.0])])[0].tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    blob = float_bottom(layer, bottoms)
    require_rank(layer, blob, 3)
    channels, h, w = blob.shape
    pads = _pads(layer, h, w)
    wide, high = w + pads[2] + pads[3], h + pads[0] + pads[1]
    fill = f32(layer.get.number("pad_value"))
    image = [fill] * (channels * high * wide)
    inner = positions((channels, h, w), (high * wide, wide, 1), pads[0] * wide + pads[2])
    for place, value in zip(inner, blob.floats()):
        image[place] = value
    places, rows = _places(layer, channels, high, wide)
    return [float_blob((rows, len(places) // rows), [image[place] for place in places])]


def fold(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Every column is added to the image where its window lies: (c * kernel_h * kernel_w, windows) to (c, h, w).

    The image is output_h by output_w, without the pads that its windows covered; the order of Unfold.

    Follows: ncnn src/layer/fold.cpp @ a4d2ea1d.

    >>> layer = Layer("Fold", "f", [], [], {1: 2, 11: 1, 20: 3, 21: 1})
    >>> fold(layer, [float_blob((2, 2), [1.0, 2.0, 2.0, 3.0])])[0].tolist()
    [[[1.0, 4.0, 3.0]]]
    """
    blob = float_bottom(layer, bottoms)
    require_rank(layer, blob, 2)
    h, w = layer.get.integer("output_h"), layer.get.integer("output_w")
    area = layer.get.integer("kernel_h") * layer.get.integer("kernel_w")
    if blob.shape[0] % area:
        raise fault(layer, f"has windows of {area} cells, which do not divide the {blob.shape[0]} rows of its bottom")
    channels = blob.shape[0] // area
    pads = _pads(layer, h, w)
    wide, high = w + pads[2] + pads[3], h + pads[0] + pads[1]
    places, _ = _places(layer, channels, high, wide)
    if len(places) != len(blob.values):
        raise fault(layer, f"has an image of {len(places) // blob.shape[0]} windows, but {blob.shape[1]} columns")
    image = array("f", [0.0] * (channels * high * wide))
    for place, value in zip(places, blob.floats()):
        image[place] += value
    padded = Blob((channels, high, wide), "float32", image.tolist())
    return [box(padded, (0, pads[0], pads[2]), (channels, h, w))]


def _pads(layer: Layer, h: int, w: int) -> Pads:
    get = layer.get.integer
    pads = (get("pad_top"), get("pad_bottom"), get("pad_left"), get("pad_right"))
    if any(pad > 0 for pad in pads) or pads not in ((SAME_UPPER,) * 4, (SAME_LOWER,) * 4):
        return (max(pads[0], 0), max(pads[1], 0), max(pads[2], 0), max(pads[3], 0))
    extent_h, extent_w = _extents(layer)
    return (
        *same_padding(h, extent_h, get("stride_h"), pads[0]),
        *same_padding(w, extent_w, get("stride_w"), pads[0]),
    )


def _extents(layer: Layer) -> tuple[int, int]:
    get = layer.get.integer
    return get("dilation_h") * (get("kernel_h") - 1) + 1, get("dilation_w") * (get("kernel_w") - 1) + 1


def _places(layer: Layer, channels: int, high: int, wide: int) -> tuple[list[int], int]:
    """Where each cell of the matrix lies in the padded image, and the number of the matrix's rows."""
    get = layer.get.integer
    extent_h, extent_w = _extents(layer)
    out_h = window_count(high, extent_h, get("stride_h"))
    out_w = window_count(wide, extent_w, get("stride_w"))
    if out_h <= 0 or out_w <= 0:
        raise fault(layer, f"has a kernel of extent {extent_h} x {extent_w} over a padded image of {high} x {wide}")
    places = positions(
        (channels, get("kernel_h"), get("kernel_w"), out_h, out_w),
        (high * wide, get("dilation_h") * wide, get("dilation_w"), get("stride_h") * wide, get("stride_w")),
    )
    return places, channels * get("kernel_h") * get("kernel_w")


def check(layer: Layer) -> None:
    """GraphError for sizes below 1."""
    names = ["kernel_w", "kernel_h", "stride_w", "stride_h", "dilation_w", "dilation_h"]
    if layer.type == "Fold":
        names += ["output_w", "output_h"]
    for name in names:
        if layer.get.integer(name) < 1:
            raise fault(layer, f"has {name} {layer.get.integer(name)}, but needs at least 1")


FORWARD = {"Unfold": unfold, "Fold": fold}
CHECK = {"Unfold": check, "Fold": check}
