"""ReLU, PReLU, Clip, Threshold, AbsVal, Shrink: functions made of straight pieces."""

from __future__ import annotations

import numpy as np

from fastpath.layers import recycle
from fastpath.layers.common import (
    Array,
    Floats,
    Operator,
    Prepare,
    along_axis,
    choose,
    fault,
    float_bottom,
    only_bottom,
    weights,
)
from spec.graph import Layer

ZERO = np.float32(0)


def prepare_relu(layer: Layer) -> Operator:
    """ReLU: negative values times `slope`; float32 of any shape, and int8 with slope 0.

    Follows: ncnn src/layer/relu.cpp @ a4d2ea1d.
    """
    slope = np.float32(layer.get.number("slope"))

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        if slope != 0:
            return [leaky(float_bottom(layer, bottoms), slope)]
        if blob.dtype == np.int8:
            return [np.maximum(blob, 0)]
        return [np.maximum(ZERO, float_bottom(layer, bottoms), out=recycle.blob(blob.shape))]

    return operator


def prepare_prelu(layer: Layer) -> Operator:
    """PReLU: negative values times a slope, one for all or one for each slice along the outermost axis.

    Follows: ncnn src/layer/prelu.cpp @ a4d2ea1d.
    """
    count = layer.get.integer("num_slope")
    slopes = weights(layer, "slope_data", count)

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        if count == 1:
            return [leaky(blob, slopes[0])]
        if count != blob.shape[0]:
            raise fault(layer, f"has {count} slopes, but the outermost extent of shape {blob.shape} is {blob.shape[0]}")
        return [leaky(blob, along_axis(slopes, 0, blob.ndim))]

    return operator


def leaky(x: Floats, slope: Floats | np.float32) -> Floats:
    """X for x >= 0, else x * slope."""
    product = np.multiply(x, slope, dtype=np.float32)
    if np.all((slope > 0) & (slope <= 1)):
        return np.maximum(product, x, out=product)
    lifted = np.maximum(ZERO, x)
    choose(x < 0, product, lifted)
    return lifted


def prepare_clip(layer: Layer) -> Operator:
    """Clip: values below `min` become `min`, then values above `max` become `max`.

    Follows: ncnn src/layer/clip.cpp @ a4d2ea1d.
    """
    low, high = np.float32(layer.get.number("min")), np.float32(layer.get.number("max"))

    def operator(bottoms: list[Array]) -> list[Array]:
        return [np.minimum(high, np.maximum(low, float_bottom(layer, bottoms)))]

    return operator


def prepare_threshold(layer: Layer) -> Operator:
    """Threshold: 1 for values above the threshold, else 0. Follows: ncnn src/layer/threshold.cpp @ a4d2ea1d."""
    limit = np.float32(layer.get.number("threshold"))
    return lambda bottoms: [(float_bottom(layer, bottoms) > limit).astype(np.float32)]


def prepare_absval(layer: Layer) -> Operator:
    """AbsVal: the magnitude. Follows: ncnn src/layer/absval.cpp @ a4d2ea1d."""
    return lambda bottoms: [np.abs(float_bottom(layer, bottoms))]


def prepare_shrink(layer: Layer) -> Operator:
    """Shrink: 0 within plus or minus `lambd`; other values move towards 0 by `bias`.

    Follows: ncnn src/layer/shrink.cpp @ a4d2ea1d.
    """
    bias, lambd = np.float32(layer.get.number("bias")), np.float32(layer.get.number("lambd"))

    def operator(bottoms: list[Array]) -> list[Array]:
        x = float_bottom(layer, bottoms)
        return [np.where(x > lambd, x - bias, np.where(x < -lambd, x + bias, ZERO))]

    return operator


PREPARE: dict[str, Prepare] = {
    "ReLU": prepare_relu,
    "PReLU": prepare_prelu,
    "Clip": prepare_clip,
    "Threshold": prepare_threshold,
    "AbsVal": prepare_absval,
    "Shrink": prepare_shrink,
}
