"""Sigmoid, TanH, GELU and the other activations that bend, with the straight-lined imitations of them."""

from __future__ import annotations

import math
from collections.abc import Callable

from spec import functions
from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.functions import divide, exp, log, logistic, tanh
from spec.graph import Layer
from spec.layers.common import Forward, fault, float_bottom, resolve_axis, rounded, split_at

SQRT_HALF = f32(0.70710678)
SQRT_TWO_OVER_PI = f32(0.79788452)
GELU_CUBE = f32(0.044715)

MISH_LIMIT = 20.0
"""Beyond this Mish's log(exp(x) + 1) is x; below its negative, exp(x)."""


def sigmoid(x: float) -> float:
    """The logistic function 1 / (1 + exp(-x)), with x clamped to plus or minus 88.37626.

    Follows: ncnn src/layer/sigmoid.cpp @ a4d2ea1d.
    """
    return functions.sigmoid(x)


def swish(x: float) -> float:
    """The product of x and the logistic function, as x / (1 + exp(-x)).

    Follows: ncnn src/layer/swish.cpp @ a4d2ea1d.
    """
    return divide(x, f32(1.0 + exp(-x)))


def mish(x: float) -> float:
    """The product x * tanh(y), where y is x above 20, exp(x) below -20, else log(exp(x) + 1).

    Follows: ncnn src/layer/mish.cpp @ a4d2ea1d.
    """
    if x > MISH_LIMIT:
        return f32(x * tanh(x))
    if x < -MISH_LIMIT:
        return f32(x * tanh(exp(x)))
    return f32(x * tanh(softplus(x)))


def softplus(x: float) -> float:
    """The smooth ReLU log(exp(x) + 1), which is infinite from x = 88.72 on.

    Follows: ncnn src/layer/softplus.cpp @ a4d2ea1d.
    """
    return log(f32(exp(x) + 1.0))


def bnll(x: float) -> float:
    """The smooth ReLU log(1 + exp(x)), computed without overflow: x + log(1 + exp(-x)) for positive x.

    Follows: ncnn src/layer/bnll.cpp @ a4d2ea1d.
    """
    return f32(x + softplus(-x)) if x > 0.0 else softplus(x)


def erf(x: float) -> float:
    """The error function.

    Follows: ncnn src/layer/erf.cpp @ a4d2ea1d.
    """
    return f32(math.erf(x))


def exact_gelu(x: float) -> float:
    """The product 0.5 * x * erfc(-0.70710678 * x)."""
    return f32(f32(0.5 * x) * f32(math.erfc(f32(-SQRT_HALF * x))))


def fast_gelu(x: float) -> float:
    """The product 0.5 * x * (1 + tanh(0.79788452 * (x + 0.044715 * x * x * x))), products from left to right."""
    cube = f32(f32(f32(GELU_CUBE * x) * x) * x)
    return f32(f32(0.5 * x) * f32(1.0 + tanh(f32(SQRT_TWO_OVER_PI * f32(x + cube)))))


