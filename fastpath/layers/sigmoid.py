"""Sigmoid, TanH, GELU and the other activations that bend, with the straight-lined imitations of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastpath.layers import functions
from fastpath.layers.activation import HardSwish
from fastpath.layers.common import Array, Floats, Operator, Prepare, choose, fault, float_bottom, resolve_axis
from fastpath.layers.functions import ONE, blockwise, exp, exp_block, log, logistic, tanh
from spec.graph import Layer

SQRT_HALF = np.float32(0.70710678)
SQRT_TWO_OVER_PI = np.float32(0.79788452)
GELU_CUBE = np.float32(0.044715)
HALF = np.float32(0.5)
ZERO = np.float32(0)

MISH_LIMIT = np.float32(20)
"""Beyond this Mish's log(exp(x) + 1) is x; below its negative, exp(x)."""

Function = Callable[[Floats], Floats]


def swish(x: Floats) -> Floats:
    """The product of x and the logistic function, as x / (1 + exp(-x)). Follows: src/layer/swish.cpp @ a4d2ea1d."""
    return blockwise(_swish_block, x)


def _swish_block(x: Floats, out: Floats) -> None:
    powers = np.negative(x)
    exp_block(powers, powers)
    np.add(ONE, powers, out=powers)
    np.divide(x, powers, out=out)


def softplus(x: Floats) -> Floats:
    """log(exp(x) + 1), infinite from x = 88.72 on. Follows: ncnn src/layer/softplus.cpp @ a4d2ea1d."""
    return log(exp(x) + ONE)


def mish(x: Floats) -> Floats:
    """The product x * tanh(y), where y is x above 20, exp(x) below -20, else log(exp(x) + 1).

    Follows: ncnn src/layer/mish.cpp @ a4d2ea1d.
    """
    inner = np.where(x > MISH_LIMIT, x, np.where(x < -MISH_LIMIT, exp(x), softplus(x)))
    return x * tanh(inner)


def bnll(x: Floats) -> Floats:
    """log(1 + exp(x)), for positive x as x + log(1 + exp(-x)). Follows: ncnn src/layer/bnll.cpp @ a4d2ea1d."""
    return np.where(x > 0, x + softplus(-x), softplus(x))


def _of_math(function: Callable[[float], float], x: Floats) -> Floats:
    """A function that numpy lacks: value by value in binary64, rounded once."""
    return np.array([function(value) for value in x.reshape(-1).tolist()], np.float32).reshape(x.shape)


def erf(x: Floats) -> Floats:
    """The error function. Follows: ncnn src/layer/erf.cpp @ a4d2ea1d."""
    return _of_math(math.erf, x)


def exact_gelu(x: Floats) -> Floats:
    """0.5 * x * erfc(-0.70710678 * x). Follows: ncnn src/layer/gelu.cpp @ a4d2ea1d."""
    return HALF * x * _of_math(math.erfc, -SQRT_HALF * x)


def fast_gelu(x: Floats) -> Floats:
    """0.5 * x * (1 + tanh(0.79788452 * (x + 0.044715 * x * x * x))), products from left to right.

    Follows: ncnn src/layer/gelu.cpp @ a4d2ea1d.
    """
    return HALF * x * (ONE + tanh(SQRT_TWO_OVER_PI * (x + GELU_CUBE * x * x * x)))


def _mapped(layer: Layer, function: Function) -> Operator:
    return lambda bottoms: [function(float_bottom(layer, bottoms))]


def _layer_of(function: Function) -> Prepare:
    return lambda layer: _mapped(layer, function)


def prepare_gelu(layer: Layer) -> Operator:
    """GELU: `exact_gelu`, or with fast_gelu 1 `fast_gelu`."""
    return _mapped(layer, fast_gelu if layer.get.integer("fast_gelu") else exact_gelu)


def prepare_elu(layer: Layer) -> Operator:
    """ELU: negative x become alpha * (exp(x) - 1). Follows: ncnn src/layer/elu.cpp @ a4d2ea1d."""
    alpha = np.float32(layer.get.number("alpha"))
    return _mapped(layer, lambda x: np.where(x < 0, alpha * (exp(x) - ONE), x))


def prepare_selu(layer: Layer) -> Operator:
    """SELU: negative x become (exp(x) - 1) * (alpha * lambda), others x * lambda.

    Follows: ncnn src/layer/selu.cpp @ a4d2ea1d.
    """
    alpha, factor = np.float32(layer.get.number("alpha")), np.float32(layer.get.number("lambda"))
    both = alpha * factor
    return _mapped(layer, lambda x: np.where(x < 0, (exp(x) - ONE) * both, x * factor))


def prepare_celu(layer: Layer) -> Operator:
    """CELU: negative x become (exp(x / alpha) - 1) * alpha. Follows: ncnn src/layer/celu.cpp @ a4d2ea1d."""
    alpha = np.float32(layer.get.number("alpha"))
    return _mapped(layer, lambda x: np.where(x < 0, (exp(x / alpha) - ONE) * alpha, x))


def prepare_hard_sigmoid(layer: Layer) -> Operator:
    """HardSigmoid: 0 below -beta / alpha, 1 above 1 / alpha - beta / alpha, between them x * alpha + beta.

    Follows: ncnn src/layer/hardsigmoid.cpp @ a4d2ea1d.
    """
    alpha, beta = np.float32(layer.get.number("alpha")), np.float32(layer.get.number("beta"))
    lower = -beta / alpha
    upper = ONE / alpha + lower

    def function(x: Floats) -> Floats:
        line = x * alpha
        line += beta
        choose(x > upper, ONE, line)
        choose(x < lower, ZERO, line)
        return line

    return _mapped(layer, function)


def prepare_hard_swish(layer: Layer) -> Operator:
    """HardSwish: 0 below -beta / alpha, x above 1 / alpha - beta / alpha, between them x * (x * alpha + beta).

    Follows: ncnn src/layer/hardswish.cpp @ a4d2ea1d.
    """
    hard_swish = HardSwish(np.float32(layer.get.number("alpha")), np.float32(layer.get.number("beta")))

    def function(x: Floats) -> Floats:
        values = x.copy()
        hard_swish(values)
        return values

    return _mapped(layer, function)


def prepare_glu(layer: Layer) -> Operator:
    """GLU: the first half of an axis, times the logistic function of the second half.

    Follows: ncnn src/layer/glu.cpp @ a4d2ea1d.
    """

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        axis = resolve_axis(layer, layer.get.integer("axis"), blob.ndim)
        if blob.shape[axis] % 2:
            raise fault(layer, f"cannot halve an axis of extent {blob.shape[axis]}")
        first, second = np.split(blob, 2, axis)
        return [np.ascontiguousarray(first * logistic(second))]

    return operator


PREPARE: dict[str, Prepare] = {
    "Sigmoid": _layer_of(functions.sigmoid),
    "TanH": _layer_of(tanh),
    "Swish": _layer_of(swish),
    "Mish": _layer_of(mish),
    "Softplus": _layer_of(softplus),
    "BNLL": _layer_of(bnll),
    "Erf": _layer_of(erf),
    "GELU": prepare_gelu,
    "ELU": prepare_elu,
    "SELU": prepare_selu,
    "CELU": prepare_celu,
    "HardSigmoid": prepare_hard_sigmoid,
    "HardSwish": prepare_hard_swish,
    "GLU": prepare_glu,
}
