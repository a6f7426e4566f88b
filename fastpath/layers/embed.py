"""Embed: one row of the table for each id."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Operator, fault
from fastpath.layers.dynamic import float_records, int8_records, positive_scales
from spec.graph import Layer


def prepare(layer: Layer) -> Operator:
    """int32 ids (words,) to (words, num_output); ids beyond the table are clamped into it.

    The int8 form multiplies the codes by 1 / scale, one scale for the whole table, and adds the bias if there is one.
    Follows: ncnn src/layer/embed.cpp @ a4d2ea1d.
    """
    num_output, input_dim = layer.get.integer("num_output"), layer.get.integer("input_dim")
    if num_output < 1 or input_dim < 1:
        raise fault(layer, "num_output and input_dim are positive")
    int8 = layer.get.integer("int8_scale_term") != 0
    table: Array
    if int8:
        table = int8_records(layer, "weight_data", input_dim, num_output)
        descale = np.float32(1.0) / positive_scales(layer, "weight_data_int8_scale", 1)[0]
    else:
        table = float_records(layer, "weight_data", input_dim, num_output)
    bias = float_records(layer, "bias_data", num_output) if layer.get.integer("bias_term") else None

    def run(bottoms: list[Array]) -> list[Array]:
        ids = bottoms[0]
        if ids.dtype != np.int32 or ids.ndim != 1:
            raise fault(layer, f"expects a 1-D int32 blob, but got {ids.dtype} of shape {ids.shape}")
        output = table[np.clip(ids, 0, input_dim - 1)].astype(np.float32, copy=False)
        if int8:
            np.multiply(output, descale, out=output)
        if bias is not None:
            np.add(output, bias, out=output)
        return [output]

    return run


PREPARE = {"Embed": prepare}
