"""Products of a vector of codes with rows of weights so short that their length is worth a constant.

Written by fastpath/kernels/write_source.py; change it there.

Half of the work is to add up the lanes of the sums, and that is quicker on vectors of 256 bits than of 512.
"""

# fmt: off
# ruff: noqa
from librt.vecs import vec
from mypy_extensions import i32, i64, u8

from fastpath.kernels.source.capacity import ACCUMULATORS, BLOCK, PATCH, STATES


def dot_64(x: vec[u8], a: i64, w: vec[u8], first: i64, rows: i64, acc: vec[i32], out: i64) -> None:
    """acc[out + row] = sum of (x[a + i] - 128) * w[first + 64 * row + i], for rows in groups of 8."""
    if len(x) < PATCH + 64 or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS or a < 0 or a > 64:
        raise ValueError("buffer too small")
    if rows < 0 or rows > STATES or out < 0:
        raise ValueError("layer too large")
    i: i64 = 0
    row: i64 = 0
    b = first
    while row < rows:
        o = out + row
        if b < 0 or b > BLOCK or o < 0 or o > ACCUMULATORS - 8:
            raise ValueError("weights out of range")
        s0: i32 = 0
        s1: i32 = 0
        s2: i32 = 0
        s3: i32 = 0
        s4: i32 = 0
        s5: i32 = 0
        s6: i32 = 0
        s7: i32 = 0
        for i in range(i64(64)):
            v = i32(x[a + i]) - 128
            s0 += i32(w[b + 0 + i]) * v
            s1 += i32(w[b + 64 + i]) * v
            s2 += i32(w[b + 128 + i]) * v
            s3 += i32(w[b + 192 + i]) * v
            s4 += i32(w[b + 256 + i]) * v
            s5 += i32(w[b + 320 + i]) * v
            s6 += i32(w[b + 384 + i]) * v
            s7 += i32(w[b + 448 + i]) * v
        acc[o + 0] = s0
        acc[o + 1] = s1
        acc[o + 2] = s2
        acc[o + 3] = s3
        acc[o + 4] = s4
        acc[o + 5] = s5
        acc[o + 6] = s6
        acc[o + 7] = s7
        b += 512
        row += 8


def dot_128(x: vec[u8], a: i64, w: vec[u8], first: i64, rows: i64, acc: vec[i32], out: i64) -> None:
    """acc[out + row] = sum of (x[a + i] - 128) * w[first + 128 * row + i], for rows in groups of 8."""
    if len(x) < PATCH + 64 or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS or a < 0 or a > 64:
        raise ValueError("buffer too small")
    if rows < 0 or rows > STATES or out < 0:
        raise ValueError("layer too large")
    i: i64 = 0
    row: i64 = 0
    b = first
    while row < rows:
        o = out + row
        if b < 0 or b > BLOCK or o < 0 or o > ACCUMULATORS - 8:
            raise ValueError("weights out of range")
        s0: i32 = 0
        s1: i32 = 0
        s2: i32 = 0
        s3: i32 = 0
        s4: i32 = 0
        s5: i32 = 0
        s6: i32 = 0
        s7: i32 = 0
        for i in range(i64(128)):
            v = i32(x[a + i]) - 128
            s0 += i32(w[b + 0 + i]) * v
            s1 += i32(w[b + 128 + i]) * v
            s2 += i32(w[b + 256 + i]) * v
            s3 += i32(w[b + 384 + i]) * v
            s4 += i32(w[b + 512 + i]) * v
            s5 += i32(w[b + 640 + i]) * v
            s6 += i32(w[b + 768 + i]) * v
            s7 += i32(w[b + 896 + i]) * v
        acc[o + 0] = s0
        acc[o + 1] = s1
        acc[o + 2] = s2
        acc[o + 3] = s3
        acc[o + 4] = s4
        acc[o + 5] = s5
        acc[o + 6] = s6
        acc[o + 7] = s7
        b += 1024
        row += 8
