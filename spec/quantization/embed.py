"""Embed: one scale for the whole table of words."""

from __future__ import annotations

from array import array

from spec.graph import Layer, float_weight, int8_weight
from spec.quantization.scales import ScaleSource, quantize_groups


def quantize_embed(layer: Layer, source: ScaleSource) -> None:
    """Quantize the words by the one scale of the row NAME_param_0.

    Follows: ncnn tools/quantize/ncnn2int8.cpp @ a4d2ea1d.
    """
    scales = source.static_scales(layer, 0, 1, layer.weight("weight_data").floats())
    codes, stored = quantize_groups(layer, "weight_data", scales, source, 1)
    layer.weights["weight_data"] = int8_weight("weight_data", codes)
    name = "weight_data_int8_scale"
    layer.weights[name] = float_weight(name, array("f", stored), "raw")
    layer.set("int8_scale_term", 2)