def gelu(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """`exact_gelu`, or with fast_gelu 1 `fast_gelu`.

    Follows: ncnn src/layer/gelu.cpp @ a4d2ea1d.
    """
    return _mapped(layer, bottoms, fast_gelu if layer.get.integer("fast_gelu") else exact_gelu)


def elu(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Negative x become alpha * (exp(x) - 1).

    Follows: ncnn src/layer/elu.cpp @ a4d2ea1d.
    """
    alpha = f32(layer.get.number("alpha"))
    return _mapped(layer, bottoms, lambda x: f32(alpha * f32(exp(x) - 1.0)) if x < 0.0 else x)


def selu(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Negative x become (exp(x) - 1) * (alpha * lambda), others x * lambda.

    Follows: ncnn src/layer/selu.cpp @ a4d2ea1d.
    """
    alpha, lambda_ = f32(layer.get.number("alpha")), f32(layer.get.number("lambda"))
    both = f32(alpha * lambda_)
    return _mapped(layer, bottoms, lambda x: f32(f32(exp(x) - 1.0) * both) if x < 0.0 else f32(x * lambda_))


def celu(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Negative x become (exp(x / alpha) - 1) * alpha.

    Follows: ncnn src/layer/celu.cpp @ a4d2ea1d.
    """
    alpha = f32(layer.get.number("alpha"))
    return _mapped(layer, bottoms, lambda x: f32(f32(exp(divide(x, alpha)) - 1.0) * alpha) if x < 0.0 else x)


def hard_sigmoid(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Zero below -beta / alpha, 1 above 1 / alpha - beta / alpha, between them x * alpha + beta.

    Follows: ncnn src/layer/hardsigmoid.cpp @ a4d2ea1d.

    >>> hard_sigmoid(Layer("HardSigmoid", "h", [], [], {0: 0.25}), [float_blob((3,), [-2.0, 1.0, 4.0])])[0].tolist()
    [0.0, 0.75, 1.0]
    """
    alpha, beta, lower, upper = _bounds(layer)

    def rule(x: float) -> float:
        return 0.0 if x < lower else 1.0 if x > upper else f32(f32(x * alpha) + beta)

    return _mapped(layer, bottoms, rule)


def hard_swish(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Zero below -beta / alpha, x above 1 / alpha - beta / alpha, between them x * (x * alpha + beta).

    Follows: ncnn src/layer/hardswish.cpp @ a4d2ea1d.

    >>> hard_swish(Layer("HardSwish", "h", [], [], {0: 0.25}), [float_blob((3,), [-2.0, 1.0, 4.0])])[0].tolist()
    [-0.0, 0.75, 4.0]
    """
    alpha, beta, lower, upper = _bounds(layer)

    def rule(x: float) -> float:
        return 0.0 if x < lower else x if x > upper else f32(x * f32(f32(x * alpha) + beta))

    return _mapped(layer, bottoms, rule)


def glu(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The first half of an axis, times the logistic function of the second half.

    y = a * (1 / (1 + exp(-b))). GraphError for an axis of odd extent.

    Follows: ncnn src/layer/glu.cpp @ a4d2ea1d.

    >>> glu(Layer("GLU", "g", [], []), [float_blob((2,), [3.0, 0.0])])[0].tolist()
    [1.5]
    """
    blob = float_bottom(layer, bottoms)
    axis = resolve_axis(layer, layer.get.integer("axis"), len(blob.shape))
    outer, extent, inner = split_at(blob.shape, axis)
    if extent % 2:
        raise fault(layer, f"cannot halve an axis of extent {extent}")
    half = extent // 2 * inner
    result: list[float] = []
    for index in range(outer):
        start = index * 2 * half
        first, second = blob.floats()[start : start + half], blob.floats()[start + half : start + 2 * half]
        result += rounded(a * logistic(b) for a, b in zip(first, second))
    return [float_blob((*blob.shape[:axis], extent // 2, *blob.shape[axis + 1 :]), result)]


def _bounds(layer: Layer) -> tuple[float, float, float, float]:
    """Slope, offset, and where the line meets 0 and 1."""
    alpha, beta = f32(layer.get.number("alpha")), f32(layer.get.number("beta"))
    lower = divide(-beta, alpha)
    return alpha, beta, lower, f32(divide(1.0, alpha) + lower)


def _mapped(layer: Layer, bottoms: list[Blob], function: Callable[[float], float]) -> list[Blob]:
    blob = float_bottom(layer, bottoms)
    return [Blob(blob.shape, "float32", [function(x) for x in blob.floats()])]


def _layer_of(function: Callable[[float], float]) -> Forward:
    return lambda layer, bottoms, profile: _mapped(layer, bottoms, function)


FORWARD: dict[str, Forward] = {
    "Sigmoid": _layer_of(sigmoid),
    "TanH": _layer_of(tanh),
    "Swish": _layer_of(swish),
    "Mish": _layer_of(mish),
    "Softplus": _layer_of(softplus),
    "BNLL": _layer_of(bnll),
    "Erf": _layer_of(erf),
    "GELU": gelu,
    "ELU": elu,
    "SELU": selu,
    "CELU": celu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish,
    "GLU": glu,
}
