"""Convolution, ConvolutionDepthWise and InnerProduct: a scale for each output channel (or group), one for the input."""

from __future__ import annotations

from array import array

from spec.errors import UnsupportedError
from spec.graph import Layer, float_weight, int8_weight
from spec.quantization.scales import ScaleSource, quantize_groups

INT8_TERM = {"Convolution": 2, "ConvolutionDepthWise": 1, "InnerProduct": 2}
"""int8_scale_term of a quantized layer: for ConvolutionDepthWise, 1 means a scale per group and 2 one for all."""


def quantize_convolution(layer: Layer, source: ScaleSource) -> None:
    """Quantize the weights by the row NAME_param_0 and store the scale of the row NAME for the input.

    Records afterwards: int8 weight_data, bias_data as it was, the weight scales, the bottom scale.
    Follows: ncnn tools/quantize/ncnn2int8.cpp @ a4d2ea1d.
    """
    if layer.type != "InnerProduct" and layer.get.integer("dynamic_weight"):
        raise UnsupportedError(layer.name, "its weights arrive while the network runs, so it stays float")
    groups = layer.get.integer("group" if layer.type == "ConvolutionDepthWise" else "num_output")
    bottom_scale = source.bottom_scale(layer)
    weight_scales = source.weight_scales(layer, 0, groups)
    codes, stored = quantize_groups(layer, "weight_data", weight_scales, source, groups)
    layer.weights["weight_data"] = int8_weight("weight_data", codes)
    for name, scales in (("weight_data_int8_scales", stored), ("bottom_blob_int8_scales", bottom_scale)):
        layer.weights[name] = float_weight(name, array("f", scales), "raw")
    layer.set("int8_scale_term", INT8_TERM[layer.type])
