"""LRN across channels: each number times a power of a bias plus the squares around it.

Floats are binary64 here, and what binary32 rounds is rounded to 24 bits by Veltkamp's method, `t = x * SPLIT;
x = t - (t - x)`. Squares and sums below binary32's normal numbers get more bits than they have there, but they are too
small to change a base.

The power of a base: from the highest limit down, a base that is not below it is divided by what the limit is times the
bias, and its power multiplied by the power of that. What is left is at least the bias and less than the lowest limit,
2**(1/16) times the bias, so it is less than U = 0.02166 of the middle of these two away from it. There the power is a
binomial series. For exponents from -1 to 0 no coefficient exceeds 1, so the terms past the ninth are less than
U**9 / (1 - U) < 2**-49.7 of the power of the middle, which is less than 1 + U times the power sought. Of the roundings
of 53 bits 32 belong to the eight limits, and 8 bound those of the series: 2**-47.6 together. So a power is off by less
than 2**-47 of itself. It is taken that much smaller and about as much larger: where both round to the same 24 bits, so
does the C library's result, which is asked for where they do not.

All numbers lie in one vec `w`; functions are told their places in it.
"""

import math
from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from fastpath.kernels.source.capacity import NUMBERS
from fastpath.kernels.source.functions import SPLIT

PART: Final = 1024
"""Numbers that all steps handle before the next ones, so that they stay in the nearest cache."""

ROOM: Final = 65536
"""Numbers in the vec, at least: `NUMBERS` of the blob, their squares, as many results, and some times `PART`."""

RESULTS: Final = 32768
"""Where results begin, counted from the numbers of the blob."""

LAST: Final = ROOM - PART
"""Where a part may begin."""

TERMS: Final = 9
"""Terms of the series."""

LIMITS: Final = 8
"""Limit k is 2**(2**k / 16) times the bias."""

BELOW: Final = 0.9999999999999929
"""1 - 2**-47: the powers that `Law` holds for bases below the limits are smaller by so much."""

ABOVE: Final = 1.0000000000000142
"""1 + 2**-46: makes a power that is 2**-47 too small as much too large."""


@final
class Law:
    """What a layer computes: y = x * (bias + factor * S)**exponent, S the sum of `taps` squares, the middle one x's.

    `middle` is what the series is about, and `series` holds its coefficients, of powers of the distance to `middle`.
    The power that is left to it is worth `start`. Where a base is not below limit k, it is multiplied by `shrinks[k]`,
    and the power by `grows[k]`. From `last` on bases have no power here.
    """

    def __init__(
        self,
        taps: i64,
        factor: float,
        bias: float,
        exponent: float,
        middle: float,
        series: vec[float],
        limits: vec[float],
        shrinks: vec[float],
        grows: vec[float],
        start: float,
        last: float,
    ) -> None:
        self.taps: i64 = taps
        self.factor: float = factor
        self.bias: float = bias
        self.exponent: float = exponent
        self.middle: float = middle
        self.series: vec[float] = series
        self.limits: vec[float] = limits
        self.shrinks: vec[float] = shrinks
        self.grows: vec[float] = grows
        self.start: float = start
        self.last: float = last


def square(w: vec[float], a: i64, n: i64, b: i64) -> None:
    """The squares of n numbers."""
    if len(w) < ROOM or n < 0 or n > NUMBERS or a < 0 or a > ROOM - NUMBERS or b < 0 or b > ROOM - NUMBERS:
        raise ValueError("numbers out of range")
    i: i64 = 0
    for i in range(n):
        v = w[a + i] * w[a + i]
        t = v * SPLIT
        w[b + i] = t - (t - v)


def sum_of_5(w: vec[float], a: i64, distance: i64, n: i64, b: i64) -> None:
    """N sums of five numbers that are `distance` apart."""
    if len(w) < ROOM or n < 0 or n > PART or b < 0 or b > LAST or a < 0 or a > LAST:
        raise ValueError("numbers out of range")
    a1 = a + distance
    a2 = a1 + distance
    a3 = a2 + distance
    a4 = a3 + distance
    if a1 < 0 or a1 > LAST or a2 < 0 or a2 > LAST or a3 < 0 or a3 > LAST or a4 < 0 or a4 > LAST:
        raise ValueError("numbers out of range")
    i: i64 = 0
    for i in range(n):
        v = w[a + i] + w[a1 + i]
        t = v * SPLIT
        v = t - (t - v)
        v = v + w[a2 + i]
        t = v * SPLIT
        v = t - (t - v)
        v = v + w[a3 + i]
        t = v * SPLIT
        v = t - (t - v)
        v = v + w[a4 + i]
        t = v * SPLIT
        w[b + i] = t - (t - v)


