"""Convolution1D and ConvolutionDepthWise1D: convolution along the rows of a (channels, length) blob, in float32.

With one input and one output channel a group the sums have the spec's order; the others are BLAS's.
"""

from __future__ import annotations

import numpy as np

from fastpath.layers.activation import Activation
from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, floats, only_bottom, require_rank, weights
from fastpath.layers.convolution import GroupedConvolution
from fastpath.layers.epilogue import Epilogue, read_bias
from fastpath.layers.window import SAME_LOWER, SAME_UPPER, Window
from spec.graph import Layer


def prepare_convolution1d(layer: Layer) -> Operator:
    """Convolution1D: (channels, length) to (num_output, out_length).

    Follows: ncnn src/layer/convolution1d.cpp @ a4d2ea1d.
    """
    return _prepare(layer, 1)


def prepare_convolution_depthwise1d(layer: Layer) -> Operator:
    """ConvolutionDepthWise1D: each group of rows by itself.

    Follows: ncnn src/layer/convolutiondepthwise1d.cpp @ a4d2ea1d.
    """
    return _prepare(layer, layer.get.integer("group"))


def _prepare(layer: Layer, groups: int) -> Operator:
    activation = Activation(layer)
    dynamic = layer.get.integer("dynamic_weight") != 0
    names = ["stride_w", "dilation_w"] if dynamic else ["stride_w", "dilation_w", "num_output", "kernel_w"]
    for name in names:
        if layer.get.integer(name) < 1:
            raise fault(layer, f"has {name} {layer.get.integer(name)}, but needs at least 1")
    if groups < 1:
        raise fault(layer, f"has group {groups}, but needs at least 1")

    def convolution(weight: Floats, bias: Floats | None) -> GroupedConvolution:
        num_output, kernel_w = weight.shape[0], weight.shape[-1]
        if num_output % groups or (bias is not None and bias.size != num_output):
            raise fault(layer, f"has {num_output} outputs, which do not fit its bias or its {groups} groups")
        window = _window(layer, kernel_w)
        return GroupedConvolution(
            layer, window, weight.reshape(num_output, -1, 1, kernel_w), groups, Epilogue(layer, activation, bias)
        )

    def run(static: GroupedConvolution, blob: Array) -> list[Array]:
        require_rank(layer, blob, 2)
        return [static(blob[:, np.newaxis])[:, 0]]

    if not dynamic:
        count, num_output = layer.get.integer("weight_data_size"), layer.get.integer("num_output")
        taps = num_output * layer.get.integer("kernel_w")
        if count < 1 or count % taps:
            raise fault(layer, f"has {count} weights, which is no multiple of {taps}")
        kernel_w = layer.get.integer("kernel_w")
        static = convolution(weights(layer, "weight_data", count).reshape(num_output, -1, kernel_w), read_bias(layer))
        return lambda bottoms: run(static, only_bottom(layer, bottoms))
    wanted = 3 if layer.get.integer("bias_term") else 2

    def operator(bottoms: list[Array]) -> list[Array]:
        if len(bottoms) != wanted:
            raise fault(layer, f"with dynamic_weight takes {wanted} bottom blobs, not {len(bottoms)}")
        weight = floats(layer, bottoms[1])
        require_rank(layer, weight, 3)
        bias = floats(layer, bottoms[2]).reshape(-1) if wanted == 3 else None
        return run(convolution(weight, bias), bottoms[0])

    return operator


def _window(layer: Layer, kernel_w: int) -> Window:
    left, right = layer.get.integer("pad_left"), layer.get.integer("pad_right")
    if left == right and left in (SAME_UPPER, SAME_LOWER):
        pads = (left, left, left, left)
    else:
        pads = (0, 0, max(left, 0), max(right, 0))
    steps = (1, layer.get.integer("dilation_w")), (1, layer.get.integer("stride_w"))
    return Window((1, kernel_w), *steps, pads)


PREPARE: dict[str, Prepare] = {
    "Convolution1D": prepare_convolution1d,
    "ConvolutionDepthWise1D": prepare_convolution_depthwise1d,
}
