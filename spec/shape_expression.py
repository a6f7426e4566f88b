"""Shape expressions: the little language in which Reshape, Crop and Interp compute sizes from their bottoms' extents.

An expression is a list, separated by commas, of prefix terms such as `+(0w,1)` or `//(0h,2)`. `0w 0h 0d 0c` are the
extents of bottom 0, `1w` of bottom 1, and so on. Numbers are ints if they are whole, else floats. Parentheses, commas
and blanks only separate; the tokens are evaluated from the last to the first on a stack.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from spec.binary32 import f32
from spec.errors import GraphError
from spec.functions import divide, exp, log, log10, or_nan, pow, sqrt, tanh
from spec.graph import Layer, Shape, ncnn_extents

Number = int | float

_EXTENT = re.compile(r"([0-9])([whdc])")

_BOTH_KEEP_INT: dict[str, Callable[[Number, Number], Number]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "max": max,
    "min": min,
}
"""Operators of two that give an int for two ints."""

_BOTH_FLOAT: dict[str, Callable[[float, float], float]] = {
    "/": divide,
    "atan2": lambda a, b: f32(math.atan2(a, b)),
    "fmod": lambda a, b: or_nan(lambda x: math.fmod(x, b), a),
    "pow": pow,
    "remainder": lambda a, b: _remainder(a, b),
    "logaddexp": lambda a, b: f32(max(a, b) + f32(math.log1p(exp(f32(min(a, b) - max(a, b)))))),
}
"""Operators of two that always give a float."""

_BITS: dict[str, Callable[[int, int], int]] = {
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "lshift": lambda a, b: a << b,
    "rshift": lambda a, b: a >> b,
}
"""Operators of two ints."""

_KEEP_KIND: dict[str, Callable[[Number], Number]] = {
    "abs": abs,
    "neg": lambda a: -a,
    "sign": lambda a: type(a)((a > 0) - (a < 0)),
    "square": lambda a: a * a,
}
"""Operators of one that keep an int an int."""

_TO_INT: dict[str, Callable[[float], int]] = {
    "trunc": math.trunc,
    "ceil": math.ceil,
    "floor": math.floor,
    "round": lambda a: math.floor(a + 0.5) if a >= 0 else -math.floor(0.5 - a),
}
"""Operators of one that give an int."""

_TO_FLOAT: dict[str, Callable[[float], float]] = {
    "sqrt": sqrt,
    "rsqrt": lambda a: divide(1.0, sqrt(a)),
    "reciprocal": lambda a: divide(1.0, a),
    "exp": exp,
    "log": log,
    "log10": log10,
    "tanh": tanh,
    **{
        name: (lambda function: lambda a: or_nan(function, a))(getattr(math, name))
        for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf")
    },
}
"""Operators of one that give a float."""


def evaluate(layer: Layer, expression: str, shapes: Sequence[Shape]) -> list[int]:
    """The values of an expression for bottoms of these shapes, truncated to ints.

    GraphError for an unknown word, an operator without operands, a missing bottom, or a division by zero.

    Follows: ncnn src/expression.cpp @ a4d2ea1d.

    >>> evaluate(Layer("Reshape", "r", [], []), "*(0w,0h),//(0c,2)", [(6, 4, 5)])
    [20, 3]
    """
    stack: list[Number] = []
    for token in reversed([token for token in re.split(r"[(), ]", expression) if token]):
        try:
            _step(token, stack, shapes)
        except IndexError:
            raise GraphError(
                layer.name, f"{layer.type} has the expression {expression!r}: {token} lacks an operand or a bottom"
            ) from None
        except ZeroDivisionError:
            raise GraphError(
                layer.name, f"{layer.type} has the expression {expression!r}, which divides by zero"
            ) from None
        except (KeyError, TypeError, ValueError):
            raise GraphError(
                layer.name, f"{layer.type} has the expression {expression!r}: {token} cannot be evaluated"
            ) from None
    try:
        return [math.trunc(value) for value in reversed(stack)]
    except (OverflowError, ValueError):
        raise GraphError(
            layer.name, f"{layer.type} has the expression {expression!r}, whose value is not finite"
        ) from None


def _step(token: str, stack: list[Number], shapes: Sequence[Shape]) -> None:
    if token in _BOTH_KEEP_INT:
        a, b = stack.pop(), stack.pop()
        result = _BOTH_KEEP_INT[token](a, b)
        stack.append(result if isinstance(a, int) and isinstance(b, int) else f32(result))
    elif token == "//":
        a, b = stack.pop(), stack.pop()
        stack.append(_floor_divide(a, b))
    elif token in _BOTH_FLOAT:
        stack.append(_BOTH_FLOAT[token](float(stack.pop()), float(stack.pop())))
    elif token in _BITS:
        left, right = stack.pop(), stack.pop()
        if not isinstance(left, int) or not isinstance(right, int):
            raise TypeError(token)
        stack.append(_BITS[token](left, right))
    elif token in _KEEP_KIND:
        a = stack.pop()
        result = _KEEP_KIND[token](a)
        stack.append(result if isinstance(a, int) else f32(result))
    elif token in _TO_INT:
        stack.append(_TO_INT[token](stack.pop()))
    elif token in _TO_FLOAT:
        stack.append(_TO_FLOAT[token](float(stack.pop())))
    elif match := _EXTENT.fullmatch(token):
        _, w, h, d, c = ncnn_extents(shapes[int(match[1])])
        stack.append({"w": w, "h": h, "d": d, "c": c}[match[2]])
    else:
        number = float(token)
        stack.append(int(number) if number.is_integer() else f32(number))


def _floor_divide(a: Number, b: Number) -> Number:
    """Truncated for two ints, as in C; the floor for floats."""
    if isinstance(a, int) and isinstance(b, int):
        quotient = abs(a) // abs(b)
        return quotient if (a < 0) == (b < 0) else -quotient
    return float(math.floor(divide(a, b)))


def _remainder(a: float, b: float) -> float:
    rest = or_nan(lambda x: math.fmod(x, b), a)
    return f32(rest + b) if a * b < 0 else rest
