"""exp and tanh of many numbers, rounded to binary32 as the C library's results in binary64 would be.

Floats are binary64 here. A result is first computed a little less exactly than the C library computes it, then taken
a little smaller and a little larger than that: where both round to the same 24 bits, so does the C library's result.
The others are marked in `doubt`, which holds 0 for every certain result; `settle_exp` and `settle_tanh` ask the C
library for them.

Rounding to 24 bits is Veltkamp's method, `t = x * SPLIT; x = t - (t - x)`.

Loops are short, and series fall into even and odd powers: a CPU has only so many operations waiting for others. Results
must not overwrite their arguments.
"""

import math
from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from fastpath.kernels.source.capacity import NUMBERS

SPLIT: Final = 536870913.0
"""2**29 + 1: what splits 24 bits off 53."""

EXP_LIMIT: Final = 87.0
"""Between minus and plus this exp is a normal number of binary32; beyond, every result is in doubt."""

ROOT: Final = 0.00048828125
"""2**-11: exp(x) is the power 2**11 of exp(x * ROOT)."""

TANH_LIMIT: Final = 10.0
"""From here on tanh is 1 in binary32."""

BELOW: Final = 0.999999999998181
"""1 - 2**-39."""

ABOVE: Final = 1.000000000001819
"""1 + 2**-39; the results are off by less than 2**-40."""


def exp(x: vec[float], first: i64, n: i64, sign: float, out: vec[float], doubt: vec[float]) -> i64:
    """E to the sign * x for n numbers from `first` on, to the same places of `out`; returns how many are in doubt."""
    if len(x) < NUMBERS or len(out) < NUMBERS or len(doubt) < NUMBERS:
        raise ValueError("buffer too small")
    if first < 0 or n < 0 or first > NUMBERS // 2 or n > NUMBERS // 2:
        raise ValueError("part out of range")
    i: i64 = 0
    doubts: i64 = 0
    step = sign * ROOT
    for i in range(n):
        y = x[first + i] * step
        yy = y * y
        even = yy * (0.5 + yy * (0.041666666666666664 + yy * 0.001388888888888889))
        odd = y * (1.0 + yy * (0.16666666666666666 + yy * (0.008333333333333333 + yy * 0.0001984126984126984)))
        out[first + i] = 1.0 + (odd + even)
    for i in range(n):
        v = x[first + i]
        p = out[first + i]
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        low = p * BELOW
        t = low * SPLIT
        low = t - (t - low)
        p = p * ABOVE
        t = p * SPLIT
        p = t - (t - p)
        out[first + i] = p
        d = p - low
        if abs(v) > EXP_LIMIT:
            d = 1.0
        doubt[first + i] = d
        if d != 0.0:
            doubts += 1
    return doubts


def settle_exp(x: vec[float], first: i64, n: i64, sign: float, out: vec[float], doubt: vec[float]) -> bool:
    """Compute again what `exp` left in doubt; False where a number is beyond `EXP_LIMIT` or not finite."""
    i: i64 = 0
    for i in range(first, first + n):
        if doubt[i] != 0.0:
            v = sign * x[i]
            if not abs(v) <= EXP_LIMIT:
                return False
            p = math.exp(v)
            t = p * SPLIT
            out[i] = t - (t - p)
    return True


def tanh(x: vec[float], first: i64, n: i64, out: vec[float], doubt: vec[float]) -> i64:
    """Tanh of n numbers from `first` on, to the same places of `out`; returns how many are in doubt.

    exp(2 x) - 1, divided by 2 more than itself; eight times doubling its argument makes e to e * (e + 2).
    """
    if len(x) < NUMBERS or len(out) < NUMBERS or len(doubt) < NUMBERS:
        raise ValueError("buffer too small")
    if first < 0 or n < 0 or first > NUMBERS // 2 or n > NUMBERS // 2:
        raise ValueError("part out of range")
    i: i64 = 0
    doubts: i64 = 0
    for i in range(n):
        a = abs(x[first + i])
        if a > TANH_LIMIT:
            a = TANH_LIMIT
        y = a * 0.0078125
        yy = y * y
        even = yy * (0.5 + yy * (0.041666666666666664 + yy * 0.001388888888888889))
        odd = y * (1.0 + yy * (0.16666666666666666 + yy * (0.008333333333333333 + yy * 0.0001984126984126984)))
        out[first + i] = odd + even
    for i in range(n):
        e = out[first + i]
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        out[first + i] = e
    for i in range(n):
        v = x[first + i]
        e = out[first + i]
        d = e + 2.0
        if d == 0.0:
            # It never is, but who divides without asking makes no vector code.
            d = 1.0
        r = e / d
        low = r * BELOW
        t = low * SPLIT
        low = t - (t - low)
        r = r * ABOVE
        t = r * SPLIT
        r = t - (t - r)
        d = r - low
        out[first + i] = math.copysign(r, v)
        doubt[first + i] = d
        if d != 0.0:
            doubts += 1
    return doubts


def settle_tanh(x: vec[float], first: i64, n: i64, out: vec[float], doubt: vec[float]) -> bool:
    """Compute again what `tanh` left in doubt; False where a number is not finite."""
    i: i64 = 0
    for i in range(first, first + n):
        if doubt[i] != 0.0:
            v = x[i]
            if not abs(v) <= TANH_LIMIT:
                return False
            r = math.tanh(v)
            t = r * SPLIT
            out[i] = t - (t - r)
    return True
