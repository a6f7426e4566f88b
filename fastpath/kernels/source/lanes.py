"""Products of short patches: lanes are output channels, and sums of a few products stay in 16 bits.

Written by fastpath/kernels/write_source.py; change it there.

Where a patch has 32 values or fewer, adding up the lanes of a dot product takes longer than the product. Here no lane
is ever added to another. Codes 0 to 127 less 64 are at most 64 in magnitude, so four products with weights from -127 to
127 fit 16 bits; what 64 times the weights makes is put back where the sums are requantized. Of signed codes two
products fit.
"""

# fmt: off
# ruff: noqa
from librt.vecs import vec
from mypy_extensions import i16, i32, i64, u8

from fastpath.kernels.source.capacity import ACCUMULATORS, BLOCK, CHANNELS, FEATURES, POINTS


def lanes_16(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    w: vec[i16],
    first: i64,
    channels: i64,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
) -> None:
    """acc[start + pixel * pixel_step + channel] for patches of 16 codes from 0 to 127, less 64."""
    if len(x) < FEATURES or len(w) < BLOCK or len(acc) < ACCUMULATORS or len(points) < POINTS:
        raise ValueError("buffer too small")
    if channels < 32 or channels > CHANNELS or pixels > POINTS:
        raise ValueError("layer too large")
    end = first + (channels >> 5) * 512
    j: i64 = 0
    p: i64 = 0
    out = start
    for p in range(pixels):
        a = points[p]
        if a < 0 or a > FEATURES - 16:
            raise ValueError("patch out of range")
        x0 = i16(x[a + 0]) - 64
        x1 = i16(x[a + 1]) - 64
        x2 = i16(x[a + 2]) - 64
        x3 = i16(x[a + 3]) - 64
        x4 = i16(x[a + 4]) - 64
        x5 = i16(x[a + 5]) - 64
        x6 = i16(x[a + 6]) - 64
        x7 = i16(x[a + 7]) - 64
        x8 = i16(x[a + 8]) - 64
        x9 = i16(x[a + 9]) - 64
        x10 = i16(x[a + 10]) - 64
        x11 = i16(x[a + 11]) - 64
        x12 = i16(x[a + 12]) - 64
        x13 = i16(x[a + 13]) - 64
        x14 = i16(x[a + 14]) - 64
        x15 = i16(x[a + 15]) - 64
        b = first
        r = out
        while True:
            if b < 0 or b > BLOCK - 512 or r < 0 or r > ACCUMULATORS - 32:
                raise ValueError("sums out of range")
            for j in range(i64(32)):
                t0 = x0 * w[b + 0 + j] + x1 * w[b + 32 + j] + x2 * w[b + 64 + j] + x3 * w[b + 96 + j]
                t1 = x4 * w[b + 128 + j] + x5 * w[b + 160 + j] + x6 * w[b + 192 + j] + x7 * w[b + 224 + j]
                t2 = x8 * w[b + 256 + j] + x9 * w[b + 288 + j] + x10 * w[b + 320 + j] + x11 * w[b + 352 + j]
                t3 = x12 * w[b + 384 + j] + x13 * w[b + 416 + j] + x14 * w[b + 448 + j] + x15 * w[b + 480 + j]
                acc[r + j] = i32(t0) + i32(t1) + i32(t2) + i32(t3)
            b += 512
            r += 32
            if b >= end:
                break
        out += pixel_step


