"""What a plan asks about single layers."""

from __future__ import annotations

import numpy as np

from fastpath.layers.activation import NONE, RELU
from fastpath.layers.common import Floats
from fastpath.layers.lrn import ACROSS_CHANNELS
from fastpath.layers.pooling import AVERAGE, axis_of
from fastpath.layers.window import Pads, Window
from fastpath.steps.convolution8 import Convolution8
from spec.graph import Layer, Shape

ADD = 0
"""The `op_type` of a BinaryOp that adds."""

SHAPES_ALONE = ("PriorBox",)
"""Types whose tops depend on the shapes of their bottoms, and on no number in them."""

KEEP_SIGNS = ("Split", "Concat", "Slice", "ShuffleChannel", "LRN")
"""Types that make no negative numbers where they read none."""


def constants(layers: list[Layer]) -> set[str]:
    """Blobs that are the same for all inputs of the same shapes."""
    known = set[str]()
    for layer in layers:
        if layer.type in SHAPES_ALONE or (layer.bottoms and known.issuperset(layer.bottoms)):
            known.update(layer.tops)
    return known


def slopes_of(layer: Layer, channels: int) -> Floats | None:
    """What a layer of type ReLU or PReLU multiplies the negative values of each channel by; None for other layers."""
    if layer.type == "ReLU":
        return np.full(channels, layer.get.number("slope"), np.float32)
    if layer.type == "PReLU" and layer.get.integer("num_slope") in (1, channels):
        slopes = np.array(layer.weight("slope_data").floats(), np.float32)
        return np.broadcast_to(slopes, channels).copy()
    return None


def joins(layer: Layer, convolution: Convolution8) -> bool:
    """Whether a layer is a ReLU, leaky or not, that can be one staircase with the convolution before it."""
    slopes = slopes_of(layer, convolution.num_output)
    if slopes is None or convolution.activation.type not in (NONE, RELU):
        return False
    return not slopes.any() or (convolution.activation.type == NONE and convolution.top_scale is None)


def is_relu(layer: Layer) -> bool:
    """Whether a layer is a plain ReLU."""
    return layer.type == "ReLU" and layer.get.number("slope") == 0


def is_normalization(layer: Layer) -> bool:
    """Whether a layer is LRN across channels."""
    get = layer.get.integer
    return layer.type == "LRN" and get("region_type") == ACROSS_CHANNELS and get("local_size") > 0


def is_global_average(layer: Layer) -> bool:
    """Whether a layer averages each channel."""
    get = layer.get.integer
    return layer.type == "Pooling" and get("pooling_type") == AVERAGE and get("global_pooling") != 0


def pool_windows(layer: Layer, shape: Shape) -> tuple[tuple[int, int], tuple[int, int], Pads] | None:
    """Kernel, stride and borders of windowed max pooling; None for every other kind."""
    get = layer.get.integer
    if get("pooling_type") != 0 or get("global_pooling") or get("adaptive_pooling") or len(shape) != 3:
        return None
    vertical = axis_of(layer, shape[1], "kernel_h", "stride_h", "pad_top", "pad_bottom")
    horizontal = axis_of(layer, shape[2], "kernel_w", "stride_w", "pad_left", "pad_right")
    for axis in (vertical, horizontal):
        if (axis.count - 1) * axis.stride >= axis.before + axis.length or axis.before >= axis.kernel:
            return None
    borders = (vertical.before, vertical.after, horizontal.before, horizontal.after)
    return (vertical.kernel, horizontal.kernel), (vertical.stride, horizontal.stride), borders


def pool_window(layer: Layer, shape: Shape) -> Window | None:
    """The same as one window."""
    windows = pool_windows(layer, shape)
    return None if windows is None else Window(windows[0], (1, 1), windows[1], windows[2])
