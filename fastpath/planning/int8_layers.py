"""int8 layers as the kernels need them, or why they cannot run them."""

from __future__ import annotations

import numpy as np

from fastpath.kernels.packing import fits_dense, fits_depthwise
from fastpath.layers.activation import Activation
from fastpath.layers.common import Array
from fastpath.layers.epilogue import (
    descales,
    read_bias,
    read_bottom_scale,
    read_int8_weights,
    read_scale,
    read_weight_scales,
)
from fastpath.layers.window import Window, window_of
from fastpath.planning.shapes import NO_PADS
from fastpath.steps.convolution8 import Convolution8
from fastpath.steps.product import fits_product, fits_rows
from spec.graph import Layer


def is_int8(layer: Layer) -> bool:
    """Whether a plan could run this layer on codes."""
    types = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
    return layer.type in types and layer.get.integer("int8_scale_term") != 0


class Refusal(Exception):
    """Why a layer stays with numpy."""


def read_convolution(layer: Layer) -> Convolution8:
    """An int8 convolution as the kernels need it. Refusal where they cannot run it."""
    if not is_int8(layer):
        raise Refusal("float weights")
    get = layer.get.integer
    group = get("group") if layer.type == "ConvolutionDepthWise" else 1
    num_output, window = get("num_output"), window_of(layer)
    taps = window.kernel[0] * window.kernel[1]
    group_channels = get("weight_data_size") // (num_output * taps)
    depthwise = layer.type == "ConvolutionDepthWise" and group_channels == 1 and num_output == group
    if group != 1 and not depthwise:
        raise Refusal("groups of several channels")
    if layer.get.number("pad_value") != 0:
        raise Refusal("a pad value other than 0")
    term = get("int8_scale_term")
    count = num_output if layer.type == "Convolution" else group if term in (1, 101) else 1
    scales = read_weight_scales(layer, count)
    if count == 1:
        scales = np.repeat(scales, group)
    weight = read_int8_weights(layer, scales, get("weight_data_size"))
    weight = weight.reshape(num_output, group_channels, *window.kernel)
    if not (fits_depthwise(weight) if depthwise else fits_dense(weight)):
        raise Refusal("more weights than the kernels take, or a weight of -128")
    bottom_scale = read_bottom_scale(layer)
    return Convolution8(
        layer,
        window,
        weight,
        depthwise,
        Activation(layer),
        read_bias(layer),
        descales(bottom_scale, np.repeat(scales, num_output // scales.size)),
        bottom_scale,
        read_scale(layer, "top_blob_int8_scales") if term > 100 else None,
    )


def row_count(bottom: Array, num_input: int) -> int:
    """The rows of a matrix that an InnerProduct takes one by one; 1 for blobs that it takes as a whole."""
    return int(bottom.shape[0]) if bottom.ndim == 2 and bottom.shape[1] == num_input else 1


def read_inner_product(layer: Layer, bottom: Array) -> Convolution8:
    """An int8 InnerProduct as a convolution of one pixel, or of the rows of a matrix. Refusal where neither fits."""
    get = layer.get.integer
    if get("int8_scale_term") == 0:
        raise Refusal("float weights")
    num_output = get("num_output")
    num_input = get("weight_data_size") // num_output
    rows = row_count(bottom, num_input)
    if rows * num_input != bottom.size:
        raise Refusal("another number of inputs than its bottom blob has")
    scales, bottom_scale = read_weight_scales(layer, num_output), read_bottom_scale(layer)
    weight = read_int8_weights(layer, scales, get("weight_data_size")).reshape(num_output, num_input, 1, 1)
    if not (fits_rows(num_output, (rows, num_input)) if rows > 1 else fits_product(num_output, num_input)):
        raise Refusal("more inputs or outputs than the kernels take")
    return Convolution8(
        layer,
        Window((1, 1), (1, 1), (1, 1), NO_PADS),
        weight,
        False,
        Activation(layer),
        read_bias(layer),
        descales(bottom_scale, scales),
        bottom_scale,
        None,
    )
