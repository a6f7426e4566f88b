"""Depthwise convolutions of a float plan: planes widened to binary64, a kernel, and sums rounded to binary32 once."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastpath import kernels
from fastpath.arena import double_buffer
from fastpath.float_plan.calls import Call, activated
from fastpath.float_plan.places import Geometry, Place
from fastpath.kernels.source.planes import PLANE_SLACK, PLANES, TAPS
from fastpath.layers.activation import RELU, Activation
from fastpath.layers.common import Doubles, Floats, weights
from fastpath.layers.epilogue import read_bias
from fastpath.layers.window import Pads, Window
from spec.graph import Layer

TILE = 24 * 1024
"""Numbers of the planes that one call widens, about."""


class DoublePlanes:
    """The binary64 numbers that all depthwise layers of a plan share: planes, their sums, weights and biases."""

    def __init__(self) -> None:
        self.bottom, self.top = (double_buffer(2 * PLANES + PLANE_SLACK) for _ in range(2))
        self.weight, self.bias = double_buffer(TAPS), double_buffer(TAPS)
        self.weights = self.biases = 0
        """How many of each are there."""

    def need(self, weights: int, biases: int) -> None:
        """Begin new tables where these no longer hold so many more."""
        if self.weights + weights > TAPS or self.biases + biases > TAPS:
            self.weight, self.bias = double_buffer(TAPS), double_buffer(TAPS)
            self.weights = self.biases = 0


class DepthwiseFilter:
    """The weights (channels, taps) and biases of a float layer, in tables that the kernels read."""

    def __init__(self, layer: Layer, window: Window, channels: int, doubles: DoublePlanes) -> None:
        taps = window.kernel[0] * window.kernel[1]
        self.window, self.taps, self.activation = window, taps, Activation(layer)
        doubles.need(channels * taps, channels)
        self.weight, self.first = doubles.weight, doubles.weights
        self.bias, self.channel = doubles.bias, doubles.biases
        doubles.weights += channels * taps
        doubles.biases += channels
        self.weight.items[self.first : doubles.weights] = weights(layer, "weight_data", channels * taps)
        bias = read_bias(layer)
        if bias is not None:
            self.bias.items[self.channel : doubles.biases] = bias


def depthwise(
    filter: DepthwiseFilter, doubles: DoublePlanes, bottom: Place, pads: Pads, row: int, top: Place
) -> list[Call]:
    """As many rows as `top` has, from this one on, some channels at a time.

    What comes between rows of `top` is the activation of zero.
    """
    seen = seen_by(filter.window, bottom, pads, row, top.geometry)
    step = max(TILE // seen.shape[1], 1)
    calls: list[Call] = []
    for first in range(0, top.channels, step):
        count = min(step, top.channels - first)
        part = top.part(first, count)
        planes, run = (count, seen.shape[1]), (count, top.geometry.run)
        calls.append(partial(np.copyto, _view(doubles.bottom.items, planes), seen[first : first + count]))
        calls.append(_sums(filter, doubles, planes, bottom.geometry.pitch, first, part))
        calls.append(partial(np.copyto, part.runs, _view(doubles.top.items, run), casting="same_kind"))
        if filter.activation.type != RELU:
            calls += activated(filter.activation, part.runs)
    return calls


def seen_by(window: Window, bottom: Place, pads: Pads, row: int, top: Geometry) -> Floats:
    """What the windows of as many rows as `top` has see, from this one on: (channels, n), runs of memory, a view."""
    pitch = bottom.geometry.pitch
    start = bottom.geometry.origin + (row * window.stride[0] - pads[0]) * pitch - pads[2]
    rows, columns = (
        (count - 1) * stride + extent
        for count, stride, extent in zip((top.h, top.w), window.stride, window.extent, strict=True)
    )
    return bottom.planes[:, start : start + (rows - 1) * pitch + columns]


def _view(numbers: Doubles, shape: tuple[int, int]) -> Doubles:
    return numbers[: shape[0] * shape[1]].reshape(shape)


def _sums(
    filter: DepthwiseFilter, doubles: DoublePlanes, planes: tuple[int, int], pitch: int, first: int, part: Place
) -> Call:
    return partial(
        kernels.wide().planes.depthwise,
        doubles.bottom.data,
        planes[1],
        pitch,
        filter.weight.data,
        filter.first + first * filter.taps,
        *filter.window.kernel,
        *filter.window.dilation,
        *filter.window.stride,
        filter.bias.data,
        filter.channel + first,
        part.channels,
        filter.activation.type == RELU,
        doubles.top.data,
        part.geometry.h,
        part.geometry.w,
        part.geometry.pitch,
    )
