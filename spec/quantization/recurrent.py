"""RNN, LSTM and GRU: a scale for each row of the input weights and of the hidden weights.

Their inputs and hidden states are quantized while the network runs, with a scale for each time step, so no row of the
table describes them.
"""

from __future__ import annotations

from array import array

from spec.graph import Layer, float_weight, int8_weight
from spec.quantization.scales import ScaleSource, quantize_groups

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
"""Blocks of weight rows in one direction."""


def quantize_recurrent(layer: Layer, source: ScaleSource) -> None:
    """Quantize weight_xc by the row NAME_param_0 and weight_hc by NAME_param_1; both directions stand in one row.

    Biases and the projection matrix stay float.
    Follows: ncnn tools/quantize/ncnn2int8.cpp @ a4d2ea1d.
    """
    directions = 2 if layer.get.integer("direction") == 2 else 1
    hidden = layer.get.integer("hidden_size" if layer.type == "LSTM" else "num_output")
    rows = directions * GATES[layer.type] * hidden
    names = ("weight_xc_data", "weight_hc_data")
    scales = [source.static_scales(layer, index, rows, layer.weight(name).floats()) for index, name in enumerate(names)]
    quantized = [quantize_groups(layer, name, row, source, rows) for name, row in zip(names, scales, strict=True)]
    for name, (codes, stored) in zip(names, quantized, strict=True):
        layer.weights[name] = int8_weight(name, codes)
        layer.weights[f"{name}_int8_scales"] = float_weight(f"{name}_int8_scales", array("f", stored), "raw")
    layer.set("int8_scale_term", 2)
