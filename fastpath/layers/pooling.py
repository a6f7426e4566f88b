"""Pooling and Pooling1D: the largest value or the average of windows, of fixed regions, or of everything."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fastpath.layers import recycle
from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, float_bottom, require_rank, running_sum
from fastpath.layers.planes import max_pool_planes
from fastpath.layers.window import same_pads
from spec.graph import Layer

MAX, AVERAGE = 0, 1
"""Values of `pooling_type`."""

FULL, VALID, SAME_UPPER_MODE, SAME_LOWER_MODE = range(4)
"""Values of `pad_mode`."""

KEEP = -233
"""An adaptive output extent that means the input's own."""

LOWEST = np.float32(np.finfo(np.float32).min)
"""What the borders hold under max pooling."""


BLOCK = 32768
"""Cells that max pooling handles at a time, so that its steps stay in cache."""


@dataclass(frozen=True)
class Axis:
    """One axis of windowed pooling.

    `before` and `after` cells are added; windows begin at multiples of `stride` of the padded axis. Cells from `first`
    up to `last` are inside where an average leaves its padding out.
    """

    length: int
    kernel: int
    stride: int
    before: int
    after: int
    first: int
    last: int

    @property
    def padded(self) -> int:
        """The length with its padding."""
        return self.before + self.length + self.after

    @property
    def count(self) -> int:
        """How many windows there are."""
        return (self.padded - self.kernel) // self.stride + 1

    def tap(self, index: int) -> slice:
        """The padded cells that all windows have at place `index`."""
        return slice(index, index + (self.count - 1) * self.stride + 1, self.stride)

    def inside(self) -> list[int]:
        """For each window, how many of its cells are inside."""
        starts = [index * self.stride for index in range(self.count)]
        return [max(min(start + self.kernel, self.last) - max(start, self.first), 0) for start in starts]


def prepare_pooling(layer: Layer) -> Operator:
    """Pooling: (c, h, w) to (c, out_h, out_w), or (c,) for global pooling. Sums run row by row.

    Follows: ncnn src/layer/pooling.cpp @ a4d2ea1d.
    """
    average = _is_average(layer)
    get = layer.get.integer

    @lru_cache(maxsize=64)
    def axes(h: int, w: int) -> tuple[Axis, Axis]:
        vertical = axis_of(layer, h, "kernel_h", "stride_h", "pad_top", "pad_bottom")
        return vertical, axis_of(layer, w, "kernel_w", "stride_w", "pad_left", "pad_right")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        require_rank(layer, blob, 3)
        _, h, w = blob.shape
        if get("global_pooling"):
            return [whole(blob, average)]
        if get("adaptive_pooling"):
            out_h = h if get("out_h") == KEEP else get("out_h")
            out_w = w if get("out_w") == KEEP else get("out_w")
            return [adaptive(layer, blob, out_h, out_w, average)]
        return [windowed(layer, blob, *axes(h, w), average)]

    return operator


def prepare_pooling1d(layer: Layer) -> Operator:
    """Pooling1D: (h, w) to (h, out_w), or (h,) for global pooling. Follows: ncnn src/layer/pooling1d.cpp @ a4d2ea1d."""
    average = _is_average(layer)
    get = layer.get.integer

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        require_rank(layer, blob, 2)
        image = blob[:, np.newaxis]
        if get("global_pooling"):
            return [whole(image, average)]
        if get("adaptive_pooling"):
            out_w = blob.shape[1] if get("out_w") == KEEP else get("out_w")
            return [adaptive(layer, image, 1, out_w, average)[:, 0]]
        horizontal = axis_of(layer, blob.shape[1], "kernel_w", "stride_w", "pad_left", "pad_right")
        return [windowed(layer, image, Axis(1, 1, 1, 0, 0, 0, 1), horizontal, average)[:, 0]]

    return operator


def axis_of(layer: Layer, length: int, kernel: str, stride: str, pad_before: str, pad_after: str) -> Axis:
    """The padding of one axis by `pad_mode`, from the parameters of these names.

    GraphError for a kernel or stride that is not positive, negative pads, unknown modes, and where no window fits.
    """
    get = layer.get.integer
    size, step, before, after, mode = get(kernel), get(stride), get(pad_before), get(pad_after), get("pad_mode")
    if size <= 0 or step <= 0 or before < 0 or after < 0:
        raise fault(layer, f"needs {kernel} and {stride} above 0 and no negative pads")
    if mode in (SAME_UPPER_MODE, SAME_LOWER_MODE):
        total = max(same_pads(length, size, step), 0)
        start = total // 2 if mode == SAME_UPPER_MODE else total - total // 2
        axis = Axis(length, size, step, start, total - start, before, total + length - after)
    elif mode in (FULL, VALID):
        tail = _tail(before + length + after - size, step) if mode == FULL else 0
        axis = Axis(length, size, step, before, after + tail, before, before + length)
    else:
        raise fault(layer, f"has pad_mode {mode}, but there are only the modes 0 to 3")
    if axis.count < 1:
        raise fault(layer, f"has no window of {size} in an axis of {length} with {axis.before} + {axis.after} padding")
    return axis


def _tail(room: int, stride: int) -> int:
    """The cells that complete the last window; the remainder has the sign of `room`, as in C."""
    remainder = int(math.fmod(room, stride))
    return stride - remainder if remainder else 0


