"""Functions of binary32 arrays: computed in binary64 and rounded once to binary32.

numpy's own float32 exp, log and tanh are off by up to three units in the last place and are never used. Where a
function has a pole or leaves its domain the result is C's infinity or NaN. exp and tanh give what the C library gives:
results that lie too near a tie of binary32 to tell are left to it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastpath import kernels
from fastpath.arena import double_buffer
from fastpath.kernels.source.capacity import NUMBERS
from fastpath.layers.common import Doubles, Floats

SIGMOID_LIMIT = np.float32(88.3762626647949)
"""Sigmoid clamps its argument to plus or minus this, about the logarithm of the largest binary32 number."""

ONE = np.float32(1.0)

DOUBT = 2.0**-49
"""Relative half-width, 8 units in the last place of binary64, of the band in which numpy's functions are distrusted."""

BLOCK = NUMBERS // 2
"""Numbers that are computed at a time, so that what lies between two operations stays in cache."""

MOST_DOUBTS = 16
"""Where one in so many results is in doubt, numpy computes the block: the kernels know no subnormal numbers."""

Function64 = Callable[[Doubles], Doubles]

Step = Callable[[Floats, Floats], object]
"""Computes a function of a block into another array, which may be the same."""


class _Bench(threading.local):
    """Arguments, results and doubts of a thread's block."""

    def __init__(self) -> None:
        self.source, self.result, self.doubt = (double_buffer(NUMBERS) for _ in range(3))


_BENCH = _Bench()


def blockwise(step: Step, x: Floats) -> Floats:
    """A function of every number, block by block."""
    flat = np.ascontiguousarray(x).reshape(-1)
    out = np.empty_like(flat)
    for first in range(0, flat.size, BLOCK):
        step(flat[first : first + BLOCK], out[first : first + BLOCK])
    return out.reshape(x.shape)


def round_results(arguments: Doubles, results: Doubles, function: Callable[[float], float]) -> Floats:
    """binary64 `results` of numpy's twin of `function`, rounded to binary32 as the C library's results are.

    numpy's exp and tanh may differ from the C library's by a few units in the last place of binary64. That shows in
    binary32 only beside a tie of its rounding; such elements are computed again with `function`.
    """
    rounded, doubtful = _rounded_and_doubtful(results)
    for index in doubtful:
        rounded.flat[index] = function(float(arguments.flat[index]))
    return rounded


def _rounded_and_doubtful(results: Doubles) -> tuple[Floats, NDArray[np.intp]]:
    """The results in binary32, and the places of those that lie so near a tie that they may be wrong."""
    with np.errstate(over="ignore", under="ignore"):
        doubtful = (results * (1.0 - DOUBT)).astype(np.float32) != (results * (1.0 + DOUBT)).astype(np.float32)
        return results.astype(np.float32), np.flatnonzero(doubtful)


def exact_exp(value: float) -> float:
    """The C library's exp in binary64; infinity where it overflows."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def exact_pow(base: float, exponent: float) -> float:
    """The C library's pow in binary64, where it is finite; NaN for fractional powers of negative bases."""
    try:
        return math.pow(base, exponent)
    except ValueError:
        return math.nan


def exp_block(x: Floats, out: Floats) -> None:
    """Exp of a block."""
    if not kernels.COMPILED:
        np.copyto(out, _exp_by_numpy(x.astype(np.float64)))
        return
    source = _BENCH.source.items[: x.size]
    np.copyto(source, x)
    doubts = kernels.wide().activations.exp(_BENCH.source.data, 0, x.size, 1.0, _BENCH.result.data, _BENCH.doubt.data)
    _finish(doubts, _exp_by_numpy, exact_exp, out)


def tanh_block(x: Floats, out: Floats) -> None:
    """Tanh of a block."""
    if not kernels.COMPILED:
        np.copyto(out, _tanh_by_numpy(x.astype(np.float64)))
        return
    source = _BENCH.source.items[: x.size]
    np.copyto(source, x)
    doubts = kernels.wide().activations.tanh(_BENCH.source.data, 0, x.size, _BENCH.result.data, _BENCH.doubt.data)
    _finish(doubts, _tanh_by_numpy, math.tanh, out)


def _finish(doubts: int, by_numpy: Callable[[Doubles], Floats], exact: Callable[[float], float], out: Floats) -> None:
    """The results of the bench, with those in doubt computed again."""
    source, result = _BENCH.source.items[: out.size], _BENCH.result.items[: out.size]
    if doubts * MOST_DOUBTS > out.size:
        np.copyto(out, by_numpy(source))
        return
    np.copyto(out, result, casting="same_kind")
    if doubts:
        with np.errstate(over="ignore", under="ignore"):
            for place in np.flatnonzero(_BENCH.doubt.items[: out.size] != 0.0):
                out[place] = exact(float(source[place]))


def _exp_by_numpy(x: Doubles) -> Floats:
    with np.errstate(over="ignore", under="ignore"):
        return round_results(x, np.exp(x), exact_exp)


def _tanh_by_numpy(x: Doubles) -> Floats:
    return round_results(x, np.tanh(x), math.tanh)


def logistic_block(x: Floats, out: Floats) -> None:
    """1 / (1 + exp(-x)) of a block."""
    np.negative(x, out=out)
    exp_block(out, out)
    np.add(ONE, out, out=out)
    np.divide(ONE, out, out=out)


def sigmoid_block(x: Floats, out: Floats) -> None:
    """The same with x clamped to plus or minus `SIGMOID_LIMIT`."""
    np.minimum(x, SIGMOID_LIMIT, out=out)
    np.maximum(out, -SIGMOID_LIMIT, out=out)
    logistic_block(out, out)


def exp(x: Floats) -> Floats:
    """E to the x; infinity above 88.72."""
    return blockwise(exp_block, x)


def exp_in_place(x: Floats) -> None:
    """The same, where the arguments stand: in an array without gaps."""
    flat = x.reshape(-1)
    for first in range(0, flat.size, BLOCK):
        part = flat[first : first + BLOCK]
        exp_block(part, part)


def tanh(x: Floats) -> Floats:
    """The hyperbolic tangent."""
    return blockwise(tanh_block, x)


def logistic(x: Floats) -> Floats:
    """1 / (1 + exp(-x)) without a clamp."""
    return blockwise(logistic_block, x)


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)) with x clamped to plus or minus `SIGMOID_LIMIT`."""
    return blockwise(sigmoid_block, x)


def rounded(function: Function64, x: Floats) -> Floats:
    """A function evaluated in binary64, rounded to binary32."""

    def step(block: Floats, out: Floats) -> None:
        np.copyto(out, function(block.astype(np.float64)), casting="same_kind")

    return blockwise(step, x)


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


def pow(x: Floats, y: Floats | np.float32) -> Floats:
    """X to the power y, with C's special cases."""
    # A full array of exponents: for a single 0.5 numpy takes the square root, whose result for -0 is not C's.
    bases, exponents = (np.array(values, np.float64) for values in np.broadcast_arrays(x, np.asarray(y, np.float32)))
    nearest, doubtful = _rounded_and_doubtful(np.asarray(np.power(bases, exponents)))
    for index in doubtful:
        nearest.flat[index] = exact_pow(float(bases.flat[index]), float(exponents.flat[index]))
    return nearest