def copy(w: vec[float], a: i64, n: i64, b: i64) -> None:
    """Copy n numbers."""
    if len(w) < ROOM or n < 0 or n > PART or a < 0 or a > LAST or b < 0 or b > LAST:
        raise ValueError("numbers out of range")
    i: i64 = 0
    for i in range(n):
        w[b + i] = w[a + i]


def fill(w: vec[float], a: i64, n: i64, value: float) -> None:
    """Let n numbers be the same."""
    if len(w) < ROOM or n < 0 or n > PART or a < 0 or a > LAST:
        raise ValueError("numbers out of range")
    i: i64 = 0
    for i in range(n):
        w[a + i] = value


def add(w: vec[float], a: i64, n: i64, b: i64) -> None:
    """Add a number to each of n sums."""
    if len(w) < ROOM or n < 0 or n > PART or a < 0 or a > LAST or b < 0 or b > LAST:
        raise ValueError("numbers out of range")
    i: i64 = 0
    for i in range(n):
        v = w[b + i] + w[a + i]
        t = v * SPLIT
        w[b + i] = t - (t - v)


def find_bases(w: vec[float], b: i64, n: i64, factor: float, bias: float, limit: float) -> i64:
    """Make bases of n sums; returns how many are not below a limit."""
    if len(w) < ROOM or n < 0 or n > PART or b < 0 or b > LAST:
        raise ValueError("numbers out of range")
    i: i64 = 0
    count: i64 = 0
    for i in range(n):
        v = w[b + i] * factor
        t = v * SPLIT
        v = t - (t - v)
        v = bias + v
        t = v * SPLIT
        v = t - (t - v)
        w[b + i] = v
        if not v < limit:
            count += 1
    return count


def beyond(w: vec[float], a: i64, n: i64, limit: float) -> i64:
    """How many of n numbers are not below a limit."""
    if len(w) < ROOM or n < 0 or n > PART or a < 0 or a > LAST:
        raise ValueError("numbers out of range")
    i: i64 = 0
    count: i64 = 0
    for i in range(n):
        if not w[a + i] < limit:
            count += 1
    return count


def shrink(w: vec[float], bases: i64, n: i64, law: Law, rests: i64, powers: i64) -> None:
    """What the limits leave of n bases, and by how much their powers grow."""
    if len(w) < ROOM or n < 0 or n > PART or bases < 0 or bases > LAST:
        raise ValueError("numbers out of range")
    if rests < 0 or rests > LAST or powers < 0 or powers > LAST:
        raise ValueError("numbers out of range")
    limits, shrinks, grows, start = law.limits, law.shrinks, law.grows, law.start
    if len(limits) < LIMITS or len(shrinks) < LIMITS or len(grows) < LIMITS:
        raise ValueError("too few limits")
    l0, l1, l2, l3, l4, l5, l6, l7 = (
        limits[0], limits[1], limits[2], limits[3], limits[4], limits[5], limits[6], limits[7],
    )  # fmt: skip
    s0, s1, s2, s3, s4, s5, s6, s7 = (
        shrinks[0], shrinks[1], shrinks[2], shrinks[3], shrinks[4], shrinks[5], shrinks[6], shrinks[7],
    )  # fmt: skip
    g0, g1, g2, g3, g4, g5, g6, g7 = (
        grows[0], grows[1], grows[2], grows[3], grows[4], grows[5], grows[6], grows[7],
    )  # fmt: skip
    i: i64 = 0
    for i in range(n):
        v = w[bases + i]
        p = start
        if v >= l7:
            v = v * s7
            p = p * g7
        if v >= l6:
            v = v * s6
            p = p * g6
        if v >= l5:
            v = v * s5
            p = p * g5
        if v >= l4:
            v = v * s4
            p = p * g4
        if v >= l3:
            v = v * s3
            p = p * g3
        if v >= l2:
            v = v * s2
            p = p * g2
        if v >= l1:
            v = v * s1
            p = p * g1
        if v >= l0:
            v = v * s0
            p = p * g0
        w[rests + i] = v
        w[powers + i] = p


