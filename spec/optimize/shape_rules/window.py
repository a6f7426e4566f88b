"""Layers with sliding windows: convolutions, pooling, unfolding.

Follows: ncnn src/layer/convolution.cpp, deconvolution.cpp, pooling.cpp and their like @ a4d2ea1d.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spec.graph import Layer, Shape
from spec.layer_table import Params
from spec.optimize.shape_rules.common import (
    SAME_LOWER,
    SAME_UPPER,
    Rule,
    ShapeUnknown,
    first,
    of_rank,
    positive,
    quotient,
)

FULL, VALID = 0, 1
"""Pooling's pad_mode; 2 and 3 are SAME_UPPER and SAME_LOWER."""

KEEP = -233
"""An adaptive output extent that stays what it is."""


@dataclass(frozen=True)
class Axis:
    """The window parameters along one axis."""

    kernel: int
    dilation: int
    stride: int
    before: int
    after: int

    @property
    def extent(self) -> int:
        """Input positions from the first to the last of a window."""
        return self.dilation * (self.kernel - 1) + 1

    def count(self, size: int) -> int:
        """Windows in an input that is padded already."""
        return (size - self.extent) // self.stride + 1

    def same(self, size: int) -> int:
        """The size after padding for ceil(size / stride) windows."""
        return size + max(0, self.extent + (size - 1) // self.stride * self.stride - size)


_BEFORE = {"w": "pad_left", "h": "pad_top", "d": "pad_front"}
_AFTER = {"w": "pad_right", "h": "pad_bottom", "d": "pad_behind"}


def window_axis(get: Params, name: str) -> Axis:
    """The window of a layer along axis w, h or d."""
    dilation = f"dilation_{name}"
    return Axis(
        get.integer(f"kernel_{name}"),
        get.integer(dilation) if dilation in get else 1,
        get.integer(f"stride_{name}"),
        get.integer(_BEFORE[name]),
        get.integer(_AFTER[name]),
    )


def _window_axes(layer: Layer, names: str) -> list[Axis]:
    """The windows, outermost axis first."""
    axes = [window_axis(layer.get, name) for name in names]
    if any(axis.kernel < 1 or axis.stride < 1 or axis.dilation < 1 for axis in axes):
        raise ShapeUnknown("kernel, stride and dilation must be at least 1")
    return axes


def _padded(axes: list[Axis], sizes: Sequence[int]) -> list[int]:
    """Input sizes after padding: explicit pads, else SAME, else none."""
    pads = [pad for axis in axes for pad in (axis.before, axis.after)]
    if any(pad > 0 for pad in pads):
        return [size + axis.before + axis.after for axis, size in zip(axes, sizes, strict=True)]
    if all(pad == SAME_UPPER for pad in pads) or all(pad == SAME_LOWER for pad in pads):
        return [axis.same(size) for axis, size in zip(axes, sizes, strict=True)]
    return list(sizes)


def _convolution(names: str) -> Rule:
    def rule(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        get, shape = layer.get, first(bottoms)
        num_output = get.integer("num_output")
        if len(shape) == 1 and names == "hw" and _is_dot_product(get, shape):
            return [(num_output,)]
        of_rank(shape, len(names) + 1)
        if "dynamic_weight" in get and get.integer("dynamic_weight"):
            return [_dynamic(layer, bottoms, names)]
        axes = _window_axes(layer, names)
        sizes = _padded(axes, shape[1:])
        return [positive((num_output, *(axis.count(size) for axis, size in zip(axes, sizes, strict=True))))]

    return rule


def _is_dot_product(get: Params, shape: Shape) -> bool:
    """A 1×1 convolution of a 1-D blob, which ncnn computes as an InnerProduct."""
    is_point = get.integer("kernel_w") == get.integer("kernel_h") == 1
    return is_point and get.integer("weight_data_size") == get.integer("num_output") * shape[0]


def _dynamic(layer: Layer, bottoms: Sequence[Shape], names: str) -> Shape:
    """Weights come as the second bottom: (out, in, kernel...)."""
    if len(bottoms) < 2:
        raise ShapeUnknown("its weight bottom is missing")
    kernel = of_rank(bottoms[1], len(names) + 2)
    axes = [
        Axis(size, axis.dilation, axis.stride, axis.before, axis.after)
        for size, axis in zip(kernel[2:], (window_axis(layer.get, name) for name in names), strict=True)
    ]
    sizes = _padded(axes, bottoms[0][1:])
    return positive((kernel[0], *(axis.count(size) for axis, size in zip(axes, sizes, strict=True))))


_OUTPUT_PAD = {"w": "output_pad_right", "h": "output_pad_bottom", "d": "output_pad_behind"}


def _deconvolution(names: str) -> Rule:
    def rule(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        get, shape = layer.get, of_rank(first(bottoms), len(names) + 1)
        if "dynamic_weight" in get and get.integer("dynamic_weight"):
            raise ShapeUnknown("its weights are computed at run time")
        axes = _window_axes(layer, names)
        full = [
            (size - 1) * axis.stride + axis.extent + get.integer(_OUTPUT_PAD[name])
            for name, axis, size in zip(names, axes, shape[1:], strict=True)
        ]
        wanted = [get.integer(f"output_{name}") for name in names]
        if any(pad > 0 for axis in axes for pad in (axis.before, axis.after)):
            full = [size - axis.before - axis.after for axis, size in zip(axes, full, strict=True)]
        elif all(size > 0 for size in wanted):
            full = wanted
        return [positive((get.integer("num_output"), *full))]

    return rule


def _pooling(names: str) -> Rule:
    def rule(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        get, shape = layer.get, of_rank(first(bottoms), len(names) + 1)
        if get.integer("global_pooling"):
            return [shape[:1]]
        if get.integer("adaptive_pooling"):
            wanted = [get.integer(f"out_{name}") for name in names]
            sizes = [size if out == KEEP else out for out, size in zip(wanted, shape[1:], strict=True)]
            return [positive((shape[0], *sizes))]
        axes = _window_axes(layer, names)
        mode = get.integer("pad_mode")
        sizes = [axis.count(_pooling_padded(axis, size, mode)) for axis, size in zip(axes, shape[1:], strict=True)]
        return [positive((shape[0], *sizes))]

    return rule


def _pooling_padded(axis: Axis, size: int, mode: int) -> int:
    if mode not in (FULL, VALID):
        return axis.same(size)
    padded = size + axis.before + axis.after
    rest = int(math.fmod(padded - axis.kernel, axis.stride))
    return padded + axis.stride - rest if mode == FULL and rest else padded


def _unfold(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Unfold: one column for each window, one row for each of its elements."""
    shape = of_rank(first(bottoms), 3)
    axes = _window_axes(layer, "hw")
    counts = [axis.count(size) for axis, size in zip(axes, _padded(axes, shape[1:]), strict=True)]
    return [positive((shape[0] * math.prod(axis.kernel for axis in axes), math.prod(counts)))]


def _fold(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Fold: the inverse of Unfold."""
    rows, _ = of_rank(first(bottoms), 2)
    get = layer.get
    channels = quotient(rows, get.integer("kernel_w") * get.integer("kernel_h"), "rows")
    return [positive((channels, get.integer("output_h"), get.integer("output_w")))]


RULES: dict[str, Rule] = {
    "Convolution": _convolution("hw"),
    "ConvolutionDepthWise": _convolution("hw"),
    "DeformableConv2D": _convolution("hw"),
    "Convolution1D": _convolution("w"),
    "ConvolutionDepthWise1D": _convolution("w"),
    "Convolution3D": _convolution("dhw"),
    "ConvolutionDepthWise3D": _convolution("dhw"),
    "Deconvolution": _deconvolution("hw"),
    "DeconvolutionDepthWise": _deconvolution("hw"),
    "Deconvolution1D": _deconvolution("w"),
    "DeconvolutionDepthWise1D": _deconvolution("w"),
    "Deconvolution3D": _deconvolution("dhw"),
    "DeconvolutionDepthWise3D": _deconvolution("dhw"),
    "Pooling": _pooling("hw"),
    "Pooling1D": _pooling("w"),
    "Pooling3D": _pooling("dhw"),
    "Unfold": _unfold,
    "Fold": _fold,
}
