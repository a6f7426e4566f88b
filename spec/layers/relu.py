"""ReLU, PReLU, Clip, Threshold, AbsVal, Shrink: functions made of straight pieces."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob, int8_blob
from spec.graph import Layer
from spec.layers.common import fault, float_bottom, only_bottom, require_weights, rounded


def relu(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Negative values become 0, or are multiplied by `slope`.

    y = x for x >= 0, else x * slope; float32 of any shape. With slope 0, int8 codes are allowed and stay int8.

    Follows: ncnn src/layer/relu.cpp @ a4d2ea1d; for int8 src/layer/x86/relu_x86.cpp.
    Unspecified: NaN stays NaN.

    >>> relu(Layer("ReLU", "r", [], [], {0: 0.5}), [float_blob((3,), [-2.0, 0.0, 2.0])])[0].tolist()
    [-1.0, 0.0, 2.0]
    """
    blob = only_bottom(layer, bottoms)
    slope = f32(layer.get.number("slope"))
    if blob.dtype == "int8" and slope == 0.0:
        return [int8_blob(blob.shape, [max(code, 0) for code in blob.ints()])]
    values = float_bottom(layer, bottoms).floats()
    if slope == 0.0:
        return [float_blob(blob.shape, [0.0 if x < 0.0 else x for x in values])]
    return [float_blob(blob.shape, _leaky(values, slope))]


def prelu(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Negative values are multiplied by a slope: one for all, or one for each slice along the outermost axis.

    y = x for x >= 0, else x * slope. GraphError unless there are as many slopes as slices.

    Follows: ncnn src/layer/prelu.cpp @ a4d2ea1d.
    """
    blob = float_bottom(layer, bottoms)
    count = layer.get.integer("num_slope")
    slopes = require_weights(layer, "slope_data", count)
    if count == 1:
        slopes = slopes * blob.shape[0]
    if len(slopes) != blob.shape[0]:
        raise fault(layer, f"has {count} slopes, but the outermost extent of shape {blob.shape} is {blob.shape[0]}")
    size = len(blob.values) // blob.shape[0]
    values: list[float] = []
    for index, slope in enumerate(slopes):
        values += _leaky(blob.floats()[index * size : (index + 1) * size], slope)
    return [float_blob(blob.shape, values)]


def clip(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Values below `min` become `min`; then values above `max` become `max`.

    Follows: ncnn src/layer/clip.cpp @ a4d2ea1d.

    >>> clip(Layer("Clip", "c", [], [], {0: -1.0, 1: 1.0}), [float_blob((3,), [-2.0, 0.5, 2.0])])[0].tolist()
    [-1.0, 0.5, 1.0]
    """
    blob = float_bottom(layer, bottoms)
    low, high = f32(layer.get.number("min")), f32(layer.get.number("max"))
    raised = [low if x < low else x for x in blob.floats()]
    return [float_blob(blob.shape, [high if x > high else x for x in raised])]


def threshold(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """1 for values above the threshold, else 0.

    Follows: ncnn src/layer/threshold.cpp @ a4d2ea1d.

    >>> threshold(Layer("Threshold", "t", [], [], {0: 1.0}), [float_blob((3,), [0.5, 1.0, 1.5])])[0].tolist()
    [0.0, 0.0, 1.0]
    """
    blob = float_bottom(layer, bottoms)
    limit = f32(layer.get.number("threshold"))
    return [float_blob(blob.shape, [1.0 if x > limit else 0.0 for x in blob.floats()])]


def absval(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The magnitude.

    Follows: ncnn src/layer/absval.cpp @ a4d2ea1d.

    >>> absval(Layer("AbsVal", "a", [], []), [float_blob((2,), [-2.0, 3.0])])[0].tolist()
    [2.0, 3.0]
    """
    blob = float_bottom(layer, bottoms)
    return [float_blob(blob.shape, list(map(abs, blob.floats())))]


def shrink(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Values within plus or minus `lambd` become 0; others move towards 0 by `bias`.

    y = x - bias for x > lambd, x + bias for x < -lambd, else 0.

    Follows: ncnn src/layer/shrink.cpp @ a4d2ea1d.

    >>> shrink(Layer("Shrink", "s", [], [], {0: 0.25}), [float_blob((3,), [-1.0, 0.5, 1.0])])[0].tolist()
    [-0.75, 0.0, 0.75]
    """
    blob = float_bottom(layer, bottoms)
    bias, lambd = f32(layer.get.number("bias")), f32(layer.get.number("lambd"))
    values = [x - bias if x > lambd else x + bias if x < -lambd else 0.0 for x in blob.floats()]
    return [float_blob(blob.shape, values)]


def _leaky(values: list[float], slope: float) -> list[float]:
    return rounded(x * slope if x < 0.0 else x for x in values)


FORWARD = {
    "ReLU": relu,
    "PReLU": prelu,
    "Clip": clip,
    "Threshold": threshold,
    "AbsVal": absval,
    "Shrink": shrink,
}