def lanes_32(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    w: vec[i16],
    first: i64,
    channels: i64,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
) -> None:
    """acc[start + pixel * pixel_step + channel] for patches of 32 codes from 0 to 127, less 64."""
    if len(x) < FEATURES or len(w) < BLOCK or len(acc) < ACCUMULATORS or len(points) < POINTS:
        raise ValueError("buffer too small")
    if channels < 32 or channels > CHANNELS or pixels > POINTS:
        raise ValueError("layer too large")
    end = first + (channels >> 5) * 1024
    j: i64 = 0
    p: i64 = 0
    out = start
    for p in range(pixels):
        a = points[p]
        if a < 0 or a > FEATURES - 32:
            raise ValueError("patch out of range")
        x0 = i16(x[a + 0]) - 64
        x1 = i16(x[a + 1]) - 64
        x2 = i16(x[a + 2]) - 64
        x3 = i16(x[a + 3]) - 64
        x4 = i16(x[a + 4]) - 64
        x5 = i16(x[a + 5]) - 64
        x6 = i16(x[a + 6]) - 64
        x7 = i16(x[a + 7]) - 64
        x8 = i16(x[a + 8]) - 64
        x9 = i16(x[a + 9]) - 64
        x10 = i16(x[a + 10]) - 64
        x11 = i16(x[a + 11]) - 64
        x12 = i16(x[a + 12]) - 64
        x13 = i16(x[a + 13]) - 64
        x14 = i16(x[a + 14]) - 64
        x15 = i16(x[a + 15]) - 64
        x16 = i16(x[a + 16]) - 64
        x17 = i16(x[a + 17]) - 64
        x18 = i16(x[a + 18]) - 64
        x19 = i16(x[a + 19]) - 64
        x20 = i16(x[a + 20]) - 64
        x21 = i16(x[a + 21]) - 64
        x22 = i16(x[a + 22]) - 64
        x23 = i16(x[a + 23]) - 64
        x24 = i16(x[a + 24]) - 64
        x25 = i16(x[a + 25]) - 64
        x26 = i16(x[a + 26]) - 64
        x27 = i16(x[a + 27]) - 64
        x28 = i16(x[a + 28]) - 64
        x29 = i16(x[a + 29]) - 64
        x30 = i16(x[a + 30]) - 64
        x31 = i16(x[a + 31]) - 64
        b = first
        r = out
        while True:
            if b < 0 or b > BLOCK - 1024 or r < 0 or r > ACCUMULATORS - 32:
                raise ValueError("sums out of range")
            for j in range(i64(32)):
                t0 = x0 * w[b + 0 + j] + x1 * w[b + 32 + j] + x2 * w[b + 64 + j] + x3 * w[b + 96 + j]
                t1 = x4 * w[b + 128 + j] + x5 * w[b + 160 + j] + x6 * w[b + 192 + j] + x7 * w[b + 224 + j]
                t2 = x8 * w[b + 256 + j] + x9 * w[b + 288 + j] + x10 * w[b + 320 + j] + x11 * w[b + 352 + j]
                t3 = x12 * w[b + 384 + j] + x13 * w[b + 416 + j] + x14 * w[b + 448 + j] + x15 * w[b + 480 + j]
                t4 = x16 * w[b + 512 + j] + x17 * w[b + 544 + j] + x18 * w[b + 576 + j] + x19 * w[b + 608 + j]
                t5 = x20 * w[b + 640 + j] + x21 * w[b + 672 + j] + x22 * w[b + 704 + j] + x23 * w[b + 736 + j]
                t6 = x24 * w[b + 768 + j] + x25 * w[b + 800 + j] + x26 * w[b + 832 + j] + x27 * w[b + 864 + j]
                t7 = x28 * w[b + 896 + j] + x29 * w[b + 928 + j] + x30 * w[b + 960 + j] + x31 * w[b + 992 + j]
                acc[r + j] = i32(t0) + i32(t1) + i32(t2) + i32(t3) + i32(t4) + i32(t5) + i32(t6) + i32(t7)
            b += 1024
            r += 32
            if b >= end:
                break
        out += pixel_step