def whole(blob: Floats, average: bool) -> Floats:
    """Global pooling: (c, h, w) to (c,)."""
    cells = blob.reshape(blob.shape[0], -1)
    if not average:
        return first_largest(cells)
    return running_sum(cells) / np.float32(cells.shape[1])


def first_largest(lines: Floats) -> Floats:
    """The largest value of each line; of zeros with different signs the first."""
    return np.take_along_axis(lines, lines.argmax(axis=1, keepdims=True), axis=1)[:, 0]


def adaptive(layer: Layer, blob: Floats, out_h: int, out_w: int, average: bool) -> Floats:
    """Pooling into out_h by out_w regions of equal size, rounded outwards."""
    channels, h, w = blob.shape
    if (out_h, out_w) == (h, w):
        return blob
    if out_h < 1 or out_w < 1:
        raise fault(layer, "has an empty output")
    top = np.empty((channels, out_h, out_w), np.float32)
    for i in range(out_h):
        rows = slice(h * i // out_h, -(-h * (i + 1) // out_h))
        for j in range(out_w):
            columns = slice(w * j // out_w, -(-w * (j + 1) // out_w))
            region = blob[:, rows, columns]
            if average:
                total = running_sum(region.reshape(channels, -1))
                top[:, i, j] = total / np.float32(region.shape[1]) / np.float32(region.shape[2])
            else:
                top[:, i, j] = first_largest(region.reshape(channels, -1))
    return top


def windowed(layer: Layer, blob: Floats, vertical: Axis, horizontal: Axis, average: bool) -> Floats:
    """Pooling by sliding windows."""
    if not average:
        top = recycle.blob((blob.shape[0], vertical.count, horizontal.count))
        if (vertical.kernel, vertical.stride) == (horizontal.kernel, horizontal.stride) in ((2, 2), (3, 2)):
            pads = (vertical.before, vertical.after, horizontal.before, horizontal.after)
            if max_pool_planes(blob, vertical.kernel, pads, float(LOWEST), top):
                return top
        step = max(BLOCK // (vertical.padded * horizontal.padded), 1)
        for first in range(0, blob.shape[0], step):
            part = slice(first, first + step)
            top[part] = _largest(_padded(blob[part], vertical, horizontal, LOWEST), vertical, horizontal)
        return top
    padded = _padded(blob, vertical, horizontal, np.float32(0))
    if layer.get.integer("avgpool_count_include_pad"):
        return _total(padded, vertical, horizontal) / np.float32(vertical.kernel * horizontal.kernel)
    outside, areas = inside_of(vertical, horizontal)
    if outside is not None:
        padded = np.where(outside, np.float32(0), padded)
    return _total(padded, vertical, horizontal) / areas


@lru_cache(maxsize=64)
def inside_of(vertical: Axis, horizontal: Axis) -> tuple[NDArray[np.bool_] | None, Floats]:
    """The cells that averages leave out, None for none, and how many each window counts."""
    outside = np.ones((vertical.padded, horizontal.padded), np.bool_)
    outside[vertical.first : max(vertical.last, 0), horizontal.first : max(horizontal.last, 0)] = False
    areas = np.multiply.outer(vertical.inside(), horizontal.inside()).astype(np.float32)
    return (outside if outside.any() else None), areas


def _padded(blob: Floats, vertical: Axis, horizontal: Axis, value: np.float32) -> Floats:
    if not (vertical.before or vertical.after or horizontal.before or horizontal.after):
        return blob
    padded = np.full((blob.shape[0], vertical.padded, horizontal.padded), value, np.float32)
    rows = slice(vertical.before, vertical.before + vertical.length)
    padded[:, rows, horizontal.before : horizontal.before + horizontal.length] = blob
    return padded


def _largest(padded: Floats, vertical: Axis, horizontal: Axis) -> Floats:
    """The maxima, first along rows, over the whole blob as one run of memory, then along columns."""
    channels, _, width = padded.shape
    flat = padded.reshape(-1)
    rows = padded
    if horizontal.kernel > 1:
        across = np.empty(flat.size, np.float32)
        size = flat.size - horizontal.kernel + 1
        across[size:] = flat[size:]
        inside = np.maximum(flat[1 : 1 + size], flat[:size], out=across[:size])
        for tap in range(2, horizontal.kernel):
            np.maximum(flat[tap : tap + size], inside, out=inside)
        rows = across.reshape(channels, -1, width)
    down = rows[:, vertical.tap(0)]
    if vertical.kernel > 1:
        down = np.maximum(rows[:, vertical.tap(1)], down)
        for tap in range(2, vertical.kernel):
            np.maximum(rows[:, vertical.tap(tap)], down, out=down)
    return down[:, :, horizontal.tap(0)]


def _total(padded: Floats, vertical: Axis, horizontal: Axis) -> Floats:
    """The sums, in the order of the cells row by row."""
    total = np.zeros((padded.shape[0], vertical.count, horizontal.count), np.float32)
    for ky in range(vertical.kernel):
        rows = padded[:, vertical.tap(ky)]
        for kx in range(horizontal.kernel):
            np.add(total, rows[:, :, horizontal.tap(kx)], out=total)
    return total


def _is_average(layer: Layer) -> bool:
    kind = layer.get.integer("pooling_type")
    if kind not in (MAX, AVERAGE):
        raise fault(layer, f"has pooling_type {kind}, but knows 0 (max) and 1 (average)")
    return kind == AVERAGE


PREPARE: dict[str, Prepare] = {"Pooling": prepare_pooling, "Pooling1D": prepare_pooling1d}
