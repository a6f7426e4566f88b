"""ConvolutionDepthWise: depthwise and grouped convolution, in binary32 and in int8."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob
from spec.graph import Layer
from spec.layers.activation import activate, activation_of
from spec.layers.common import fault, only_bottom, require_weights
from spec.layers.convolution import check_convolution, convolve_float, convolve_int8, forward_dynamic, window_of
from spec.layers.static_scales import (
    bias_of,
    descale_of,
    descaled,
    int8_weights,
    optional_bias_of,
    quantize_input,
    requantized,
    split,
)

SCALES_PER_GROUP = (1, 101)
"""Values of int8_scale_term with a weight scale for every group."""

ONE_SCALE = (2, 102)
"""Values of int8_scale_term with one weight scale for all groups."""


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Convolve each group of channels by itself, in int8 if the layer has an int8_scale_term, else in binary32.

    Output o belongs to group o div (num_output / group) and reads that group's channels / group input channels; else as
    Convolution. float32 or int8 (channels, h, w) to float32 or int8 (num_output, out_h, out_w).

    Follows: ncnn src/layer/convolutiondepthwise.cpp @ a4d2ea1d.
    Unspecified: as Convolution. Raises GraphError when the groups do not divide the input's channels.

    >>> from spec.blob import float_blob
    >>> layer = Layer("ConvolutionDepthWise", "c", ["x", "w"], ["y"], {0: 2, 1: 1, 6: 2, 7: 2, 19: 1})
    >>> image = float_blob((2, 1, 2), [1.0, 2.0, 3.0, 4.0])
    >>> forward(layer, [image, float_blob((2, 1, 1, 1), [1.0, 0.5])])[0].tolist()
    [[[1.0, 2.0]], [[1.5, 2.0]]]
    """
    if layer.get["dynamic_weight"]:
        return [forward_dynamic(layer, bottoms, layer.get.integer("group"))]
    blob = only_bottom(layer, bottoms)
    if layer.get["int8_scale_term"]:
        return [forward_int8(layer, blob, profile)]
    return [forward_float(layer, blob)]


def forward_float(layer: Layer, blob: Blob) -> Blob:
    """Convolve in binary32, summing from the bias in the order channel of the group, kernel row, kernel column.

    Follows: ncnn src/layer/convolutiondepthwise.cpp (forward) @ a4d2ea1d.
    Unspecified: NaN, infinities and overflow follow IEEE 754.
    """
    num_output = layer.get.integer("num_output")
    weights = require_weights(layer, "weight_data", layer.get.integer("weight_data_size"))
    kernels = split(weights, num_output)
    return convolve_float(
        layer, blob, window_of(layer), kernels, bias_of(layer, num_output), layer.get.integer("group")
    )


def forward_int8(layer: Layer, blob: Blob, profile: Profile) -> Blob:
    """Convolve int8 codes group by group into exact integer sums, then return to binary32 or to int8.

    As Convolution, with descale[o] = 1 / (bottom_scale * weight_scale[group of o]).

    Follows: ncnn src/layer/convolutiondepthwise.cpp (forward_int8) @ a4d2ea1d.
    Unspecified: as Convolution.

    >>> from array import array
    >>> from spec.blob import int8_blob
    >>> from spec.graph import float_weight, int8_weight
    >>> layer = Layer("ConvolutionDepthWise", "c", ["x"], ["y"], {0: 2, 1: 1, 6: 2, 7: 2, 8: 1}, [], {
    ...     "weight_data": int8_weight("weight_data", array("b", [10, -10])),
    ...     "weight_data_int8_scales": float_weight("weight_data_int8_scales", array("f", [5.0, 10.0]), "raw"),
    ...     "bottom_blob_int8_scales": float_weight("bottom_blob_int8_scales", array("f", [4.0]), "raw"),
    ... })
    >>> forward_int8(layer, int8_blob((2, 1, 2), [2, 4, 6, 8]), REFERENCE).tolist()
    [[[1.0, 2.0]], [[-1.5, -2.0]]]
    """
    num_output, group = layer.get.integer("num_output"), layer.get.integer("group")
    weight_scales = _scales_by_output(layer, num_output, group)
    bottom_scale = layer.weight("bottom_blob_int8_scales").floats()[0]
    bias = optional_bias_of(layer, num_output)
    activation_type, activation_params = activation_of(layer)
    kernels = int8_weights(layer, weight_scales)

    # quantize input
    codes = quantize_input(layer, blob, bottom_scale, profile)

    # accumulate
    planes, out_shape = convolve_int8(layer, codes, blob.shape, window_of(layer), kernels, group)
    values: list[float] = []
    for sums, weight_scale, channel_bias in zip(planes, weight_scales, bias, strict=True):
        # descale
        # bias
        descale = descale_of(bottom_scale, weight_scale)
        plane = descaled(sums, descale, channel_bias, profile)

        # activation
        values.extend(activate(plane, activation_type, activation_params))

    # requantize
    return requantized(layer, out_shape, values, profile)


def _scales_by_output(layer: Layer, num_output: int, group: int) -> list[float]:
    if layer.get["int8_scale_term"] in ONE_SCALE:
        return require_weights(layer, "weight_data_int8_scales", 1) * num_output
    scales = require_weights(layer, "weight_data_int8_scales", group)
    return [scales[output // (num_output // group)] for output in range(num_output)]


def check(layer: Layer) -> None:
    """GraphError for parameters and weights of a ConvolutionDepthWise that can never run."""
    num_output, group, term = (layer.get.integer(name) for name in ("num_output", "group", "int8_scale_term"))
    if group < 1 or num_output % group:
        raise fault(layer, f"has {group} groups, which do not divide its {num_output} outputs")
    if term not in (0, *SCALES_PER_GROUP, *ONE_SCALE):
        raise fault(layer, f"has int8_scale_term {term}, but it is 0, 1, 2, 101 or 102")
    check_convolution(layer)


FORWARD = {"ConvolutionDepthWise": forward}
CHECK = {"ConvolutionDepthWise": check}
