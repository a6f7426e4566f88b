"""MultiHeadAttention: q, k, v by rows, the output matrix as a whole. SDPA: nothing is stored, a switch is set."""

from __future__ import annotations

from array import array

from spec.graph import Layer, float_weight, int8_weight
from spec.quantization.scales import ScaleSource, quantize_groups


def quantize_multi_head_attention(layer: Layer, source: ScaleSource) -> None:
    """Quantize q, k, v by the rows NAME_param_0 ... 2 (embed_dim scales each) and the output by NAME_param_3 (one).

    Follows: ncnn tools/quantize/ncnn2int8.cpp @ a4d2ea1d.
    """
    embed_dim = layer.get.integer("embed_dim")
    parts = (("q", embed_dim), ("k", embed_dim), ("v", embed_dim), ("out", 1))
    quantized = []
    for index, (part, rows) in enumerate(parts):
        name = f"{part}_weight_data"
        scales = source.static_scales(layer, index, rows, layer.weight(name).floats())
        quantized.append(quantize_groups(layer, name, scales, source, rows))
    for (part, _), (codes, stored) in zip(parts, quantized, strict=True):
        name = f"{part}_weight_data"
        layer.weights[name] = int8_weight(name, codes)
        scale_name = f"{name}_int8_scale" if part == "out" else f"{name}_int8_scales"
        layer.weights[scale_name] = float_weight(scale_name, array("f", stored), "raw")
    layer.set("quantize_term", 2)


def quantize_sdpa(layer: Layer, source: ScaleSource) -> None:
    """Switch the layer to int8; all its operands are quantized while the network runs.

    Follows: ncnn tools/quantize/ncnn2int8.cpp @ a4d2ea1d.
    """
    layer.set("int8_scale_term", 2)
