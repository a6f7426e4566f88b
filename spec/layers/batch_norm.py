"""BatchNorm, Scale, Bias, Dropout: a multiplication and an addition for each slice along the outermost axis."""

from __future__ import annotations

from collections.abc import Sequence

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.functions import divide, sqrt
from spec.graph import Layer
from spec.layers.common import fault, float_bottom, floats, require_weights, rounded

SCALE_FROM_BOTTOM = -233
"""The scale_data_size that makes the second bottom the scale."""

SMALLEST_DEVIATION = f32(0.0001)
"""What BatchNorm takes for a deviation of 0."""


def batch_norm(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each slice along the outermost axis is moved and scaled by what training measured.

    y = b * x + a with r = sqrt(var + eps), a = bias - slope * mean / r, b = slope / r; a 0 of r becomes 0.0001.

    Follows: ncnn src/layer/batchnorm.cpp @ a4d2ea1d.
    """
    blob = float_bottom(layer, bottoms)
    channels = layer.get.integer("channels")
    slope, mean, var, bias = (
        require_weights(layer, name, channels) for name in ("slope_data", "mean_data", "var_data", "bias_data")
    )
    eps = f32(layer.get.number("eps"))
    deviation = [sqrt(f32(v + eps)) or SMALLEST_DEVIATION for v in var]
    a = [f32(b - divide(f32(s * m), r)) for s, m, r, b in zip(slope, mean, deviation, bias)]
    b = [divide(s, r) for s, r in zip(slope, deviation)]
    return [float_blob(blob.shape, scaled(layer, blob, b, a))]


def scale(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each slice along the outermost axis times its scale, plus its bias.

    y = x * scale + bias. With scale_data_size -233 the scale is the second bottom.

    Follows: ncnn src/layer/scale.cpp @ a4d2ea1d.
    """
    size = layer.get.integer("scale_data_size")
    if size == SCALE_FROM_BOTTOM:
        if len(bottoms) != 2:
            raise fault(layer, f"takes two bottom blobs, not {len(bottoms)}")
        blob, factors = bottoms[0], floats(layer, bottoms[1])
    else:
        blob, factors = float_bottom(layer, bottoms), require_weights(layer, "scale_data", size)
    bias = require_weights(layer, "bias_data", len(factors)) if layer.get.integer("bias_term") else None
    return [float_blob(blob.shape, scaled(layer, blob, factors, bias))]


def bias(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each channel plus its bias, where a 1-D or 2-D blob is a single channel.

    Follows: ncnn src/layer/bias.cpp @ a4d2ea1d.
    """
    blob = float_bottom(layer, bottoms)
    data = require_weights(layer, "bias_data", layer.get.integer("bias_data_size"))
    channels = blob.shape[0] if len(blob.shape) >= 3 else 1
    if len(data) < channels:
        raise fault(layer, f"has {len(data)} biases for {channels} channels")
    size = len(blob.values) // channels
    shifts = [data[index // size] for index in range(len(blob.values))]
    return [float_blob(blob.shape, [x + shift for x, shift in zip(blob.floats(), shifts)])]


def dropout(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Every value times `scale`.

    Follows: ncnn src/layer/dropout.cpp @ a4d2ea1d.

    >>> dropout(Layer("Dropout", "d", [], [], {0: 0.5}), [float_blob((2,), [1.0, 4.0])])[0].tolist()
    [0.5, 2.0]
    """
    blob = float_bottom(layer, bottoms)
    factor = f32(layer.get.number("scale"))
    return [float_blob(blob.shape, [x * factor for x in blob.floats()])]


def scaled(layer: Layer, blob: Blob, factors: Sequence[float], shifts: Sequence[float] | None) -> list[float]:
    """The values x * factor + shift in two roundings, with one factor and one shift for each outermost slice.

    GraphError unless there is one factor a slice.
    """
    if len(factors) != blob.shape[0]:
        raise fault(layer, f"has {len(factors)} channels, but the outermost extent of shape {blob.shape} differs")
    size = len(blob.values) // blob.shape[0]
    values = floats(layer, blob)
    result: list[float] = []
    for index, factor in enumerate(factors):
        products = rounded(x * factor for x in values[index * size : (index + 1) * size])
        if shifts is None:
            result += products
        else:
            result += rounded(product + shifts[index] for product in products)
    return result


FORWARD = {"BatchNorm": batch_norm, "Scale": scale, "Bias": bias, "Dropout": dropout}
