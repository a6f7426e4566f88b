"""Shape expressions: the little language in which Reshape, Crop and Interp compute sizes from their bottoms' extents.

An expression is a list, separated by commas, of prefix terms such as `+(0w,1)` or `//(0h,2)`. `0w 0h 0d 0c` are the
extents of bottom 0, `1w` of bottom 1, and so on. Numbers are ints if they are whole, else binary32 floats. Parentheses
and commas only separate; the tokens are evaluated from the last to the first on a stack.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from fastpath.layers.common import fault
from spec.graph import Layer, Shape, ncnn_extents

Number = int | float

_EXTENT = re.compile(r"([0-9])([whdc])")


def _f32(value: Number) -> float:
    return float(np.float32(value))


def _lifted(function: Callable[..., np.float64]) -> Callable[..., float]:
    """A numpy function of binary64 with a binary32 result, and never an exception."""

    def evaluated(*operands: float) -> float:
        with np.errstate(all="ignore"):
            return _f32(float(function(*map(np.float64, operands))))

    return evaluated


def _remainder(a: float, b: float) -> float:
    rest = _lifted(np.fmod)(a, b)
    return _f32(rest + b) if a * b < 0 else rest


def _logaddexp(a: float, b: float) -> float:
    return _f32(max(a, b) + _lifted(np.log1p)(_lifted(np.exp)(min(a, b) - max(a, b))))


_BOTH_KEEP_INT: dict[str, Callable[[Number, Number], Number]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "max": max,
    "min": min,
}
"""Operators of two that give an int for two ints."""

_BOTH_FLOAT: dict[str, Callable[[float, float], float]] = {
    "/": _lifted(np.divide),
    "atan2": _lifted(np.arctan2),
    "fmod": _lifted(np.fmod),
    "pow": _lifted(np.power),
    "remainder": _remainder,
    "logaddexp": _logaddexp,
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
    "rsqrt": lambda a: _lifted(np.divide)(1.0, _lifted(np.sqrt)(a)),
    "erf": lambda a: _f32(math.erf(a)),
    **{
        name: _lifted(getattr(np, numpy_name))
        for name, numpy_name in (
            *((name, name) for name in ("sqrt", "reciprocal", "exp", "log", "log10", "tanh", "sin", "cos", "tan")),
            *((name, f"arc{name[1:]}") for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")),
            *((name, name) for name in ("sinh", "cosh")),
        )
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
    for token in reversed([token for token in re.split(r"[(),]", expression) if token]):
        try:
            _step(token, stack, shapes)
        except IndexError:
            raise fault(layer, f"has the expression {expression!r}: {token} lacks an operand or a bottom") from None
        except ZeroDivisionError:
            raise fault(layer, f"has the expression {expression!r}, which divides by zero") from None
        except (KeyError, TypeError, ValueError):
            raise fault(layer, f"has the expression {expression!r}: {token} cannot be evaluated") from None
    try:
        return [math.trunc(value) for value in reversed(stack)]
    except (OverflowError, ValueError):
        raise fault(layer, f"has the expression {expression!r}, whose value is not finite") from None


def _step(token: str, stack: list[Number], shapes: Sequence[Shape]) -> None:
    if token in _BOTH_KEEP_INT:
        a, b = stack.pop(), stack.pop()
        result = _BOTH_KEEP_INT[token](a, b)
        stack.append(result if isinstance(a, int) and isinstance(b, int) else _f32(result))
    elif token == "//":
        stack.append(_floor_divide(stack.pop(), stack.pop()))
    elif token in _BOTH_FLOAT:
        stack.append(_BOTH_FLOAT[token](float(stack.pop()), float(stack.pop())))
    elif token in _BITS:
        left, right = stack.pop(), stack.pop()
        if not isinstance(left, int) or not isinstance(right, int):
            raise TypeError(token)
        stack.append(_BITS[token](left, right))
    elif token in _KEEP_KIND:
        only = stack.pop()
        kept = _KEEP_KIND[token](only)
        stack.append(kept if isinstance(only, int) else _f32(kept))
    elif token in _TO_INT:
        stack.append(_TO_INT[token](stack.pop()))
    elif token in _TO_FLOAT:
        stack.append(_TO_FLOAT[token](float(stack.pop())))
    elif match := _EXTENT.fullmatch(token):
        _, w, h, d, c = ncnn_extents(shapes[int(match[1])])
        stack.append({"w": w, "h": h, "d": d, "c": c}[match[2]])
    else:
        number = float(token)
        stack.append(int(number) if number.is_integer() else _f32(number))


def _floor_divide(a: Number, b: Number) -> Number:
    """Truncated for two ints, as in C; the floor for floats."""
    if isinstance(a, int) and isinstance(b, int):
        quotient = abs(a) // abs(b)
        return quotient if (a < 0) == (b < 0) else -quotient
    return float(math.floor(_lifted(np.divide)(a, b)))
