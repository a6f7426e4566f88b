"""Unfold and Fold: an image as a matrix of its windows, and back."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Operator, Prepare, fault, float_bottom, require_rank
from fastpath.layers.window import Pads, Window, output_size, resolve_pads, window_of
from spec.graph import Layer


def prepare_unfold(layer: Layer) -> Operator:
    """Unfold: every window of a padded image becomes a column: (c, h, w) to (c * kernel_h * kernel_w, windows).

    Follows: ncnn src/layer/unfold.cpp @ a4d2ea1d.
    """
    window = window_of(layer)
    fill = np.float32(layer.get.number("pad_value"))

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        require_rank(layer, blob, 3)
        channels, h, w = blob.shape
        pads = resolve_pads(layer, window, h, w, int8=False)
        size = output_size(layer, window, h, w, pads)
        image = np.pad(blob, ((0, 0), pads[:2], pads[2:]), constant_values=fill)
        columns = np.empty((channels, *window.kernel, *size), np.float32)
        for y, x in np.ndindex(*window.kernel):
            columns[:, y, x] = image[_seen(window, y, x, size)]
        return [columns.reshape(-1, size[0] * size[1])]

    return operator


def prepare_fold(layer: Layer) -> Operator:
    """Fold: every column is added where its window lies, without the pads that the windows covered.

    Follows: ncnn src/layer/fold.cpp @ a4d2ea1d.
    """
    window = window_of(layer)
    h, w = layer.get.integer("output_h"), layer.get.integer("output_w")
    if h < 1 or w < 1:
        raise fault(layer, f"has output_h {h} and output_w {w}, but needs at least 1")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        require_rank(layer, blob, 2)
        area = window.kernel[0] * window.kernel[1]
        if blob.shape[0] % area:
            raise fault(
                layer, f"has windows of {area} cells, which do not divide the {blob.shape[0]} rows of its bottom"
            )
        pads: Pads = resolve_pads(layer, window, h, w, int8=False)
        size = output_size(layer, window, h, w, pads)
        if size[0] * size[1] != blob.shape[1]:
            raise fault(layer, f"has an image of {size[0] * size[1]} windows, but {blob.shape[1]} columns")
        columns = blob.reshape(-1, *window.kernel, *size)
        image = np.zeros((columns.shape[0], pads[0] + h + pads[1], pads[2] + w + pads[3]), np.float32)
        for y, x in np.ndindex(*window.kernel):
            image[_seen(window, y, x, size)] += columns[:, y, x]
        return [np.ascontiguousarray(image[:, pads[0] : pads[0] + h, pads[2] : pads[2] + w])]

    return operator


def _seen(window: Window, y: int, x: int, size: tuple[int, int]) -> tuple[slice, slice, slice]:
    """What kernel row y and column x see of a padded image, for all windows."""
    top, left = y * window.dilation[0], x * window.dilation[1]
    return (
        slice(None),
        slice(top, top + (size[0] - 1) * window.stride[0] + 1, window.stride[0]),
        slice(left, left + (size[1] - 1) * window.stride[1] + 1, window.stride[1]),
    )


PREPARE: dict[str, Prepare] = {"Unfold": prepare_unfold, "Fold": prepare_fold}
