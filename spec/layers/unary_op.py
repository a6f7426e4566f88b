"""UnaryOp, Power, Exp, Log: functions of one number."""

from __future__ import annotations

import math
from collections.abc import Callable

from spec import functions
from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.functions import divide, or_nan, sqrt
from spec.graph import Layer
from spec.layers.common import fault, float_bottom

NATURAL = -1.0
"""The base that stands for e."""


def unary_op(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The function that `op_type` numbers, of every value.

    Follows: ncnn src/layer/unaryop.cpp @ a4d2ea1d.
    Unspecified: outside its domain a function is NaN; a pole and an overflow are infinite.

    >>> unary_op(Layer("UnaryOp", "u", [], [], {0: 18}), [float_blob((3,), [0.5, 1.5, -2.5])])[0].tolist()
    [0.0, 2.0, -2.0]
    """
    blob = float_bottom(layer, bottoms)
    operation = OPERATIONS[layer.get.integer("op_type")]
    return [float_blob(blob.shape, [operation(x) for x in blob.floats()])]


def power(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The value shift + x * scale to the power.

    Follows: ncnn src/layer/power.cpp @ a4d2ea1d.

    >>> power(Layer("Power", "p", [], [], {0: 2.0, 2: 1.0}), [float_blob((2,), [1.0, 2.0])])[0].tolist()
    [4.0, 9.0]
    """
    exponent = f32(layer.get.number("power"))
    return _of_line(layer, bottoms, lambda line: functions.pow(line, exponent))


def exp(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The base to the power shift + x * scale; base -1 stands for e.

    Follows: ncnn src/layer/exp.cpp @ a4d2ea1d.
    """
    base = f32(layer.get.number("base"))
    if base == NATURAL:
        return _of_line(layer, bottoms, functions.exp)
    return _of_line(layer, bottoms, lambda line: functions.pow(base, line))


def log(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The logarithm of shift + x * scale: the natural one, divided by that of the base unless it is -1.

    Follows: ncnn src/layer/log.cpp @ a4d2ea1d.
    """
    base = f32(layer.get.number("base"))
    if base == NATURAL:
        return _of_line(layer, bottoms, functions.log)
    factor = divide(1.0, functions.log(base))
    return _of_line(layer, bottoms, lambda line: f32(functions.log(line) * factor))


def _of_line(layer: Layer, bottoms: list[Blob], function: Callable[[float], float]) -> list[Blob]:
    """The function of shift + x * scale."""
    blob = float_bottom(layer, bottoms)
    scale, shift = f32(layer.get.number("scale")), f32(layer.get.number("shift"))
    return [float_blob(blob.shape, [function(f32(shift + f32(x * scale))) for x in blob.floats()])]


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    """A rounding that leaves infinities and NaN alone and keeps the sign of zero."""
    return lambda x: math.copysign(float(function(x)), x) if math.isfinite(x) else x


def _sign(x: float) -> float:
    return float((x > 0.0) - (x < 0.0))


def _atanh(x: float) -> float:
    return math.copysign(math.inf, x) if abs(x) == 1.0 else or_nan(math.atanh, x)


def _in_domain(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: or_nan(function, x)


def _cosh(x: float) -> float:
    return abs(or_nan(math.cosh, x))


OPERATIONS: tuple[Callable[[float], float], ...] = (
    abs,
    lambda x: -x,
    _whole(math.floor),
    _whole(math.ceil),
    lambda x: x * x,
    sqrt,
    lambda x: divide(1.0, sqrt(x)),
    functions.exp,
    functions.log,
    _in_domain(math.sin),
    _in_domain(math.cos),
    _in_domain(math.tan),
    _in_domain(math.asin),
    _in_domain(math.acos),
    math.atan,
    lambda x: divide(1.0, x),
    math.tanh,
    functions.log10,
    _whole(round),
    _whole(math.trunc),
    _sign,
    functions.expm1,
    _in_domain(math.sinh),
    math.asinh,
    _cosh,
    _in_domain(math.acosh),
    _atanh,
    functions.log1p,
)
"""By op_type: abs, neg, floor, ceil, square, sqrt, rsqrt, exp, log, sin, cos, tan, asin, acos, atan, reciprocal, tanh,
log10, round (halves to even), trunc, sign, expm1, sinh, asinh, cosh, acosh, atanh, log1p."""


def check_unary_op(layer: Layer) -> None:
    """GraphError for an unknown operation."""
    if not 0 <= layer.get.integer("op_type") < len(OPERATIONS):
        raise fault(layer, f"has op_type {layer.get.integer('op_type')}, but knows 0 to {len(OPERATIONS) - 1}")


FORWARD = {"UnaryOp": unary_op, "Power": power, "Exp": exp, "Log": log}
CHECK = {"UnaryOp": check_unary_op}
