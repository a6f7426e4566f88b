"""UnaryOp, Power, Exp, Log: functions of one number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastpath.layers import functions
from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, float_bottom
from fastpath.layers.functions import ONE, rounded
from spec.graph import Layer

NATURAL = -1.0
"""The base that stands for e."""

Function = Callable[[Floats], Floats]


def _wide(function: functions.Function64) -> Function:
    return lambda x: rounded(function, x)


def _sign(x: Floats) -> Floats:
    return (x > 0).astype(np.float32) - (x < 0).astype(np.float32)


OPERATIONS: tuple[Function, ...] = (
    np.abs,
    np.negative,
    np.floor,
    np.ceil,
    np.square,
    functions.sqrt,
    lambda x: ONE / functions.sqrt(x),
    functions.exp,
    functions.log,
    _wide(np.sin),
    _wide(np.cos),
    _wide(np.tan),
    _wide(np.arcsin),
    _wide(np.arccos),
    _wide(np.arctan),
    lambda x: ONE / x,
    functions.tanh,
    functions.log10,
    np.rint,
    np.trunc,
    _sign,
    functions.expm1,
    _wide(np.sinh),
    _wide(np.arcsinh),
    _wide(np.cosh),
    _wide(np.arccosh),
    _wide(np.arctanh),
    functions.log1p,
)
"""By op_type: abs, neg, floor, ceil, square, sqrt, rsqrt, exp, log, sin, cos, tan, asin, acos, atan, reciprocal, tanh,
log10, round (halves to even), trunc, sign, expm1, sinh, asinh, cosh, acosh, atanh, log1p."""


def prepare_unary_op(layer: Layer) -> Operator:
    """UnaryOp: the function that `op_type` numbers. Follows: ncnn src/layer/unaryop.cpp @ a4d2ea1d."""
    op_type = layer.get.integer("op_type")
    if not 0 <= op_type < len(OPERATIONS):
        raise fault(layer, f"has op_type {op_type}, but knows 0 to {len(OPERATIONS) - 1}")
    operation = OPERATIONS[op_type]
    return lambda bottoms: [operation(float_bottom(layer, bottoms))]


def prepare_power(layer: Layer) -> Operator:
    """Power: shift + x * scale to the power. Follows: ncnn src/layer/power.cpp @ a4d2ea1d."""
    exponent = np.float32(layer.get.number("power"))
    return _of_line(layer, lambda line: functions.pow(line, exponent))


def prepare_exp(layer: Layer) -> Operator:
    """Exp: the base to the power shift + x * scale; base -1 stands for e. Follows: src/layer/exp.cpp @ a4d2ea1d."""
    base = np.float32(layer.get.number("base"))
    if base == NATURAL:
        return _of_line(layer, functions.exp)
    return _of_line(layer, lambda line: functions.pow(np.full_like(line, base), line))


def prepare_log(layer: Layer) -> Operator:
    """Log: the logarithm of shift + x * scale, divided by that of the base unless it is -1.

    Follows: ncnn src/layer/log.cpp @ a4d2ea1d.
    """
    base = np.array([layer.get.number("base")], np.float32)
    if base[0] == NATURAL:
        return _of_line(layer, functions.log)
    factor = (ONE / functions.log(base))[0]
    return _of_line(layer, lambda line: functions.log(line) * factor)


def _of_line(layer: Layer, function: Function) -> Operator:
    """The function of shift + x * scale."""
    scale, shift = np.float32(layer.get.number("scale")), np.float32(layer.get.number("shift"))

    def operator(bottoms: list[Array]) -> list[Array]:
        return [function(shift + float_bottom(layer, bottoms) * scale)]

    return operator


PREPARE: dict[str, Prepare] = {
    "UnaryOp": prepare_unary_op,
    "Power": prepare_power,
    "Exp": prepare_exp,
    "Log": prepare_log,
}
