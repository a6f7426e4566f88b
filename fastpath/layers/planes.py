"""Float depthwise convolution and max pooling by compiled kernels, a few channels at a time.

Sums are binary64 and rounded to binary32 once, after ReLU if there is one. They start with the bias and take the taps
in the spec's order; only the rounding of every step is missing, so the last bits differ from the spec's. Maxima are the
same.
"""

from __future__ import annotations

import threading

import numpy as np

from fastpath import kernels
from fastpath.arena import double_buffer
from fastpath.kernels.source.planes import PLANE_SLACK, PLANES, TAPS
from fastpath.layers.activation import NONE, RELU, Activation
from fastpath.layers.common import Array, Doubles, Floats
from fastpath.layers.window import Pads, Window

TILE = 48 * 1024
"""Numbers of the padded planes that one call computes: what stays in the second-level cache as binary64."""

WIDEST_STEP = 64
"""The largest stride that the kernels take."""


class _Workshop(threading.local):
    """The planes of one thread, made where they are first needed, and how they are laid out now."""

    ready = False

    def planes(self, count: int, h: int, w: int, pads: Pads, fill: float) -> Doubles:
        """Where `count` planes of h by w numbers go, inside borders that hold `fill`."""
        if not self.ready:
            self.bottom, self.top = (double_buffer(2 * PLANES + PLANE_SLACK) for _ in range(2))
            self.layout: tuple[object, ...] = ()
            self.ready = True
        rows, pitch = h + pads[0] + pads[1], w + pads[2] + pads[3]
        padded = self.bottom.items[: count * rows * pitch].reshape(count, rows, pitch)
        layout = (count, h, w, pads, fill)
        if self.layout != layout:
            padded.fill(fill)
            self.layout = layout
        return padded[:, pads[0] : pads[0] + h, pads[2] : pads[2] + w]


_WORKSHOP = _Workshop()


class DepthwisePlanes:
    """A depthwise layer with weights (channels, taps) and a bias or none."""

    def __init__(
        self, window: Window, weight: Floats, bias: Floats | None, activation: Activation, fill: float
    ) -> None:
        self.window, self.activation, self.fill = window, activation, fill
        self.taps = weight.shape[1]
        self.weight, self.bias = double_buffer(TAPS), double_buffer(TAPS)
        self.weight.items[: weight.size] = weight.reshape(-1)
        if bias is not None:
            self.bias.items[: bias.size] = bias.reshape(-1)

    def __call__(self, blob: Floats, pads: Pads, top: Array) -> None:
        """Fill `top` (channels, out_h, out_w) from a bottom blob (channels, h, w)."""
        channels, h, w = blob.shape
        out_h, out_w = top.shape[1:]
        pitch = w + pads[2] + pads[3]
        plane = (h + pads[0] + pads[1]) * pitch
        out_pitch = pitch if self.window.stride == (1, 1) else out_w
        run = out_h * out_pitch
        step = min(max(TILE // plane, 1), channels)
        convolve = kernels.wide().planes.depthwise
        relu = self.activation.type == RELU
        shop = _WORKSHOP
        inner = shop.planes(step, h, w, pads, self.fill)
        sums = shop.top.items[: step * run].reshape(step, out_h, -1)[:, :, :out_w]
        for first in range(0, channels, step):
            count = min(step, channels - first)
            np.copyto(inner[:count], blob[first : first + count])
            convolve(
                shop.bottom.data,
                plane,
                pitch,
                self.weight.data,
                first * self.taps,
                *self.window.kernel,
                *self.window.dilation,
                *self.window.stride,
                self.bias.data,
                first,
                count,
                relu,
                shop.top.data,
                out_h,
                out_w,
                out_pitch,
            )
            part = top[first : first + count]
            np.copyto(part, sums[:count], casting="same_kind")
            if self.activation.type not in (NONE, RELU):
                self.activation(part)

    def takes(self, shape: tuple[int, int, int], pads: Pads, out_w: int) -> bool:
        """Whether the kernels can run on a bottom blob of this shape."""
        plane = (shape[1] + pads[0] + pads[1]) * (shape[2] + pads[2] + pads[3])
        return plane <= PLANES and max(self.window.stride) <= WIDEST_STEP and out_w <= PLANE_SLACK // 2 - 2


def depthwise_planes(
    window: Window, weight: Floats, bias: Floats | None, activation: Activation, fill: float
) -> DepthwisePlanes | None:
    """The compiled form of a layer with weights (channels, taps); None where there is none."""
    if not kernels.COMPILED or weight.size > TAPS:
        return None
    return DepthwisePlanes(window, weight, bias, activation, fill)


def max_pool_planes(blob: Floats, kernel: int, pads: Pads, fill: float, top: Floats) -> bool:
    """Fill `top` with the maxima of 2 by 2 or 3 by 3 windows of stride 2; whether there are kernels for that."""
    channels, h, w = blob.shape
    out_h, out_w = top.shape[1:]
    pitch = w + pads[2] + pads[3]
    plane = (h + pads[0] + pads[1]) * pitch
    if not kernels.COMPILED or plane > PLANES or out_w > PLANE_SLACK // 2 - 2:
        return False
    step = min(max(TILE // plane, 1), channels)
    shop = _WORKSHOP
    inner = shop.planes(step, h, w, pads, fill)
    maxima = shop.top.items[: step * out_h * out_w].reshape(step, out_h, out_w)
    pool = kernels.wide().planes.max_pool
    for first in range(0, channels, step):
        count = min(step, channels - first)
        np.copyto(inner[:count], blob[first : first + count])
        pool(shop.bottom.data, plane, pitch, kernel, count, shop.top.data, out_h, out_w)
        np.copyto(top[first : first + count], maxima[:count], casting="same_kind")
    return True