def power(w: vec[float], rests: i64, middle: float, series: vec[float], n: i64, powers: i64) -> None:
    """Multiply n powers by those of what the limits left."""
    if len(w) < ROOM or len(series) < TERMS or n < 0 or n > PART or rests < 0 or rests > LAST:
        raise ValueError("numbers out of range")
    if powers < 0 or powers > LAST:
        raise ValueError("numbers out of range")
    c0 = series[0]
    c1 = series[1]
    c2 = series[2]
    c3 = series[3]
    c4 = series[4]
    c5 = series[5]
    c6 = series[6]
    c7 = series[7]
    c8 = series[8]
    i: i64 = 0
    for i in range(n):
        u = w[rests + i] - middle
        uu = u * u
        p = (c0 + uu * (c2 + uu * (c4 + uu * (c6 + uu * c8)))) + u * (c1 + uu * (c3 + uu * (c5 + uu * c7)))
        w[powers + i] = w[powers + i] * p


def multiply(w: vec[float], a: i64, powers: i64, n: i64, out: i64, doubt: i64) -> i64:
    """N numbers times their powers; returns how many powers are in doubt."""
    if len(w) < ROOM or n < 0 or n > PART or a < 0 or a > LAST or powers < 0 or powers > LAST:
        raise ValueError("numbers out of range")
    if out < 0 or out > LAST or doubt < 0 or doubt > LAST:
        raise ValueError("numbers out of range")
    i: i64 = 0
    doubts: i64 = 0
    for i in range(n):
        p = w[powers + i]
        high = p * ABOVE
        t = p * SPLIT
        p = t - (t - p)
        t = high * SPLIT
        high = t - (t - high)
        w[out + i] = w[a + i] * p
        d = high - p
        w[doubt + i] = d
        if d != 0.0:
            doubts += 1
    return doubts


def settle(w: vec[float], a: i64, bases: i64, exponent: float, n: i64, out: i64, doubt: i64) -> None:
    """Compute again what `multiply` left in doubt."""
    i: i64 = 0
    for i in range(n):
        if w[doubt + i] != 0.0:
            p = math.pow(w[bases + i], exponent)
            t = p * SPLIT
            w[out + i] = w[a + i] * (t - (t - p))


def normalize(w: vec[float], x: i64, n: i64, distance: i64, law: Law) -> bool:
    """LRN of n numbers: sum i is that of the squares of the numbers i, i + distance and so on of those at x.

    The products of numbers and powers stand `RESULTS` behind x, not rounded yet. False where a base is too large.
    """
    span = (law.taps - 1) * distance
    if x < 0 or x > PART or n < 0 or law.taps < 1 or distance < 1 or span < 0 or n + span > NUMBERS:
        raise ValueError("more numbers than there is room for")
    squares = x + NUMBERS
    bases = x + RESULTS + NUMBERS
    rests = bases + PART
    powers = rests + PART
    doubt = powers + PART
    limit = law.limits[0]
    square(w, x, n + span, squares)
    first: i64 = 0
    while first < n:
        count = n - first
        if count > PART:
            count = PART
        if law.taps == 5:
            sum_of_5(w, squares + first, distance, count, bases)
        else:
            copy(w, squares + first, count, bases)
            tap: i64 = 1
            while tap < law.taps:
                add(w, squares + first + tap * distance, count, bases)
                tap += 1
        if find_bases(w, bases, count, law.factor, law.bias, limit) == 0:
            fill(w, powers, count, law.start)
            power(w, bases, law.middle, law.series, count, powers)
        elif beyond(w, bases, count, law.last) == 0:
            shrink(w, bases, count, law, rests, powers)
            power(w, rests, law.middle, law.series, count, powers)
        else:
            return False
        centre, out = x + span // 2 + first, x + RESULTS + first
        if multiply(w, centre, powers, count, out, doubt) > 0:
            settle(w, centre, bases, law.exponent, count, out, doubt)
        first += PART
    return True
