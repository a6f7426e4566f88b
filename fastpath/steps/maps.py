"""Layers between maps of floats, pixel after pixel."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastpath.layers.common import Array, Floats
from fastpath.layers.epilogue import ZERO
from fastpath.layers.lrn import pixel_normalizer
from fastpath.layers.window import Window
from fastpath.rounding import BLOCK
from fastpath.steps.calls import Action, Follower, hand_on
from spec.graph import Layer, Shape


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


class NormalizedRows:
    """LRN across channels, from map to map; `top` may be the map itself."""

    def __init__(self, layer: Layer, source: Floats, top: Floats, rows: int, followers: Sequence[Follower]) -> None:
        self.rows, self.followers = rows, followers
        self.source, self.top, self.width = source, top, len(source) // rows
        self.normalize = pixel_normalizer(layer, *source.shape)

    def write(self, first: int, end: int) -> None:
        """Make rows of the top of these rows, and hand them on."""
        part = slice(first * self.width, end * self.width)
        self.normalize(self.source[part], self.top[part])
        hand_on(self.followers, first, end)


class PooledRows:
    """Max pooling from map to map, of floats that are not negative: they have the order of their bit patterns."""

    def __init__(
        self, source: Floats, shape: Shape, window: Window, top: Floats, pooled: Shape, followers: Sequence[Follower]
    ) -> None:
        """Shapes are (channels, h, w)."""
        (channels, h, w), (_, out_h, out_w) = shape, pooled
        (kernel_h, kernel_w), (stride_h, stride_w), (above, _, left, right) = window.kernel, window.stride, window.pads
        image = source.view(np.int32).reshape(h, w, channels)
        line = np.zeros((left + w + right, channels), np.int32)
        starts = [y * stride_h - above for y in range(out_h)]
        self.rows, self.followers, self.done = h, followers, 0
        self.seen = [list(image[max(y, 0) : y + kernel_h]) for y in starts]
        self.ends = [min(y + kernel_h, h) for y in starts]
        self.inside = line[left : left + w]
        self.columns = [line[x : x + (out_w - 1) * stride_w + 1 : stride_w] for x in range(kernel_w)]
        self.top = top.view(np.int32).reshape(out_h, out_w, channels)

    def write(self, first: int, end: int) -> None:
        """Make the rows of the top whose windows are there now, and hand them on."""
        start = 0 if first == 0 else self.done
        self.done = start + bisect_right(self.ends[start:], end)
        for y in range(start, self.done):
            _maximum(self.seen[y], self.inside)
            _maximum(self.columns, self.top[y])
        hand_on(self.followers, start, self.done)


def _maximum(parts: list[NDArray[np.int32]], out: NDArray[np.int32]) -> None:
    np.maximum(parts[0], parts[min(1, len(parts) - 1)], out=out)
    for part in parts[2:]:
        np.maximum(out, part, out=out)


def mean_of_map(source: Floats) -> Array:
    """The average of each channel, adding up one pixel after the other as global pooling does."""
    means: Array = np.add.reduce(source, axis=0, initial=ZERO) / np.float32(source.shape[0])
    return means
