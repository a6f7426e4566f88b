"""Requantize: int32 sums become int8 codes of another scale."""

from __future__ import annotations

import numpy as np

from fastpath.layers.activation import Activation
from fastpath.layers.common import Array, Operator, Prepare, fault, int32_bottom
from fastpath.layers.quantize import outermost, record, require_finite
from fastpath.rounding import finite, quantize
from spec.graph import Layer


def prepare_requantize(layer: Layer) -> Operator:
    """Requantize: y = q8(activation(f32(x) * scale_in + bias) * scale_out), int32 to int8.

    Follows: ncnn src/layer/requantize.cpp @ a4d2ea1d.
    """
    scales_in, scales_out = record(layer, "scale_in_data"), record(layer, "scale_out_data")
    require_finite(layer, scales_in, "scale_in_data")
    require_finite(layer, scales_out, "scale_out_data")
    bias = record(layer, "bias_data") if layer.get.integer("bias_data_size") else np.zeros(1, np.float32)
    activation = Activation(layer)

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = int32_bottom(layer, bottoms)
        values = blob.astype(np.float32)
        # descale
        values *= outermost(layer, scales_in, blob, "numbers in scale_in_data")
        # bias
        values += outermost(layer, bias, blob, "numbers in bias_data")
        # activation
        activation(values)
        # requantize
        if not finite(values):
            raise fault(layer, "cannot quantize: NaN and infinities have no int8 codes")
        return [quantize(values, outermost(layer, scales_out, blob, "numbers in scale_out_data"))]

    return operator


PREPARE: dict[str, Prepare] = {"Requantize": prepare_requantize}
