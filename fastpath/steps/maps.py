"""Layers between maps of floats, pixel after pixel."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastpath.layers.common import Array, Floats
from fastpath.layers.epilogue import ZERO
from fastpath.layers.window import Window
from fastpath.rounding import BLOCK
from fastpath.steps.calls import Action


def add_maps(left: Floats, right: Floats, top: Floats, relu: bool) -> Action:
    """The sum of two maps, with a ReLU behind it or without."""
    operands = [blob.reshape(-1) for blob in (left, right, top)]

    def add() -> None:
        for first in range(0, operands[2].size, BLOCK):
            a, b, out = (operand[first : first + BLOCK] for operand in operands)
            np.add(a, b, out=out)
            if relu:
                np.maximum(out, ZERO, out=out)

    return add


def rectify_map(source: Floats, top: Floats) -> Action:
    """ReLU; `top` may be the map itself."""
    return partial(np.maximum, source, ZERO, out=top)


def pool_map(source: Floats, size: tuple[int, int], window: Window, top: Floats, pooled: tuple[int, int]) -> Action:
    """Max pooling from map to map, of floats that are not negative: they have the order of their bit patterns."""
    (h, w), (out_h, out_w), channels = size, pooled, source.shape[1]
    (kernel_h, kernel_w), (stride_h, stride_w), (above, _, left, right) = window.kernel, window.stride, window.pads
    image = source.view(np.int32).reshape(h, w, channels)
    result = top.view(np.int32).reshape(out_h, out_w, channels)
    line = np.zeros((left + w + right, channels), np.int32)
    inside = line[left : left + w]
    columns = [line[x : x + (out_w - 1) * stride_w + 1 : stride_w] for x in range(kernel_w)]
    rows = [
        [image[r] for r in range(max(y * stride_h - above, 0), min(y * stride_h - above + kernel_h, h))]
        for y in range(out_h)
    ]

    def pool() -> None:
        for seen, out in zip(rows, result, strict=True):
            _maximum(seen, inside)
            _maximum(columns, out)

    return pool


def _maximum(parts: list[NDArray[np.int32]], out: NDArray[np.int32]) -> None:
    np.maximum(parts[0], parts[min(1, len(parts) - 1)], out=out)
    for part in parts[2:]:
        np.maximum(out, part, out=out)


def mean_of_map(source: Floats) -> Array:
    """The average of each channel, adding up one pixel after the other as global pooling does."""
    means: Array = np.add.reduce(source, axis=0, initial=ZERO) / np.float32(source.shape[0])
    return means
