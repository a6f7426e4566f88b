"""Functions of binary32 numbers: computed in binary64, rounded once to binary32, and never an exception.

Python's math module raises where C returns an infinity or NaN; here the results are C's. The real runtime calls the C
library's binary32 functions, or vector approximations of them, which differ by up to four units in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from spec.binary32 import f32

SIGMOID_LIMIT = f32(88.3762626647949)
"""Sigmoid clamps its argument to plus or minus this, about the logarithm of the largest binary32 number."""


def exp(x: float) -> float:
    """The exponential function; infinity above 88.72.

    >>> exp(1.0), exp(1e9)
    (2.7182817459106445, inf)
    """
    try:
        return f32(math.exp(x))
    except OverflowError:
        return math.inf


def expm1(x: float) -> float:
    """The exponential function minus 1, in one rounding."""
    try:
        return f32(math.expm1(x))
    except OverflowError:
        return math.inf


def log(x: float) -> float:
    """The natural logarithm; minus infinity for 0, NaN below.

    >>> log(0.0), log(-1.0)
    (-inf, nan)
    """
    return _or_pole(math.log, x, pole=0.0)


def log10(x: float) -> float:
    """The logarithm to base 10; minus infinity for 0, NaN below."""
    return _or_pole(math.log10, x, pole=0.0)


def log1p(x: float) -> float:
    """The natural logarithm of 1 + x in one rounding; minus infinity for -1, NaN below."""
    return _or_pole(math.log1p, x, pole=-1.0)


def sqrt(x: float) -> float:
    """The square root, exactly rounded; NaN for negative x."""
    return or_nan(math.sqrt, x)


def pow(x: float, y: float) -> float:
    """The power x to the y, with C's special cases.

    >>> pow(2.0, 0.5), pow(-8.0, 3.0), pow(0.0, -1.0), pow(-1.0, 0.5)
    (1.4142135381698608, -512.0, inf, nan)
    """
    odd = y % 2.0 == 1.0 if math.isfinite(y) else False
    try:
        return f32(math.pow(x, y))
    except OverflowError:
        return -math.inf if x < 0.0 and odd else math.inf
    except ValueError:
        if x == 0.0:
            return math.copysign(math.inf, x) if odd else math.inf
        return math.nan


def tanh(x: float) -> float:
    """The hyperbolic tangent."""
    return f32(math.tanh(x))


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) with x clamped to plus or minus `SIGMOID_LIMIT`.

    >>> sigmoid(0.0), sigmoid(100.0)
    (0.5, 1.0)
    """
    x = max(min(x, SIGMOID_LIMIT), -SIGMOID_LIMIT)
    return logistic(x)


def logistic(x: float) -> float:
    """1 / (1 + exp(-x)) without a clamp."""
    return f32(1.0 / f32(1.0 + exp(-x)))


def divide(x: float, y: float) -> float:
    """The quotient x / y with IEEE's infinities and NaN for y = 0.

    >>> divide(-1.0, 0.0), divide(0.0, 0.0)
    (-inf, nan)
    """
    if y != 0.0:
        return f32(x / y)
    if x == 0.0 or math.isnan(x):
        return math.nan
    return math.copysign(math.inf, x) * math.copysign(1.0, y)


def or_nan(function: Callable[[float], float], x: float) -> float:
    """`function(x)` rounded to binary32; NaN where x is outside its domain, infinity where the result is too large."""
    try:
        return f32(function(x))
    except ValueError:
        return math.nan
    except OverflowError:
        return math.copysign(math.inf, x)


def _or_pole(function: Callable[[float], float], x: float, pole: float) -> float:
    return -math.inf if x == pole else or_nan(function, x)
