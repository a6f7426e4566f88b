"""Convolution1D and ConvolutionDepthWise1D: convolution along the rows of a (channels, length) blob, in binary32."""

from __future__ import annotations

from array import array

from spec.binary32 import REFERENCE, Profile, add_products, f32
from spec.blob import Blob, float_blob
from spec.graph import Layer
from spec.layers.activation import activate, activation_of, check_activation
from spec.layers.common import fault, floats, only_bottom, require_rank, require_weights
from spec.layers.window import SAME_LOWER, SAME_UPPER, same_padding, window_count


def convolution1d(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Every output row is the sum of all input rows, each convolved with a kernel of its own.

    out[o, x] = activation(bias[o] + sum over c, j of weight[o, c, j] * in[c, x * stride_w + j * dilation_w]), with the
    pads of Convolution at the left and the right; (channels, length) to (num_output, out_length). With dynamic_weight
    the weights (num_output, channels, kernel_w), and the bias after them, are further bottoms.

    Follows: ncnn src/layer/convolution1d.cpp @ a4d2ea1d.
    """
    return [_convolved(layer, bottoms, 1)]


def convolution_depthwise1d(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Convolution1D of each group of rows by itself.

    Follows: ncnn src/layer/convolutiondepthwise1d.cpp @ a4d2ea1d.
    """
    return [_convolved(layer, bottoms, layer.get.integer("group"))]


def _convolved(layer: Layer, bottoms: list[Blob], groups: int) -> Blob:
    blob, weights, bias, kernel_w = _operands(layer, bottoms)
    require_rank(layer, blob, 2)
    channels, length = blob.shape
    num_output = len(bias)
    if channels % groups or num_output % groups:
        raise fault(layer, f"cannot divide {channels} channels and {num_output} outputs into {groups} groups")
    inputs, outputs = channels // groups, num_output // groups
    if len(weights) != num_output * inputs * kernel_w:
        raise fault(layer, f"has {len(weights)} weights, but needs {num_output} x {inputs} x {kernel_w}")
    rows = _padded_rows(layer, floats(layer, blob), length, kernel_w)
    dilation, stride = layer.get.integer("dilation_w"), layer.get.integer("stride_w")
    count = window_count(len(rows[0]), dilation * (kernel_w - 1) + 1, stride)
    if count <= 0:
        raise fault(layer, f"has a kernel that is longer than its padded rows of {len(rows[0])}")
    activation_type, activation_params = activation_of(layer)
    weight = iter(weights)
    result: list[float] = []
    for output in range(num_output):
        totals = array("f", [bias[output]] * count)
        first = output // outputs * inputs
        for row in rows[first : first + inputs]:
            for start in range(0, kernel_w * dilation, dilation):
                taps = row[start : start + (count - 1) * stride + 1 : stride]
                totals = add_products(totals, taps, next(weight))
        result += activate(totals, activation_type, activation_params)
    return float_blob((num_output, count), result)


def _operands(layer: Layer, bottoms: list[Blob]) -> tuple[Blob, list[float], list[float], int]:
    """The input, the weights, the biases (zeros if there are none) and the kernel's width."""
    bias_term = layer.get.integer("bias_term")
    if not layer.get.integer("dynamic_weight"):
        num_output = layer.get.integer("num_output")
        weights = require_weights(layer, "weight_data", layer.get.integer("weight_data_size"))
        bias = require_weights(layer, "bias_data", num_output) if bias_term else [0.0] * num_output
        return only_bottom(layer, bottoms), weights, bias, layer.get.integer("kernel_w")
    if len(bottoms) != (3 if bias_term else 2):
        raise fault(layer, f"with dynamic_weight takes {3 if bias_term else 2} bottom blobs, not {len(bottoms)}")
    require_rank(layer, bottoms[1], 3)
    num_output, _, kernel_w = bottoms[1].shape
    bias = floats(layer, bottoms[2]) if bias_term else [0.0] * num_output
    if len(bias) != num_output:
        raise fault(layer, f"has {num_output} outputs, but a bias of {len(bias)}")
    return bottoms[0], floats(layer, bottoms[1]), bias, kernel_w


def _padded_rows(layer: Layer, values: list[float], length: int, kernel_w: int) -> list[list[float]]:
    left, right = layer.get.integer("pad_left"), layer.get.integer("pad_right")
    if left == right and left in (SAME_UPPER, SAME_LOWER):
        extent = layer.get.integer("dilation_w") * (kernel_w - 1) + 1
        left, right = same_padding(length, extent, layer.get.integer("stride_w"), left)
    fill = f32(layer.get.number("pad_value"))
    before, after = [fill] * max(left, 0), [fill] * max(right, 0)
    return [before + values[start : start + length] + after for start in range(0, len(values), length)]


def check(layer: Layer) -> None:
    """GraphError for sizes below 1 and unknown activations."""
    check_activation(layer)
    names = ["stride_w", "dilation_w"]
    if not layer.get.integer("dynamic_weight"):
        names += ["num_output", "kernel_w"]
    if layer.type == "ConvolutionDepthWise1D":
        names.append("group")
    for name in names:
        if layer.get.integer(name) < 1:
            raise fault(layer, f"has {name} {layer.get.integer(name)}, but needs at least 1")


FORWARD = {"Convolution1D": convolution1d, "ConvolutionDepthWise1D": convolution_depthwise1d}
CHECK = {"Convolution1D": check, "ConvolutionDepthWise1D": check}
