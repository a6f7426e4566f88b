"""Planes of codes to pixels, several channels at a time.

Written by fastpath/kernels/write_source.py; change it there.
"""

# fmt: off
# ruff: noqa
from librt.vecs import vec
from mypy_extensions import i64, u8

from fastpath.kernels.source.capacity import CHANNELS, FEATURES, LAST_PIXEL, PATCH


def spread_8(
    planes: vec[u8], a0: i64, plane: i64, n: i64, zero: u8, out: vec[u8], b: i64, step: i64
) -> None:
    """Write n codes of 8 planes, `plane` bytes apart, into pixels `step` bytes apart."""
    if len(planes) < FEATURES or len(out) < FEATURES or n < 0 or n > PATCH or step < 0 or step > CHANNELS:
        raise ValueError("buffer too small")
    a1 = a0 + plane
    a2 = a1 + plane
    a3 = a2 + plane
    a4 = a3 + plane
    a5 = a4 + plane
    a6 = a5 + plane
    a7 = a6 + plane
    if a0 < 0 or a0 > FEATURES - PATCH or a1 < 0 or a1 > FEATURES - PATCH or a2 < 0 or a2 > FEATURES - PATCH or a3 < 0 or a3 > FEATURES - PATCH or a4 < 0 or a4 > FEATURES - PATCH or a5 < 0 or a5 > FEATURES - PATCH or a6 < 0 or a6 > FEATURES - PATCH or a7 < 0 or a7 > FEATURES - PATCH:
        raise ValueError("plane out of range")
    x: i64 = 0
    for x in range(n):
        if b < 0 or b > LAST_PIXEL:
            raise ValueError("pixel out of range")
        c0 = planes[a0 + x]
        c1 = planes[a1 + x]
        c2 = planes[a2 + x]
        c3 = planes[a3 + x]
        c4 = planes[a4 + x]
        c5 = planes[a5 + x]
        c6 = planes[a6 + x]
        c7 = planes[a7 + x]
        out[b + 0] = c0 ^ zero
        out[b + 1] = c1 ^ zero
        out[b + 2] = c2 ^ zero
        out[b + 3] = c3 ^ zero
        out[b + 4] = c4 ^ zero
        out[b + 5] = c5 ^ zero
        out[b + 6] = c6 ^ zero
        out[b + 7] = c7 ^ zero
        b += step


def spread_1(
    planes: vec[u8], a0: i64, plane: i64, n: i64, zero: u8, out: vec[u8], b: i64, step: i64
) -> None:
    """Write n codes of 1 planes, `plane` bytes apart, into pixels `step` bytes apart."""
    if len(planes) < FEATURES or len(out) < FEATURES or n < 0 or n > PATCH or step < 0 or step > CHANNELS:
        raise ValueError("buffer too small")
    if a0 < 0 or a0 > FEATURES - PATCH:
        raise ValueError("plane out of range")
    x: i64 = 0
    for x in range(n):
        if b < 0 or b > LAST_PIXEL:
            raise ValueError("pixel out of range")
        c0 = planes[a0 + x]
        out[b + 0] = c0 ^ zero
        b += step
