"""Shape expressions: the small prefix language in which Reshape, Crop and Interp compute extents.

`+(0w,2),-1` asks for the width of bottom 0 plus 2, and -1. Parentheses and commas only separate; a comma-separated list
leaves one value each. Numbers are ints or binary32 floats; results are truncated to ints.

Follows: ncnn src/expression.cpp @ a4d2ea1d.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence

from spec.binary32 import f32
from spec.graph import Shape, ncnn_extents

Number = int | float

_TOKEN = re.compile(r"[^(),]+")
_EXTENT = re.compile(r"([0-9])([whdc])")
_EXTENT_PLACES = {"w": 1, "h": 2, "d": 3, "c": 4}


class ExpressionError(ValueError):
    """The text is no shape expression, or refers to a bottom that is not there."""


def evaluate_shape_expression(text: str, bottoms: Sequence[Shape]) -> list[int]:
    """The values of the list, from left to right.

    >>> evaluate_shape_expression("*(0w,0h),-1", [(3, 4, 5)])
    [20, -1]
    """
    stack: list[Number] = []
    for token in reversed(_TOKEN.findall(text)):
        token = token.strip()
        if token in _UNARY:
            stack.append(_UNARY[token](_pop(stack, text)))
        elif token in _BINARY:
            left = _pop(stack, text)
            stack.append(_apply(token, left, _pop(stack, text), text))
        else:
            stack.append(_leaf(token, bottoms, text))
    return [math.trunc(value) for value in reversed(stack)]


def _pop(stack: list[Number], text: str) -> Number:
    if not stack:
        raise ExpressionError(f"an operator of {text!r} lacks an operand")
    return stack.pop()


def _leaf(token: str, bottoms: Sequence[Shape], text: str) -> Number:
    extent = _EXTENT.fullmatch(token)
    if extent:
        index = int(extent[1])
        if index >= len(bottoms):
            raise ExpressionError(f"{text!r} refers to bottom {index} of {len(bottoms)}")
        return ncnn_extents(bottoms[index])[_EXTENT_PLACES[extent[2]]]
    try:
        value = float(token)
    except ValueError:
        raise ExpressionError(f"{text!r} holds the unknown word {token!r}") from None
    return int(value) if value.is_integer() else f32(value)


def _apply(token: str, left: Number, right: Number, text: str) -> Number:
    try:
        result = _BINARY[token](left, right)
    except (ZeroDivisionError, ValueError, OverflowError) as error:
        raise ExpressionError(f"{text!r} cannot be computed: {error}") from None
    return result if isinstance(result, int) else f32(result)


def _floor_divide(left: Number, right: Number) -> Number:
    if isinstance(left, int) and isinstance(right, int):
        return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    return float(math.floor(left / right))


def _remainder(left: Number, right: Number) -> Number:
    rest = math.fmod(left, right)
    return rest + right if left * right < 0 else rest


def _log_add_exp(left: Number, right: Number) -> Number:
    return max(left, right) + math.log1p(math.exp(-abs(left - right)))


def _integers(function: Callable[[int, int], int]) -> Callable[[Number, Number], Number]:
    return lambda left, right: function(int(left), int(right))


def _float(function: Callable[[float], float]) -> Callable[[Number], Number]:
    def rounded(value: Number) -> Number:
        try:
            return f32(function(float(value)))
        except (ValueError, ZeroDivisionError, OverflowError) as error:
            raise ExpressionError(f"{value} is outside a function's domain: {error}") from None

    return rounded


def _round(value: Number) -> Number:
    return math.floor(value + 0.5) if value >= 0 else -math.floor(0.5 - value)


_BINARY: dict[str, Callable[[Number, Number], Number]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: float(left) / right,
    "//": _floor_divide,
    "max": max,
    "min": min,
    "atan2": lambda left, right: math.atan2(left, right),
    "fmod": lambda left, right: math.fmod(left, right),
    "pow": lambda left, right: math.pow(left, right),
    "remainder": _remainder,
    "logaddexp": _log_add_exp,
    "and": _integers(operator.and_),
    "or": _integers(operator.or_),
    "xor": _integers(operator.xor),
    "lshift": _integers(operator.lshift),
    "rshift": _integers(operator.rshift),
}

_UNARY: dict[str, Callable[[Number], Number]] = {
    "abs": abs,
    "neg": operator.neg,
    "sign": lambda value: (value > 0) - (value < 0),
    "square": lambda value: value * value if isinstance(value, int) else f32(value * value),
    "trunc": math.trunc,
    "ceil": math.ceil,
    "floor": math.floor,
    "round": _round,
    "reciprocal": _float(lambda value: 1.0 / value),
    "rsqrt": _float(lambda value: 1.0 / math.sqrt(value)),
    **{
        name: _float(getattr(math, name))
        for name in ("sqrt", "exp", "log", "log10", "sin", "cos", "tan", "asin", "acos", "atan")
    },
    **{name: _float(getattr(math, name)) for name in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf")},
}
