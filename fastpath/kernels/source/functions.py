"""exp and tanh as the C library computes them, rounded to binary32, where `activations` is in doubt.

Floats are binary64 here. `activations` computes a result a little less exactly than the C library, and rounds both
ends of the range in which it lies: where they are the same 24 bits, so is the C library's result rounded. The others it
marks in `doubt`, which holds 0 for every certain result.

Rounding to 24 bits is Veltkamp's method, `t = x * SPLIT; x = t - (t - x)`.
"""

import math
from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

SPLIT: Final = 536870913.0
"""2**29 + 1: what splits 24 bits off 53."""

EXP_LIMIT: Final = 87.0
"""Between minus and plus this exp is a normal number of binary32; beyond, every result is in doubt."""

TANH_LIMIT: Final = 9.25
"""From here on tanh is 1 in binary32."""


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
