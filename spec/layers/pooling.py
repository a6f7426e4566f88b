"""Pooling and Pooling1D: the largest value or the average of windows, of fixed regions, or of everything."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spec.binary32 import FLT_MAX, REFERENCE, Profile
from spec.blob import Blob, float_blob
from spec.functions import divide
from spec.graph import Layer
from spec.layers.common import fault, float_bottom, require_rank, running_sum
from spec.layers.window import SAME_LOWER, SAME_UPPER, same_padding, window_count

MAX, AVERAGE = 0, 1
"""Values of `pooling_type`."""

FULL, VALID, SAME_UPPER_MODE, SAME_LOWER_MODE = range(4)
"""Values of `pad_mode`."""

KEEP = -233
"""An adaptive output extent that means the input's own."""

Rows = list[list[float]]
"""One channel."""


@dataclass(frozen=True)
class Axis:
    """One axis of windowed pooling.

    `before` and `after` are the cells that are added; the windows begin at multiples of `stride` of the padded axis.
    Cells from `first` up to `last` count as inside when an average leaves its padding out.
    """

    length: int
    kernel: int
    stride: int
    before: int
    after: int
    first: int
    last: int

    @property
    def windows(self) -> list[range]:
        """The padded cells of each window."""
        count = window_count(self.before + self.length + self.after, self.kernel, self.stride)
        return [range(i * self.stride, i * self.stride + self.kernel) for i in range(count)]


