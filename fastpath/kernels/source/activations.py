"""exp and tanh of many numbers, and the gates of LSTM, in loops that become vector code.

Written by fastpath/kernels/write_activations.py; change it there.

exp is a power of a short polynomial: as often as it is squared its argument was halved. tanh is exp(2 x) - 1, divided
by 2 more than itself; doubling the argument of exp(x) - 1 = e makes e to e * (e + 2). What is computed for exp is too
small by 2**-40 in `exp` and 2**-41 elsewhere, give or take less than as much, so that it is the lower end of the range
in which the result lies; for tanh it is within 2**-43. Both ends are rounded: their difference is the doubt, which is 0
where the result is certain.

Loops are short, and so are chains of operations: a CPU has only so many that wait for others. Results must not
overwrite their arguments.
"""

# fmt: off
# ruff: noqa
import math
from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from fastpath.kernels.source.capacity import CHUNK, NUMBERS, STATES
from fastpath.kernels.source.functions import EXP_LIMIT, SPLIT, TANH_LIMIT

EXP_ABOVE: Final = 1.000000000001819
"""1 + 2**-39."""

GATE_ABOVE: Final = 1.0000000000009095
"""1 + 2**-40."""

TANH_BELOW: Final = 0.9999999999997726
"""1 - 2**-42."""

TANH_ABOVE: Final = 1.0000000000002274
"""1 + 2**-42."""

MANY: Final = 1e300
"""Times this, every doubt is larger than any number it is taken off."""

GATE_LIMIT: Final = 20.0
"""Where a gate is so large its exponential is too small to change 1."""

SMALL: Final = 8.673617379884035e-19
"""2**-60."""


def exp(x: vec[float], first: i64, n: i64, sign: float, out: vec[float], doubt: vec[float]) -> i64:
    """E to the sign * x for n numbers from `first` on, to the same places of `out`.

    Returns how many are in doubt.
    """
    if len(x) < NUMBERS or len(out) < NUMBERS or len(doubt) < NUMBERS:
        raise ValueError("buffer too small")
    if first < 0 or n < 0 or first > NUMBERS // 2 or n > NUMBERS // 2:
        raise ValueError("part out of range")
    i: i64 = 0
    doubts: i64 = 0
    for i in range(n):
        v = x[first + i] * sign
        z = v * v
        p = (0.9999999999999996 + v * 0.00048828125) + z * (1.1920928955078993e-07 + v * 1.9402553637822468e-11) + (z * z) * ((2.368475780128124e-15 + v * 2.312964634635743e-19) + z * (1.8824167516267828e-23 + v * 1.3129850992905201e-27))
        out[first + i] = p
    for i in range(n):
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
        t = p * SPLIT
        u = t - p
        d = u - (t - p * EXP_ABOVE)
        p = t - u
        if abs(x[first + i]) > EXP_LIMIT:
            d = 1.0
        out[first + i] = p
        doubt[first + i] = d
        if d != 0.0:
            doubts += 1
    return doubts


def tanh(x: vec[float], first: i64, n: i64, out: vec[float], doubt: vec[float]) -> i64:
    """Tanh of n numbers from `first` on, to the same places of `out`; returns how many are in doubt."""
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
        z = a * a
        e = (0.06249999999999656 + a * 0.0019531250000688932) + z * (4.069010394061053e-05 + a * 6.357831601743345e-07) + (z * z) * ((7.947112517382102e-09 + a * 8.284204641136964e-11) + z * (7.284683630369748e-13 + a * 6.801159674633537e-15))
        out[first + i] = e * a
    for i in range(n):
        e = out[first + i]
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        d = e + 2.0
        if d == 0.0:
            # It never is, but who divides without asking makes no vector code.
            d = 1.0
        out[first + i] = e / d
    for i in range(n):
        r = out[first + i]
        t = r * SPLIT
        u = t - r * TANH_BELOW
        d = u - (t - r * TANH_ABOVE)
        r = t - u
        r = math.copysign(r, x[first + i])
        out[first + i] = r
        doubt[first + i] = d
        if d != 0.0:
            doubts += 1
    return doubts


def lstm_powers(
    gates: vec[float], inputs: vec[float], at: i64, work: vec[float], doubt: vec[float], n: i64
) -> None:
    """The gates I, F and O, of which each gets its input part; 1 + exp(-x) of them, and the doubts of that."""
    if len(gates) < NUMBERS or len(work) < NUMBERS or len(doubt) < NUMBERS:
        raise ValueError("buffer too small")
    if len(inputs) < CHUNK + STATES:
        raise ValueError("buffer too small")
    if n < 0 or n > STATES // 4 or at < 0 or at > CHUNK:
        raise ValueError("part out of range")
    i: i64 = 0
    for i in range(3 * n):
        x = gates[i] + inputs[at + i]
        t = x * SPLIT
        x = t - (t - x)
        gates[i] = x
        if x > GATE_LIMIT:
            x = GATE_LIMIT
        z = x * x
        p = (0.9999999999999991 + x * -0.0019531250000001505) + z * (1.9073486328125e-06 + x * -1.2417634298089654e-09) + (z * z) * ((6.063298011819521e-13 + x * -2.3686263695020683e-16) + z * (7.709882115452476e-20))
        work[i] = p
    for i in range(3 * n):
        p = work[i]
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        t = p * SPLIT
        u = t - p
        d = u - (t - p * GATE_ABOVE)
        p = t - u
        p = p + 1.0
        t = p * SPLIT
        p = t - (t - p)
        work[i] = p
        doubt[i] = d


