"""Sizes and padding of sliding windows."""

from __future__ import annotations

from dataclasses import dataclass

from fastpath.layers.common import fault
from spec.graph import Layer

SAME_UPPER = -233
"""All four pads: as many borders as the windows need, the odd one after."""

SAME_LOWER = -234
"""All four pads: as many borders as the windows need, the odd one before."""

Pads = tuple[int, int, int, int]
"""top, bottom, left, right"""


@dataclass(frozen=True)
class Window:
    """A kernel with its steps, each (h, w), and the four pads of the layer (top, bottom, left, right)."""

    kernel: tuple[int, int]
    dilation: tuple[int, int]
    stride: tuple[int, int]
    pads: Pads

    @property
    def extent(self) -> tuple[int, int]:
        """What the dilated kernel covers: (h, w)."""
        return (
            self.dilation[0] * (self.kernel[0] - 1) + 1,
            self.dilation[1] * (self.kernel[1] - 1) + 1,
        )


def window_of(layer: Layer, *, kernel: bool = True) -> Window:
    """The window of a convolution layer. GraphError for kernels, dilations and strides below 1.

    Without `kernel` the kernel is left 1 by 1, for layers whose weight blob tells it.
    """
    get = layer.get.integer
    window = Window(
        (get("kernel_h"), get("kernel_w")) if kernel else (1, 1),
        (get("dilation_h"), get("dilation_w")),
        (get("stride_h"), get("stride_w")),
        (get("pad_top"), get("pad_bottom"), get("pad_left"), get("pad_right")),
    )
    if min(*window.kernel, *window.dilation, *window.stride) < 1:
        raise fault(layer, "needs kernel, dilation and stride of at least 1")
    return window


def same_pads(n: int, extent: int, stride: int) -> int:
    """Border elements in all that give ceil(n / stride) windows; negative where windows skip elements anyway."""
    return extent + (n - 1) // stride * stride - n


def resolve_pads(layer: Layer, window: Window, h: int, w: int, *, int8: bool) -> Pads:
    """The borders that an h by w image gets.

    Automatic padding of a stride beyond the kernel's extent has a negative total, which counts as 0; int8 layers raise
    GraphError if the other axis needs a border.
    """
    if any(pad > 0 for pad in window.pads):
        return (max(window.pads[0], 0), max(window.pads[1], 0), max(window.pads[2], 0), max(window.pads[3], 0))
    if all(pad == SAME_UPPER for pad in window.pads) or all(pad == SAME_LOWER for pad in window.pads):
        rows = same_pads(h, window.extent[0], window.stride[0])
        columns = same_pads(w, window.extent[1], window.stride[1])
        if int8 and min(rows, columns) < 0 < max(rows, columns):
            raise fault(layer, f"has SAME padding of {rows} rows and {columns} columns: one of them is negative")
        rows, columns = max(rows, 0), max(columns, 0)
        small = (rows // 2, columns // 2)
        large = (rows - small[0], columns - small[1])
        if window.pads[0] == SAME_UPPER:
            return (small[0], large[0], small[1], large[1])
        return (large[0], small[0], large[1], small[1])
    return (0, 0, 0, 0)


def output_size(layer: Layer, window: Window, h: int, w: int, pads: Pads) -> tuple[int, int]:
    """Windows along (h, w) of the padded image. GraphError where the kernel is larger than that."""
    rows = h + pads[0] + pads[1] - window.extent[0]
    columns = w + pads[2] + pads[3] - window.extent[1]
    if rows < 0 or columns < 0:
        raise fault(
            layer,
            f"has a kernel that covers {window.extent[0]} by {window.extent[1]}, "
            f"larger than its padded bottom blob of {h + pads[0] + pads[1]} by {w + pads[2] + pads[3]}",
        )
    return rows // window.stride[0] + 1, columns // window.stride[1] + 1
