"""The activation that convolutions, InnerProduct and Requantize apply to their own output.

It has a number, `activation_type`, and up to two parameters. The layers ReLU, Clip, Sigmoid and so on are others.
"""

from __future__ import annotations

from collections.abc import Sequence

from spec.binary32 import f32
from spec.functions import exp, log, sigmoid, tanh
from spec.graph import Layer
from spec.layers.common import fault

NONE, RELU, LEAKY_RELU, CLIP, SIGMOID, MISH, HARD_SWISH = range(7)

PARAMETER_COUNTS = {NONE: 0, RELU: 0, LEAKY_RELU: 1, CLIP: 2, SIGMOID: 0, MISH: 0, HARD_SWISH: 2}
"""How many `activation_params` each type reads."""


def activate(values: Sequence[float], activation_type: int, params: Sequence[float]) -> list[float]:
    """Apply the fused activation to binary32 values.

    =====  ==========  ================================================================
    type   name        value
    =====  ==========  ================================================================
    0      none        v
    1      ReLU        v for v > 0, else 0
    2      leaky ReLU  v for v > 0, else v * p0
    3      clip        p0 for v < p0, then p1 for what is > p1
    4      sigmoid     1 / (1 + exp(-v)), v clamped to plus or minus 88.37626
    5      mish        v * tanh(log(exp(v) + 1))
    6      hard swish  0 below -p1 / p0, v above 1 / p0 - p1 / p0, else v * (v * p0 + p1)
    =====  ==========  ================================================================

    Follows: ncnn src/layer/fused_activation.h @ a4d2ea1d.
    Unspecified: NaN becomes 0 in ReLU and stays NaN elsewhere. Mish of more than 88.72 is v, as exp overflows to
    infinity and tanh of that is 1.

    >>> activate([-2.0, 0.0, 3.0], LEAKY_RELU, [0.25])
    [-0.5, 0.0, 3.0]
    >>> activate([-2.0, 0.0, 3.0], CLIP, [-1.0, 2.0])
    [-1.0, 0.0, 2.0]
    """
    if activation_type == NONE:
        return list(values)
    if activation_type == RELU:
        return [v if v > 0.0 else 0.0 for v in values]
    if activation_type == LEAKY_RELU:
        slope = params[0]
        return [v if v > 0.0 else f32(v * slope) for v in values]
    if activation_type == CLIP:
        low, high = params[0], params[1]
        return [_clip(v, low, high) for v in values]
    if activation_type == SIGMOID:
        return [sigmoid(v) for v in values]
    if activation_type == MISH:
        return [_mish(v) for v in values]
    alpha, beta = params[0], params[1]
    return [_hard_swish(v, alpha, beta) for v in values]


def check_activation(layer: Layer) -> None:
    """GraphError unless the layer's activation type is known and has its parameters."""
    activation_type, params = activation_of(layer)
    if activation_type not in PARAMETER_COUNTS:
        raise fault(layer, f"has activation_type {activation_type}, but there are only the types 0 to {HARD_SWISH}")
    needed = PARAMETER_COUNTS[activation_type]
    if len(params) < needed:
        raise fault(layer, f"has activation_type {activation_type} with {len(params)} parameters, but needs {needed}")
    if activation_type == HARD_SWISH and params[0] == 0.0:
        raise fault(layer, "has a hard swish of slope 0")


def activation_of(layer: Layer) -> tuple[int, list[float]]:
    """The layer's activation type and parameters."""
    return layer.get.integer("activation_type"), [f32(value) for value in layer.get.numbers("activation_params")]


def _clip(v: float, low: float, high: float) -> float:
    raised = low if v < low else v
    return high if raised > high else raised


def _mish(v: float) -> float:
    return f32(v * tanh(log(f32(exp(v) + 1.0))))


def _hard_swish(v: float, alpha: float, beta: float) -> float:
    lower = f32(-beta / alpha)
    upper = f32(f32(1.0 / alpha) + lower)
    if v < lower:
        return 0.0
    if v > upper:
        return v
    return f32(v * f32(f32(v * alpha) + beta))