def lstm_cell(
    gates: vec[float],
    inputs: vec[float],
    at: i64,
    work: vec[float],
    cell: vec[float],
    doubt: vec[float],
    n: i64,
) -> None:
    """C = F * C + I * G, from what `lstm_powers` left in `work`; the former C and the gate O stay there.

    One division serves three: the quotients 1 / v are off by up to 5 roundings of binary64, 2**-50.7,
    before they are rounded to 24 bits. As v has 24 bits, 1 / v never comes nearer to a tie than 2**-49.
    A product too small for 24 bits changes no cell state of at least `SMALL`; smaller ones are in doubt,
    and so are those with a gate below minus `GATE_LIMIT`: `doubt` is negative there.
    """
    if len(gates) < NUMBERS or len(work) < NUMBERS or len(cell) < NUMBERS or len(doubt) < NUMBERS:
        raise ValueError("buffer too small")
    if len(inputs) < CHUNK + STATES:
        raise ValueError("buffer too small")
    if n < 0 or n > STATES // 4 or at < 0 or at > CHUNK:
        raise ValueError("part out of range")
    i: i64 = 0
    for i in range(n):
        x = gates[3 * n + i] + inputs[at + 3 * n + i]
        t = x * SPLIT
        x = t - (t - x)
        gates[3 * n + i] = x
        a = abs(x)
        if a > TANH_LIMIT:
            a = TANH_LIMIT
        z = a * a
        e = (0.06249999999999656 + a * 0.0019531250000688932) + z * (4.069010394061053e-05 + a * 6.357831601743345e-07) + (z * z) * ((7.947112517382102e-09 + a * 8.284204641136964e-11) + z * (7.284683630369748e-13 + a * 6.801159674633537e-15))
        work[3 * n + i] = e * a
    for i in range(n):
        e = work[3 * n + i]
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        d = e + 2.0
        if d == 0.0:
            # It never is, but who divides without asking makes no vector code.
            d = 1.0
        work[3 * n + i] = e / d
    for i in range(n):
        r = work[3 * n + i]
        t = r * SPLIT
        u = t - r * TANH_BELOW
        d = u - (t - r * TANH_ABOVE)
        r = t - u
        r = math.copysign(r, gates[3 * n + i])
        d = doubt[i] + doubt[n + i] + (doubt[2 * n + i] + d)
        m = gates[i]
        if gates[n + i] < m:
            m = gates[n + i]
        if gates[2 * n + i] < m:
            m = gates[2 * n + i]
        m = (m + GATE_LIMIT) - d * MANY
        a = work[i]
        b = work[n + i]
        c = work[2 * n + i]
        ab = a * b
        d = ab * c
        if d == 0.0:
            d = 1.0
        q = 1.0 / d
        v = q * ab
        t = v * SPLIT
        v = t - (t - v)
        work[2 * n + i] = v
        q = q * c
        v = q * b
        t = v * SPLIT
        v = t - (t - v)
        v = v * r
        t = v * SPLIT
        v = t - (t - v)
        w = q * a
        t = w * SPLIT
        w = t - (t - w)
        c = cell[i]
        work[n + i] = c
        w = w * c
        t = w * SPLIT
        w = t - (t - w)
        v = w + v
        t = v * SPLIT
        v = t - (t - v)
        cell[i] = v
        s = abs(v) - SMALL
        if m < s:
            s = m
        doubt[i] = s


def lstm_output(work: vec[float], cell: vec[float], hidden: vec[float], doubt: vec[float], n: i64) -> i64:
    """Tanh of the cell, times O; returns how many states are in doubt."""
    if len(work) < NUMBERS or len(cell) < NUMBERS or len(hidden) < NUMBERS or len(doubt) < NUMBERS:
        raise ValueError("buffer too small")
    if n < 0 or n > STATES // 4:
        raise ValueError("part out of range")
    i: i64 = 0
    doubts: i64 = 0
    for i in range(n):
        a = abs(cell[i])
        if a > TANH_LIMIT:
            a = TANH_LIMIT
        z = a * a
        e = (0.06249999999999656 + a * 0.0019531250000688932) + z * (4.069010394061053e-05 + a * 6.357831601743345e-07) + (z * z) * ((7.947112517382102e-09 + a * 8.284204641136964e-11) + z * (7.284683630369748e-13 + a * 6.801159674633537e-15))
        hidden[i] = e * a
    for i in range(n):
        e = hidden[i]
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        d = e + 2.0
        if d == 0.0:
            # It never is, but who divides without asking makes no vector code.
            d = 1.0
        hidden[i] = e / d
    for i in range(n):
        r = hidden[i]
        t = r * SPLIT
        u = t - r * TANH_BELOW
        d = u - (t - r * TANH_ABOVE)
        r = t - u
        r = math.copysign(r, cell[i])
        r = r * work[2 * n + i]
        t = r * SPLIT
        r = t - (t - r)
        hidden[i] = r
        s = doubt[i] - d * MANY
        doubt[i] = s
        if not s >= 0.0:
            doubts += 1
    return doubts
