"""From binary32 numbers, as the integers that their bit patterns are, to codes.

The patterns of numbers that are not negative have the order of the numbers. mypyc knows no binary32, but what the steps
before and after a multiplication do to a number, integers do as well.
"""

from typing import Final

from librt.vecs import vec
from mypy_extensions import i32, i64, u8

from fastpath.kernels.source.capacity import FEATURES, FLOATS, SLACK
from fastpath.kernels.source.records import Feature

MAGNITUDE: Final = 0x7FFFFFFF
"""All bits but the sign."""

LARGEST: Final = 0x42FE0000
"""127.0."""

FRACTION: Final = 0x7FFFFF
LEADING: Final = 0x800000
"""The bits of the significand that are stored, and the one before them that is not."""

HALVES: Final = 149
"""What an exponent falls short of this is how far the significand must be shifted to count halves."""


def rectify(bits: vec[i32], start: i64, n: i64) -> None:
    """Put 0 where numbers are negative, of n from `start` on."""
    if len(bits) < 2 * FLOATS or start < 0 or start > FLOATS or n < 0 or n > FLOATS:
        raise ValueError("part out of range")
    i: i64 = 0
    for i in range(n):
        v = bits[start + i]
        if v < 0:
            v = 0
        bits[start + i] = v


def run(bits: vec[i32], start: i64, n: i64, out: vec[u8], b: i64, sign: i32, zero: i32) -> None:
    """The n numbers from `start` on, rounded half away from zero and clamped to 127, as codes plus a zero point.

    `sign` multiplies the codes of negative numbers: -1, or 0 where there are none or they count as 0.
    """
    if len(bits) < 2 * FLOATS or start < 0 or start > FLOATS or n < 0 or n > SLACK:
        raise ValueError("part out of range")
    if len(out) < FEATURES + SLACK or b < 0 or b > FEATURES:
        raise ValueError("feature map too small")
    i: i64 = 0
    for i in range(n):
        v = bits[start + i]
        m = v & MAGNITUDE
        if m > LARGEST:
            m = LARGEST
        shift = HALVES - (m >> 23)
        if shift > 31:
            shift = 31
        code = ((((m & FRACTION) | LEADING) >> shift) + 1) >> 1
        if v < 0:
            code *= sign
        out[b + i] = u8((code + zero) & 255)


def rows(
    bits: vec[i32], start: i64, first: i64, end: i64, w: i64, channels: i64, out: Feature, sign: i32, zero: i32
) -> None:
    """Rows `first` to `end` of a feature map, from numbers that stand pixel after pixel from `start` on."""
    y: i64 = 0
    x: i64 = 0
    a = start
    for y in range(first, end):
        b = out.start + y * out.row
        if out.pixel == channels:
            n = w * channels
            for x in range(0, n, SLACK):
                run(bits, a + x, min(n - x, SLACK), out.data, b + x, sign, zero)
            a += n
        else:
            for x in range(w):
                run(bits, a, channels, out.data, b + x * out.pixel, sign, zero)
                a += channels
