"""The sums of a cosine, in binary32, for many int8 outputs side by side.

Floats are binary64 here. Rounding to 24 bits is Veltkamp's method, `t = x * SPLIT; x = t - (t - x)`; for a product of
two numbers of 24 bits also `a * (b * SPLIT) - a * (b * SHIFT)`, which rounds the same sum at the same place: numbers of
24 bits times `SPLIT` are exact, and so is a product of 48 bits times a power of two.
"""

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from fastpath.kernels.source.chains import LANES
from fastpath.kernels.source.functions import SPLIT
from fastpath.kernels.source.taps import IMAGES, RUN_SLACK

SHIFT: Final = 536870912.0
"""2**29"""

REFERENCES: Final = 262144
"""Numbers of a float output; `LANES` more are allocated."""

DESCALES: Final = 262144
"""Descale factors, 2 * `LANES` for each output."""

TOTALS: Final = 32768
"""Sums of all candidates: `LANES` of y * y and `LANES` of x * y for each."""


def compare_scales(
    sums: vec[float],
    start: i64,
    pixels: i64,
    blocks: i64,
    excess: float,
    descales: vec[float],
    descale: i64,
    bias: float,
    low: float,
    high: float,
    clips: bool,
    x: vec[float],
    place: i64,
    totals: vec[float],
    total: i64,
) -> None:
    """Add the terms of some pixels to the sums of y * y and x * y, for 8 * blocks scales side by side.

    `sums` are (pixels, scales) from `start` on. The factors begin at `descales[descale]`, times `SPLIT`, and again
    `LANES` behind it, times `SHIFT`. y is f32(f32((sum - excess) * factor) + bias), with `clips` held between `low` and
    `high`; x is one number a pixel. The sums of y * y begin at `totals[total]`, those of x * y `LANES` behind them.
    """
    if len(sums) < IMAGES + RUN_SLACK or len(x) < REFERENCES or len(totals) < TOTALS or len(descales) < DESCALES:
        raise ValueError("buffer too small")
    if blocks < 0 or blocks > LANES >> 3 or pixels < 0 or place < 0 or place + pixels > REFERENCES:
        raise ValueError("too many scales or pixels")
    if total < 0 or total > TOTALS - 2 * LANES or descale < 0 or descale > DESCALES - 2 * LANES:
        raise ValueError("place out of range")
    p: i64 = 0
    i: i64 = 0
    a = start
    for p in range(pixels):
        if a < 0 or a > IMAGES:
            raise ValueError("sums out of range")
        x_split = x[place + p] * SPLIT
        x_shift = x[place + p] * SHIFT
        for i in range(blocks << 3):
            s = sums[a + i] - excess
            y = s * descales[descale + i] - s * descales[descale + LANES + i] + bias
            t = y * SPLIT
            y = t - (t - y)
            if clips:
                if y < low:
                    y = low
                if y > high:
                    y = high
            s = y * y
            t = s * SPLIT
            s = t - (t - s) + totals[total + i]
            t = s * SPLIT
            totals[total + i] = t - (t - s)
            s = y * x_split - y * x_shift + totals[total + LANES + i]
            t = s * SPLIT
            totals[total + LANES + i] = t - (t - s)
        a += blocks << 3


def compare_samples(
    sums: vec[float],
    start: i64,
    pixels: i64,
    blocks: i64,
    descale: float,
    bias: float,
    low: float,
    high: float,
    clips: bool,
    x: vec[float],
    place: i64,
    totals: vec[float],
    total: i64,
) -> None:
    """The same for one scale and 8 * blocks samples side by side; x, too, is (pixels, samples)."""
    if len(sums) < IMAGES + RUN_SLACK or len(x) < REFERENCES + LANES or len(totals) < TOTALS:
        raise ValueError("buffer too small")
    if blocks < 0 or blocks > LANES >> 3 or total < 0 or total > TOTALS - 2 * LANES:
        raise ValueError("too many samples")
    _p: i64 = 0
    i: i64 = 0
    a = start
    b = place
    d_split = descale * SPLIT
    d_shift = descale * SHIFT
    for _p in range(pixels):
        if a < 0 or a > IMAGES or b < 0 or b > REFERENCES:
            raise ValueError("pixels out of range")
        for i in range(blocks << 3):
            s = sums[a + i]
            y = s * d_split - s * d_shift + bias
            t = y * SPLIT
            y = t - (t - y)
            if clips:
                if y < low:
                    y = low
                if y > high:
                    y = high
            s = y * y
            t = s * SPLIT
            s = t - (t - s) + totals[total + i]
            t = s * SPLIT
            totals[total + i] = t - (t - s)
            s = y * x[b + i]
            t = s * SPLIT
            s = t - (t - s) + totals[total + LANES + i]
            t = s * SPLIT
            totals[total + LANES + i] = t - (t - s)
        a += blocks << 3
        b += blocks << 3
