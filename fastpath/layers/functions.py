"""Functions of binary32 arrays: computed in binary64 and rounded once to binary32.

numpy's own float32 exp, log and tanh are off by up to three units in the last place and are never used. Where a
function has a pole or leaves its domain the result is C's infinity or NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastpath.layers.common import Floats

SIGMOID_LIMIT = np.float32(88.3762626647949)
"""Sigmoid clamps its argument to plus or minus this, about the logarithm of the largest binary32 number."""

ONE = np.float32(1.0)

BLOCK = 16384
"""Values that are binary64 numbers at a time, so that they stay in cache."""

Function64 = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def rounded(function: Function64, x: Floats) -> Floats:
    """A function evaluated in binary64, rounded to binary32."""
    if x.size <= BLOCK:
        return function(x.astype(np.float64)).astype(np.float32)
    results = np.empty(x.shape, np.float32)
    flat, source = results.reshape(-1), np.ascontiguousarray(x).reshape(-1)
    for first in range(0, source.size, BLOCK):
        part = slice(first, first + BLOCK)
        np.copyto(flat[part], function(source[part].astype(np.float64)), casting="same_kind")
    return results


def exp(x: Floats) -> Floats:
    """E to the x; infinity above 88.72."""
    return rounded(np.exp, x)


def log(x: Floats) -> Floats:
    """The natural logarithm; minus infinity for 0, NaN below."""
    return rounded(np.log, x)


def expm1(x: Floats) -> Floats:
    """E to the x, minus 1, in one rounding."""
    return rounded(np.expm1, x)


def log1p(x: Floats) -> Floats:
    """The logarithm of 1 + x in one rounding; minus infinity for -1, NaN below."""
    return rounded(np.log1p, x)


def sqrt(x: Floats) -> Floats:
    """The square root, exactly rounded; NaN for negative x."""
    return np.asarray(np.sqrt(x), np.float32)


def log10(x: Floats) -> Floats:
    """The logarithm to base 10; minus infinity for 0, NaN below."""
    return rounded(np.log10, x)


def tanh(x: Floats) -> Floats:
    """The hyperbolic tangent."""
    return rounded(np.tanh, x)


def pow(x: Floats, y: Floats | np.float32) -> Floats:
    """X to the power y, with C's special cases."""
    # A full array of exponents: for a single 0.5 numpy takes the square root, whose result for -0 is not C's.
    bases, exponents = np.broadcast_arrays(x.astype(np.float64), np.asarray(y, np.float64))
    return np.asarray(np.power(bases, exponents.copy()), np.float32)


def logistic(x: Floats) -> Floats:
    """1 / (1 + exp(-x)) without a clamp."""
    return ONE / (ONE + exp(-x))


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)) with x clamped to plus or minus `SIGMOID_LIMIT`."""
    return logistic(np.maximum(np.minimum(x, SIGMOID_LIMIT), -SIGMOID_LIMIT))