def pairs_28(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    w: vec[i16],
    first: i64,
    channels: i64,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
) -> None:
    """acc[start + pixel * pixel_step + channel] for patches of 28 signed codes, zero point 128."""
    if len(x) < FEATURES or len(w) < BLOCK or len(acc) < ACCUMULATORS or len(points) < POINTS:
        raise ValueError("buffer too small")
    if channels < 32 or channels > CHANNELS or pixels > POINTS:
        raise ValueError("layer too large")
    end = first + (channels >> 5) * 896
    j: i64 = 0
    p: i64 = 0
    out = start
    for p in range(pixels):
        a = points[p]
        if a < 0 or a > FEATURES - 28:
            raise ValueError("patch out of range")
        x0 = i16(x[a + 0]) - 128
        x1 = i16(x[a + 1]) - 128
        x2 = i16(x[a + 2]) - 128
        x3 = i16(x[a + 3]) - 128
        x4 = i16(x[a + 4]) - 128
        x5 = i16(x[a + 5]) - 128
        x6 = i16(x[a + 6]) - 128
        x7 = i16(x[a + 7]) - 128
        x8 = i16(x[a + 8]) - 128
        x9 = i16(x[a + 9]) - 128
        x10 = i16(x[a + 10]) - 128
        x11 = i16(x[a + 11]) - 128
        x12 = i16(x[a + 12]) - 128
        x13 = i16(x[a + 13]) - 128
        x14 = i16(x[a + 14]) - 128
        x15 = i16(x[a + 15]) - 128
        x16 = i16(x[a + 16]) - 128
        x17 = i16(x[a + 17]) - 128
        x18 = i16(x[a + 18]) - 128
        x19 = i16(x[a + 19]) - 128
        x20 = i16(x[a + 20]) - 128
        x21 = i16(x[a + 21]) - 128
        x22 = i16(x[a + 22]) - 128
        x23 = i16(x[a + 23]) - 128
        x24 = i16(x[a + 24]) - 128
        x25 = i16(x[a + 25]) - 128
        x26 = i16(x[a + 26]) - 128
        x27 = i16(x[a + 27]) - 128
        b = first
        r = out
        while True:
            if b < 0 or b > BLOCK - 896 or r < 0 or r > ACCUMULATORS - 32:
                raise ValueError("sums out of range")
            for j in range(i64(32)):
                t0 = x0 * w[b + 0 + j] + x1 * w[b + 32 + j]
                t1 = x2 * w[b + 64 + j] + x3 * w[b + 96 + j]
                t2 = x4 * w[b + 128 + j] + x5 * w[b + 160 + j]
                t3 = x6 * w[b + 192 + j] + x7 * w[b + 224 + j]
                t4 = x8 * w[b + 256 + j] + x9 * w[b + 288 + j]
                t5 = x10 * w[b + 320 + j] + x11 * w[b + 352 + j]
                t6 = x12 * w[b + 384 + j] + x13 * w[b + 416 + j]
                t7 = x14 * w[b + 448 + j] + x15 * w[b + 480 + j]
                t8 = x16 * w[b + 512 + j] + x17 * w[b + 544 + j]
                t9 = x18 * w[b + 576 + j] + x19 * w[b + 608 + j]
                t10 = x20 * w[b + 640 + j] + x21 * w[b + 672 + j]
                t11 = x22 * w[b + 704 + j] + x23 * w[b + 736 + j]
                t12 = x24 * w[b + 768 + j] + x25 * w[b + 800 + j]
                t13 = x26 * w[b + 832 + j] + x27 * w[b + 864 + j]
                low = t0 + t1 + t2 + t3 + t4 + t5 + t6 + t7 + t8 + t9 + t10 + t11 + t12 + t13
                high = (t0 >> 8) + (t1 >> 8) + (t2 >> 8) + (t3 >> 8) + (t4 >> 8) + (t5 >> 8) + (t6 >> 8) + (t7 >> 8) + (t8 >> 8) + (t9 >> 8) + (t10 >> 8) + (t11 >> 8) + (t12 >> 8) + (t13 >> 8)
                rest = low - (high << 8)
                acc[r + j] = (i32(high) << 8) + i32(rest)
            b += 896
            r += 32
            if b >= end:
                break
        out += pixel_step
