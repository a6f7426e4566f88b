"""BatchNorm, Scale, Bias, Dropout: a multiplication and an addition for each slice along the outermost axis."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Floats, Operator, Prepare, along_axis, fault, float_bottom, floats, weights
from spec.graph import Layer

SCALE_FROM_BOTTOM = -233
"""The scale_data_size that makes the second bottom the scale."""

SMALLEST_DEVIATION = np.float32(0.0001)
"""What BatchNorm takes for a deviation of 0."""


def prepare_batch_norm(layer: Layer) -> Operator:
    """BatchNorm: y = b * x + a with r = sqrt(var + eps), a = bias - slope * mean / r, b = slope / r.

    Follows: ncnn src/layer/batchnorm.cpp @ a4d2ea1d.
    """
    channels = layer.get.integer("channels")
    slope, mean, var, bias = (
        weights(layer, name, channels) for name in ("slope_data", "mean_data", "var_data", "bias_data")
    )
    deviation = np.sqrt(var + np.float32(layer.get.number("eps")))
    deviation[deviation == 0] = SMALLEST_DEVIATION
    a = bias - slope * mean / deviation
    b = slope / deviation
    return lambda bottoms: [scaled(layer, float_bottom(layer, bottoms), b, a)]


def prepare_scale(layer: Layer) -> Operator:
    """Scale: y = x * scale + bias; with scale_data_size -233 the scale is the second bottom.

    Follows: ncnn src/layer/scale.cpp @ a4d2ea1d.
    """
    size, has_bias = layer.get.integer("scale_data_size"), layer.get.integer("bias_term") != 0
    if size != SCALE_FROM_BOTTOM:
        factors = weights(layer, "scale_data", size)
        bias = weights(layer, "bias_data", size) if has_bias else None
        return lambda bottoms: [scaled(layer, float_bottom(layer, bottoms), factors, bias)]

    def operator(bottoms: list[Array]) -> list[Array]:
        if len(bottoms) != 2:
            raise fault(layer, f"takes two bottom blobs, not {len(bottoms)}")
        given = floats(layer, bottoms[1]).reshape(-1)
        bias = weights(layer, "bias_data", given.size) if has_bias else None
        return [scaled(layer, floats(layer, bottoms[0]), given, bias)]

    return operator


def prepare_bias(layer: Layer) -> Operator:
    """Bias: each channel plus its bias, where a 1-D or 2-D blob is a single channel.

    Follows: ncnn src/layer/bias.cpp @ a4d2ea1d.
    """
    data = weights(layer, "bias_data", layer.get.integer("bias_data_size"))

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        channels = blob.shape[0] if blob.ndim >= 3 else 1
        if data.size < channels:
            raise fault(layer, f"has {data.size} biases for {channels} channels")
        if channels == 1:
            return [blob + data[0]]
        return [blob + along_axis(data[:channels], 0, blob.ndim)]

    return operator


def prepare_dropout(layer: Layer) -> Operator:
    """Dropout: every value times `scale`. Follows: ncnn src/layer/dropout.cpp @ a4d2ea1d."""
    factor = np.float32(layer.get.number("scale"))
    if factor == 1:
        return lambda bottoms: [float_bottom(layer, bottoms)]
    return lambda bottoms: [float_bottom(layer, bottoms) * factor]


def scaled(layer: Layer, blob: Floats, factors: Floats, shifts: Floats | None) -> Floats:
    """The values x * factor + shift in two roundings. GraphError unless there is one factor an outermost slice."""
    if factors.size != blob.shape[0]:
        raise fault(layer, f"has {factors.size} channels, but the outermost extent of shape {blob.shape} differs")
    product = blob * along_axis(factors, 0, blob.ndim)
    if shifts is not None:
        product += along_axis(shifts, 0, blob.ndim)
    return product


PREPARE: dict[str, Prepare] = {
    "BatchNorm": prepare_batch_norm,
    "Scale": prepare_scale,
    "Bias": prepare_bias,
    "Dropout": prepare_dropout,
}
