"""Dequantize: int32 sums become binary32 values."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Operator, Prepare, int32_bottom
from fastpath.layers.quantize import outermost, record
from spec.graph import Layer


def prepare_dequantize(layer: Layer) -> Operator:
    """Dequantize: y = f32(x) * scale + bias, int32 to float32; without a bias 0 is added.

    Follows: ncnn src/layer/dequantize.cpp @ a4d2ea1d.
    """
    scales = record(layer, "scale_data")
    bias = record(layer, "bias_data") if layer.get.integer("bias_data_size") else np.zeros(1, np.float32)

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = int32_bottom(layer, bottoms)
        values = blob.astype(np.float32)
        values *= outermost(layer, scales, blob, "numbers in scale_data")
        values += outermost(layer, bias, blob, "numbers in bias_data")
        return [values]

    return operator


PREPARE: dict[str, Prepare] = {"Dequantize": prepare_dequantize}