def pooling(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each window of a channel becomes its largest value or its average: (c, h, w) to (c, out_h, out_w).

    Global pooling gives shape (c,). Adaptive pooling divides each channel into out_h by out_w regions that may overlap
    by a cell. Sums run row by row. GraphError where no window fits.

    Follows: ncnn src/layer/pooling.cpp @ a4d2ea1d.
    Unspecified: a window wholly in the padding is -FLT_MAX, or 0 / 0 where the average leaves the padding out.

    >>> layer = Layer("Pooling", "p", [], [], {0: 1, 1: 2, 2: 2})
    >>> pooling(layer, [float_blob((1, 2, 4), [1.0, 3.0, 0.0, 0.0, 2.0, 2.0, 4.0, 8.0])])[0].tolist()
    [[[2.0, 3.0]]]
    """
    blob = float_bottom(layer, bottoms)
    require_rank(layer, blob, 3)
    c, h, w = blob.shape
    get = layer.get.integer
    average = get("pooling_type") == AVERAGE
    channels = [channel_rows(blob, index) for index in range(c)]
    if get("global_pooling"):
        return [float_blob((c,), [_whole(rows, average) for rows in channels])]
    if get("adaptive_pooling"):
        out_h = h if get("out_h") == KEEP else get("out_h")
        out_w = w if get("out_w") == KEEP else get("out_w")
        return [_joined(layer, [_adaptive(rows, out_h, out_w, average) for rows in channels])]
    vertical = axis_of(layer, h, "kernel_h", "stride_h", "pad_top", "pad_bottom")
    horizontal = axis_of(layer, w, "kernel_w", "stride_w", "pad_left", "pad_right")
    return [_joined(layer, [_windowed(layer, rows, vertical, horizontal) for rows in channels])]


def pooling1d(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Pooling along the rows of a (h, w) blob: to (h, out_w), or (h,) for global pooling.

    The rules are those of `pooling` for an axis alone.

    Follows: ncnn src/layer/pooling1d.cpp @ a4d2ea1d.

    >>> pooling1d(Layer("Pooling1D", "p", [], [], {1: 2}), [float_blob((1, 3), [1.0, 3.0, 2.0])])[0].tolist()
    [[3.0, 3.0]]
    """
    blob = float_bottom(layer, bottoms)
    require_rank(layer, blob, 2)
    h, w = blob.shape
    get = layer.get.integer
    average = get("pooling_type") == AVERAGE
    rows = [blob.floats()[index * w : (index + 1) * w] for index in range(h)]
    if get("global_pooling"):
        return [float_blob((h,), [_whole([row], average) for row in rows])]
    if get("adaptive_pooling"):
        out_w = w if get("out_w") == KEEP else get("out_w")
        pooled = [_adaptive([row], 1, out_w, average)[0] for row in rows]
    else:
        single = Axis(1, 1, 1, 0, 0, 0, 1)
        horizontal = axis_of(layer, w, "kernel_w", "stride_w", "pad_left", "pad_right")
        pooled = [_windowed(layer, [row], single, horizontal)[0] for row in rows]
    if not pooled[0]:
        raise fault(layer, "has an empty output")
    return [float_blob((h, len(pooled[0])), [value for row in pooled for value in row])]


def axis_of(layer: Layer, length: int, kernel: str, stride: str, pad_before: str, pad_after: str) -> Axis:
    """The padding of one axis by `pad_mode`, from the parameters of these names.

    =====  ====================================================================================
    mode   padding
    =====  ====================================================================================
    0      the explicit pads, and at the end so much that the last window is complete
    1      the explicit pads
    2, 3   as much as "same" means, the odd cell at the end or at the beginning
    =====  ====================================================================================

    GraphError for a kernel or stride that is not positive, negative pads, and where no window fits.
    """
    get = layer.get.integer
    size, step, before, after = get(kernel), get(stride), get(pad_before), get(pad_after)
    mode = get("pad_mode")
    if size <= 0 or step <= 0 or before < 0 or after < 0:
        raise fault(layer, f"needs {kernel} and {stride} above 0 and no negative pads")
    if mode in (SAME_UPPER_MODE, SAME_LOWER_MODE):
        kind = SAME_UPPER if mode == SAME_UPPER_MODE else SAME_LOWER
        added_before, added_after = same_padding(length, size, step, kind)
        last = added_before + length + added_after - after
        axis = Axis(length, size, step, added_before, added_after, before, last)
    elif mode in (FULL, VALID):
        tail = _tail(before + length + after - size, step) if mode == FULL else 0
        axis = Axis(length, size, step, before, after + tail, before, before + length)
    else:
        raise fault(layer, f"has pad_mode {mode}, but there are only the modes 0 to 3")
    if not axis.windows:
        raise fault(layer, f"has no window of {size} in an axis of {length} with {axis.before} + {axis.after} padding")
    return axis


def channel_rows(blob: Blob, index: int) -> Rows:
    """The rows of one channel of a (c, h, w) blob."""
    _, h, w = blob.shape
    values = blob.floats()
    return [values[start : start + w] for start in range(index * h * w, (index + 1) * h * w, w)]


def _tail(room: int, stride: int) -> int:
    """The cells that complete the last window; the remainder has the sign of `room`, as in C."""
    remainder = int(math.fmod(room, stride))
    return stride - remainder if remainder else 0


def _whole(rows: Rows, average: bool) -> float:
    if not average:
        return max(map(max, rows))
    return divide(running_sum(value for row in rows for value in row), float(len(rows) * len(rows[0])))


def _adaptive(rows: Rows, out_h: int, out_w: int, average: bool) -> Rows:
    h, w = len(rows), len(rows[0])
    if (out_h, out_w) == (h, w):
        return rows
    return [
        [
            _region([rows[y][region_w.start : region_w.stop] for y in region_h], average)
            for region_w in (_share(w, out_w, j) for j in range(out_w))
        ]
        for region_h in (_share(h, out_h, i) for i in range(out_h))
    ]


def _share(length: int, count: int, index: int) -> range:
    """The cells of the index-th of `count` equal regions, rounded outwards."""
    return range(length * index // count, -(-length * (index + 1) // count))


def _region(rows: Rows, average: bool) -> float:
    if not average:
        return max(map(max, rows))
    total = running_sum(value for row in rows for value in row)
    return divide(divide(total, float(len(rows))), float(len(rows[0])))


def _windowed(layer: Layer, rows: Rows, vertical: Axis, horizontal: Axis) -> Rows:
    average = layer.get.integer("pooling_type") == AVERAGE
    padded = _padded(rows, vertical, horizontal, 0.0 if average else -FLT_MAX)
    if not average:
        columns = [slice(window.start, window.stop) for window in horizontal.windows]
        return [[max(max(padded[y][column]) for y in window) for column in columns] for window in vertical.windows]
    if layer.get.integer("avgpool_count_include_pad"):
        heights, widths = vertical.windows, horizontal.windows
        area = float(vertical.kernel * horizontal.kernel)
        return [[divide(_total(padded, ys, xs), area) for xs in widths] for ys in heights]
    heights = [_inside(window, vertical) for window in vertical.windows]
    widths = [_inside(window, horizontal) for window in horizontal.windows]
    return [[divide(_total(padded, ys, xs), float(len(ys) * len(xs))) for xs in widths] for ys in heights]


def _padded(rows: Rows, vertical: Axis, horizontal: Axis, value: float) -> Rows:
    before, after = [value] * horizontal.before, [value] * horizontal.after
    width = horizontal.before + horizontal.length + horizontal.after
    above = [[value] * width for _ in range(vertical.before)]
    below = [[value] * width for _ in range(vertical.after)]
    return [*above, *(before + row + after for row in rows), *below]


def _inside(window: range, axis: Axis) -> range:
    return range(max(window.start, axis.first), min(window.stop, axis.last))


def _total(padded: Rows, ys: range, xs: range) -> float:
    return running_sum(value for y in ys for value in padded[y][xs.start : xs.stop])


def _joined(layer: Layer, channels: list[Rows]) -> Blob:
    out_h, out_w = len(channels[0]), len(channels[0][0]) if channels[0] else 0
    if out_h == 0 or out_w == 0:
        raise fault(layer, "has an empty output")
    values = [value for rows in channels for row in rows for value in row]
    return float_blob((len(channels), out_h, out_w), values)


def check(layer: Layer) -> None:
    """GraphError for an unknown pooling type."""
    if layer.get.integer("pooling_type") not in (MAX, AVERAGE):
        raise fault(layer, f"has pooling_type {layer.get.integer('pooling_type')}, but knows 0 (max) and 1 (average)")


FORWARD = {"Pooling": pooling, "Pooling1D": pooling1d}
CHECK = {"Pooling": check, "Pooling1D": check}
