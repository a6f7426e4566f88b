"""Dot products of patches with weight rows, in blocks of a few pixels by a few output channels.

Written by fastpath/kernels/write_source.py; change it there.

Patches are unsigned bytes: a code plus the zero point of its feature map. `bytes_*` take weights as unsigned bytes too,
128 plus the code: with both operands unsigned the C compiler finds the instruction that multiplies four pairs of bytes
and adds them to a 32-bit lane. `words_*` take weights as 16-bit codes, for CPUs without it.

All of them compute acc[start + pixel * pixel_step + channel] for `pixels` patches, which begin at x[points[0]],
x[points[1]] and so on, and `channels` rows of k weights, which begin at w[first]; `*_planes` compute
acc[start + pixel * pixel_step + channel * channel_step]. k is a multiple of 32, for bytes_4x4 of 64, so that vectors of
64 bytes leave no rest; pixels and channels are rounded up to whole blocks, so `points` and `acc` hold that many more.
"""

# fmt: off
# ruff: noqa
from librt.vecs import vec
from mypy_extensions import i16, i32, i64, u8

from fastpath.kernels.source.capacity import ACCUMULATORS, BLOCK, FEATURES, PATCH, POINTS


def bytes_4x4(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    w: vec[u8],
    first: i64,
    channels: i64,
    k: i64,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
) -> None:
    """Blocks of 4 pixels by 4 channels, channels side by side."""
    if len(x) < FEATURES or len(points) < POINTS or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or pixels > POINTS - 8 or pixel_step < 0 or pixel_step > ACCUMULATORS:
        raise ValueError("layer too large")
    vectors: i64 = k >> 6
    i: i64 = 0
    channel: i64 = 0
    b0 = first
    while channel < channels:
        b1 = b0 + k
        b2 = b1 + k
        b3 = b2 + k
        if b0 < 0 or b0 > BLOCK or b1 < 0 or b1 > BLOCK or b2 < 0 or b2 > BLOCK or b3 < 0 or b3 > BLOCK:
            raise ValueError("weights out of range")
        o0 = start + channel
        p: i64 = 0
        while p < pixels:
            a0 = points[p + 0]
            a1 = points[p + 1]
            a2 = points[p + 2]
            a3 = points[p + 3]
            if a0 < 0 or a0 > FEATURES - PATCH or a1 < 0 or a1 > FEATURES - PATCH or a2 < 0 or a2 > FEATURES - PATCH or a3 < 0 or a3 > FEATURES - PATCH:
                raise ValueError("patch out of range")
            o1 = o0 + pixel_step
            o2 = o1 + pixel_step
            o3 = o2 + pixel_step
            if o0 < 0 or o0 > ACCUMULATORS - 4 or o1 < 0 or o1 > ACCUMULATORS - 4 or o2 < 0 or o2 > ACCUMULATORS - 4 or o3 < 0 or o3 > ACCUMULATORS - 4:
                raise ValueError("sums out of range")
            s00: i32 = 0
            s01: i32 = 0
            s02: i32 = 0
            s03: i32 = 0
            s10: i32 = 0
            s11: i32 = 0
            s12: i32 = 0
            s13: i32 = 0
            s20: i32 = 0
            s21: i32 = 0
            s22: i32 = 0
            s23: i32 = 0
            s30: i32 = 0
            s31: i32 = 0
            s32: i32 = 0
            s33: i32 = 0
            for i in range(vectors << 6):
                x0 = i32(x[a0 + i])
                x1 = i32(x[a1 + i])
                x2 = i32(x[a2 + i])
                x3 = i32(x[a3 + i])
                y0 = i32(w[b0 + i]) - 128
                y1 = i32(w[b1 + i]) - 128
                y2 = i32(w[b2 + i]) - 128
                y3 = i32(w[b3 + i]) - 128
                s00 += x0 * y0
                s01 += x0 * y1
                s02 += x0 * y2
                s03 += x0 * y3
                s10 += x1 * y0
                s11 += x1 * y1
                s12 += x1 * y2
                s13 += x1 * y3
                s20 += x2 * y0
                s21 += x2 * y1
                s22 += x2 * y2
                s23 += x2 * y3
                s30 += x3 * y0
                s31 += x3 * y1
                s32 += x3 * y2
                s33 += x3 * y3
            acc[o0] = s00
            acc[o0 + 1] = s01
            acc[o0 + 2] = s02
            acc[o0 + 3] = s03
            acc[o1] = s10
            acc[o1 + 1] = s11
            acc[o1 + 2] = s12
            acc[o1 + 3] = s13
            acc[o2] = s20
            acc[o2 + 1] = s21
            acc[o2 + 2] = s22
            acc[o2 + 3] = s23
            acc[o3] = s30
            acc[o3 + 1] = s31
            acc[o3 + 2] = s32
            acc[o3 + 3] = s33
            o0 = o3 + pixel_step
            p += 4
        b0 = b3 + k
        channel += 4


def bytes_4x4_planes(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    w: vec[u8],
    first: i64,
    channels: i64,
    k: i64,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
    channel_step: i64,
) -> None:
    """Blocks of 4 pixels by 4 channels, channels `channel_step` apart."""
    if len(x) < FEATURES or len(points) < POINTS or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or pixels > POINTS - 8 or pixel_step < 0 or pixel_step > ACCUMULATORS:
        raise ValueError("layer too large")
    if channel_step < 0 or channel_step > ACCUMULATORS:
        raise ValueError("layer too large")
    vectors: i64 = k >> 5
    i: i64 = 0
    channel: i64 = 0
    b0 = first
    while channel < channels:
        b1 = b0 + k
        b2 = b1 + k
        b3 = b2 + k
        if b0 < 0 or b0 > BLOCK or b1 < 0 or b1 > BLOCK or b2 < 0 or b2 > BLOCK or b3 < 0 or b3 > BLOCK:
            raise ValueError("weights out of range")
        o0 = start + channel * channel_step
        p: i64 = 0
        while p < pixels:
            a0 = points[p + 0]
            a1 = points[p + 1]
            a2 = points[p + 2]
            a3 = points[p + 3]
            if a0 < 0 or a0 > FEATURES - PATCH or a1 < 0 or a1 > FEATURES - PATCH or a2 < 0 or a2 > FEATURES - PATCH or a3 < 0 or a3 > FEATURES - PATCH:
                raise ValueError("patch out of range")
            s00: i32 = 0
            s01: i32 = 0
            s02: i32 = 0
            s03: i32 = 0
            s10: i32 = 0
            s11: i32 = 0
            s12: i32 = 0
            s13: i32 = 0
            s20: i32 = 0
            s21: i32 = 0
            s22: i32 = 0
            s23: i32 = 0
            s30: i32 = 0
            s31: i32 = 0
            s32: i32 = 0
            s33: i32 = 0
            for i in range(vectors << 5):
                x0 = i32(x[a0 + i])
                x1 = i32(x[a1 + i])
                x2 = i32(x[a2 + i])
                x3 = i32(x[a3 + i])
                y0 = i32(w[b0 + i]) - 128
                y1 = i32(w[b1 + i]) - 128
                y2 = i32(w[b2 + i]) - 128
                y3 = i32(w[b3 + i]) - 128
                s00 += x0 * y0
                s01 += x0 * y1
                s02 += x0 * y2
                s03 += x0 * y3
                s10 += x1 * y0
                s11 += x1 * y1
                s12 += x1 * y2
                s13 += x1 * y3
                s20 += x2 * y0
                s21 += x2 * y1
                s22 += x2 * y2
                s23 += x2 * y3
                s30 += x3 * y0
                s31 += x3 * y1
                s32 += x3 * y2
                s33 += x3 * y3
            o1 = o0 + channel_step
            o2 = o1 + channel_step
            o3 = o2 + channel_step
            if o0 < 0 or o0 > ACCUMULATORS - 1 or o1 < 0 or o1 > ACCUMULATORS - 1 or o2 < 0 or o2 > ACCUMULATORS - 1 or o3 < 0 or o3 > ACCUMULATORS - 1:
                raise ValueError("sums out of range")
            acc[o0] = s00
            acc[o1] = s01
            acc[o2] = s02
            acc[o3] = s03
            o0 += pixel_step
            o1 = o0 + channel_step
            o2 = o1 + channel_step
            o3 = o2 + channel_step
            if o0 < 0 or o0 > ACCUMULATORS - 1 or o1 < 0 or o1 > ACCUMULATORS - 1 or o2 < 0 or o2 > ACCUMULATORS - 1 or o3 < 0 or o3 > ACCUMULATORS - 1:
                raise ValueError("sums out of range")
            acc[o0] = s10
            acc[o1] = s11
            acc[o2] = s12
            acc[o3] = s13
            o0 += pixel_step
            o1 = o0 + channel_step
            o2 = o1 + channel_step
            o3 = o2 + channel_step
            if o0 < 0 or o0 > ACCUMULATORS - 1 or o1 < 0 or o1 > ACCUMULATORS - 1 or o2 < 0 or o2 > ACCUMULATORS - 1 or o3 < 0 or o3 > ACCUMULATORS - 1:
                raise ValueError("sums out of range")
            acc[o0] = s20
            acc[o1] = s21
            acc[o2] = s22
            acc[o3] = s23
            o0 += pixel_step
            o1 = o0 + channel_step
            o2 = o1 + channel_step
            o3 = o2 + channel_step
            if o0 < 0 or o0 > ACCUMULATORS - 1 or o1 < 0 or o1 > ACCUMULATORS - 1 or o2 < 0 or o2 > ACCUMULATORS - 1 or o3 < 0 or o3 > ACCUMULATORS - 1:
                raise ValueError("sums out of range")
            acc[o0] = s30
            acc[o1] = s31
            acc[o2] = s32
            acc[o3] = s33
            o0 += pixel_step
            p += 4
        b0 = b3 + k
        channel += 4


def bytes_2x4(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    w: vec[u8],
    first: i64,
    channels: i64,
    k: i64,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
) -> None:
    """Blocks of 2 pixels by 4 channels, channels side by side."""
    if len(x) < FEATURES or len(points) < POINTS or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or pixels > POINTS - 8 or pixel_step < 0 or pixel_step > ACCUMULATORS:
        raise ValueError("layer too large")
    vectors: i64 = k >> 5
    i: i64 = 0
    channel: i64 = 0
    b0 = first
    while channel < channels:
        b1 = b0 + k
        b2 = b1 + k
        b3 = b2 + k
        if b0 < 0 or b0 > BLOCK or b1 < 0 or b1 > BLOCK or b2 < 0 or b2 > BLOCK or b3 < 0 or b3 > BLOCK:
            raise ValueError("weights out of range")
        o0 = start + channel
        p: i64 = 0
        while p < pixels:
            a0 = points[p + 0]
            a1 = points[p + 1]
            if a0 < 0 or a0 > FEATURES - PATCH or a1 < 0 or a1 > FEATURES - PATCH:
                raise ValueError("patch out of range")
            o1 = o0 + pixel_step
            if o0 < 0 or o0 > ACCUMULATORS - 4 or o1 < 0 or o1 > ACCUMULATORS - 4:
                raise ValueError("sums out of range")
            s00: i32 = 0
            s01: i32 = 0
            s02: i32 = 0
            s03: i32 = 0
            s10: i32 = 0
            s11: i32 = 0
            s12: i32 = 0
            s13: i32 = 0
            for i in range(vectors << 5):
                x0 = i32(x[a0 + i])
                x1 = i32(x[a1 + i])
                y0 = i32(w[b0 + i]) - 128
                y1 = i32(w[b1 + i]) - 128
                y2 = i32(w[b2 + i]) - 128
                y3 = i32(w[b3 + i]) - 128
                s00 += x0 * y0
                s01 += x0 * y1
                s02 += x0 * y2
                s03 += x0 * y3
                s10 += x1 * y0
                s11 += x1 * y1
                s12 += x1 * y2
                s13 += x1 * y3
            acc[o0] = s00
            acc[o0 + 1] = s01
            acc[o0 + 2] = s02
            acc[o0 + 3] = s03
            acc[o1] = s10
            acc[o1 + 1] = s11
            acc[o1 + 2] = s12
            acc[o1 + 3] = s13
            o0 = o1 + pixel_step
            p += 2
        b0 = b3 + k
        channel += 4


def bytes_2x4_planes(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    w: vec[u8],
    first: i64,
    channels: i64,
    k: i64,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
    channel_step: i64,
) -> None:
    """Blocks of 2 pixels by 4 channels, channels `channel_step` apart."""
    if len(x) < FEATURES or len(points) < POINTS or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or pixels > POINTS - 8 or pixel_step < 0 or pixel_step > ACCUMULATORS:
        raise ValueError("layer too large")
    if channel_step < 0 or channel_step > ACCUMULATORS:
        raise ValueError("layer too large")
    vectors: i64 = k >> 5
    i: i64 = 0
    channel: i64 = 0
    b0 = first
    while channel < channels:
        b1 = b0 + k
        b2 = b1 + k
        b3 = b2 + k
        if b0 < 0 or b0 > BLOCK or b1 < 0 or b1 > BLOCK or b2 < 0 or b2 > BLOCK or b3 < 0 or b3 > BLOCK:
            raise ValueError("weights out of range")
        o0 = start + channel * channel_step
        p: i64 = 0
        while p < pixels:
            a0 = points[p + 0]
            a1 = points[p + 1]
            if a0 < 0 or a0 > FEATURES - PATCH or a1 < 0 or a1 > FEATURES - PATCH:
                raise ValueError("patch out of range")
            s00: i32 = 0
            s01: i32 = 0
            s02: i32 = 0
            s03: i32 = 0
            s10: i32 = 0
            s11: i32 = 0
            s12: i32 = 0
            s13: i32 = 0
            for i in range(vectors << 5):
                x0 = i32(x[a0 + i])
                x1 = i32(x[a1 + i])
                y0 = i32(w[b0 + i]) - 128
                y1 = i32(w[b1 + i]) - 128
                y2 = i32(w[b2 + i]) - 128
                y3 = i32(w[b3 + i]) - 128
                s00 += x0 * y0
                s01 += x0 * y1
                s02 += x0 * y2
                s03 += x0 * y3
                s10 += x1 * y0
                s11 += x1 * y1
                s12 += x1 * y2
                s13 += x1 * y3
            o1 = o0 + channel_step
            o2 = o1 + channel_step
            o3 = o2 + channel_step
            if o0 < 0 or o0 > ACCUMULATORS - 1 or o1 < 0 or o1 > ACCUMULATORS - 1 or o2 < 0 or o2 > ACCUMULATORS - 1 or o3 < 0 or o3 > ACCUMULATORS - 1:
                raise ValueError("sums out of range")
            acc[o0] = s00
            acc[o1] = s01
            acc[o2] = s02
            acc[o3] = s03
            o0 += pixel_step
            o1 = o0 + channel_step
            o2 = o1 + channel_step
            o3 = o2 + channel_step
            if o0 < 0 or o0 > ACCUMULATORS - 1 or o1 < 0 or o1 > ACCUMULATORS - 1 or o2 < 0 or o2 > ACCUMULATORS - 1 or o3 < 0 or o3 > ACCUMULATORS - 1:
                raise ValueError("sums out of range")
            acc[o0] = s10
            acc[o1] = s11
            acc[o2] = s12
            acc[o3] = s13
            o0 += pixel_step
            p += 2
        b0 = b3 + k
        channel += 4


def words_2x4(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    w: vec[i16],
    first: i64,
    channels: i64,
    k: i64,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
) -> None:
    """Blocks of 2 pixels by 4 channels, channels side by side."""
    if len(x) < FEATURES or len(points) < POINTS or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or pixels > POINTS - 8 or pixel_step < 0 or pixel_step > ACCUMULATORS:
        raise ValueError("layer too large")
    vectors: i64 = k >> 5
    i: i64 = 0
    channel: i64 = 0
    b0 = first
    while channel < channels:
        b1 = b0 + k
        b2 = b1 + k
        b3 = b2 + k
        if b0 < 0 or b0 > BLOCK or b1 < 0 or b1 > BLOCK or b2 < 0 or b2 > BLOCK or b3 < 0 or b3 > BLOCK:
            raise ValueError("weights out of range")
        o0 = start + channel
        p: i64 = 0
        while p < pixels:
            a0 = points[p + 0]
            a1 = points[p + 1]
            if a0 < 0 or a0 > FEATURES - PATCH or a1 < 0 or a1 > FEATURES - PATCH:
                raise ValueError("patch out of range")
            o1 = o0 + pixel_step
            if o0 < 0 or o0 > ACCUMULATORS - 4 or o1 < 0 or o1 > ACCUMULATORS - 4:
                raise ValueError("sums out of range")
            s00: i32 = 0
            s01: i32 = 0
            s02: i32 = 0
            s03: i32 = 0
            s10: i32 = 0
            s11: i32 = 0
            s12: i32 = 0
            s13: i32 = 0
            for i in range(vectors << 5):
                x0 = i32(x[a0 + i])
                x1 = i32(x[a1 + i])
                y0 = i32(w[b0 + i])
                y1 = i32(w[b1 + i])
                y2 = i32(w[b2 + i])
                y3 = i32(w[b3 + i])
                s00 += x0 * y0
                s01 += x0 * y1
                s02 += x0 * y2
                s03 += x0 * y3
                s10 += x1 * y0
                s11 += x1 * y1
                s12 += x1 * y2
                s13 += x1 * y3
            acc[o0] = s00
            acc[o0 + 1] = s01
            acc[o0 + 2] = s02
            acc[o0 + 3] = s03
            acc[o1] = s10
            acc[o1 + 1] = s11
            acc[o1 + 2] = s12
            acc[o1 + 3] = s13
            o0 = o1 + pixel_step
            p += 2
        b0 = b3 + k
        channel += 4


def words_2x4_planes(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    w: vec[i16],
    first: i64,
    channels: i64,
    k: i64,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
    channel_step: i64,
) -> None:
    """Blocks of 2 pixels by 4 channels, channels `channel_step` apart."""
    if len(x) < FEATURES or len(points) < POINTS or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or pixels > POINTS - 8 or pixel_step < 0 or pixel_step > ACCUMULATORS:
        raise ValueError("layer too large")
    if channel_step < 0 or channel_step > ACCUMULATORS:
        raise ValueError("layer too large")
    vectors: i64 = k >> 5
    i: i64 = 0
    channel: i64 = 0
    b0 = first
    while channel < channels:
        b1 = b0 + k
        b2 = b1 + k
        b3 = b2 + k
        if b0 < 0 or b0 > BLOCK or b1 < 0 or b1 > BLOCK or b2 < 0 or b2 > BLOCK or b3 < 0 or b3 > BLOCK:
            raise ValueError("weights out of range")
        o0 = start + channel * channel_step
        p: i64 = 0
        while p < pixels:
            a0 = points[p + 0]
            a1 = points[p + 1]
            if a0 < 0 or a0 > FEATURES - PATCH or a1 < 0 or a1 > FEATURES - PATCH:
                raise ValueError("patch out of range")
            s00: i32 = 0
            s01: i32 = 0
            s02: i32 = 0
            s03: i32 = 0
            s10: i32 = 0
            s11: i32 = 0
            s12: i32 = 0
            s13: i32 = 0
            for i in range(vectors << 5):
                x0 = i32(x[a0 + i])
                x1 = i32(x[a1 + i])
                y0 = i32(w[b0 + i])
                y1 = i32(w[b1 + i])
                y2 = i32(w[b2 + i])
                y3 = i32(w[b3 + i])
                s00 += x0 * y0
                s01 += x0 * y1
                s02 += x0 * y2
                s03 += x0 * y3
                s10 += x1 * y0
                s11 += x1 * y1
                s12 += x1 * y2
                s13 += x1 * y3
            o1 = o0 + channel_step
            o2 = o1 + channel_step
            o3 = o2 + channel_step
            if o0 < 0 or o0 > ACCUMULATORS - 1 or o1 < 0 or o1 > ACCUMULATORS - 1 or o2 < 0 or o2 > ACCUMULATORS - 1 or o3 < 0 or o3 > ACCUMULATORS - 1:
                raise ValueError("sums out of range")
            acc[o0] = s00
            acc[o1] = s01
            acc[o2] = s02
            acc[o3] = s03
            o0 += pixel_step
            o1 = o0 + channel_step
            o2 = o1 + channel_step
            o3 = o2 + channel_step
            if o0 < 0 or o0 > ACCUMULATORS - 1 or o1 < 0 or o1 > ACCUMULATORS - 1 or o2 < 0 or o2 > ACCUMULATORS - 1 or o3 < 0 or o3 > ACCUMULATORS - 1:
                raise ValueError("sums out of range")
            acc[o0] = s10
            acc[o1] = s11
            acc[o2] = s12
            acc[o3] = s13
            o0 += pixel_step
            p += 2
        b0 = b3 + k
        channel += 4


def bytes_2x8(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    w: vec[u8],
    first: i64,
    channels: i64,
    k: i64,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
) -> None:
    """Blocks of 2 pixels by 8 channels, channels side by side."""
    if len(x) < FEATURES or len(points) < POINTS or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or pixels > POINTS - 8 or pixel_step < 0 or pixel_step > ACCUMULATORS:
        raise ValueError("layer too large")
    vectors: i64 = k >> 5
    i: i64 = 0
    channel: i64 = 0
    b0 = first
    while channel < channels:
        b1 = b0 + k
        b2 = b1 + k
        b3 = b2 + k
        b4 = b3 + k
        b5 = b4 + k
        b6 = b5 + k
        b7 = b6 + k
        if b0 < 0 or b0 > BLOCK or b1 < 0 or b1 > BLOCK or b2 < 0 or b2 > BLOCK or b3 < 0 or b3 > BLOCK or b4 < 0 or b4 > BLOCK or b5 < 0 or b5 > BLOCK or b6 < 0 or b6 > BLOCK or b7 < 0 or b7 > BLOCK:
            raise ValueError("weights out of range")
        o0 = start + channel
        p: i64 = 0
        while p < pixels:
            a0 = points[p + 0]
            a1 = points[p + 1]
            if a0 < 0 or a0 > FEATURES - PATCH or a1 < 0 or a1 > FEATURES - PATCH:
                raise ValueError("patch out of range")
            o1 = o0 + pixel_step
            if o0 < 0 or o0 > ACCUMULATORS - 8 or o1 < 0 or o1 > ACCUMULATORS - 8:
                raise ValueError("sums out of range")
            s00: i32 = 0
            s01: i32 = 0
            s02: i32 = 0
            s03: i32 = 0
            s04: i32 = 0
            s05: i32 = 0
            s06: i32 = 0
            s07: i32 = 0
            s10: i32 = 0
            s11: i32 = 0
            s12: i32 = 0
            s13: i32 = 0
            s14: i32 = 0
            s15: i32 = 0
            s16: i32 = 0
            s17: i32 = 0
            for i in range(vectors << 5):
                x0 = i32(x[a0 + i])
                x1 = i32(x[a1 + i])
                y0 = i32(w[b0 + i]) - 128
                y1 = i32(w[b1 + i]) - 128
                y2 = i32(w[b2 + i]) - 128
                y3 = i32(w[b3 + i]) - 128
                y4 = i32(w[b4 + i]) - 128
                y5 = i32(w[b5 + i]) - 128
                y6 = i32(w[b6 + i]) - 128
                y7 = i32(w[b7 + i]) - 128
                s00 += x0 * y0
                s01 += x0 * y1
                s02 += x0 * y2
                s03 += x0 * y3
                s04 += x0 * y4
                s05 += x0 * y5
                s06 += x0 * y6
                s07 += x0 * y7
                s10 += x1 * y0
                s11 += x1 * y1
                s12 += x1 * y2
                s13 += x1 * y3
                s14 += x1 * y4
                s15 += x1 * y5
                s16 += x1 * y6
                s17 += x1 * y7
            acc[o0] = s00
            acc[o0 + 1] = s01
            acc[o0 + 2] = s02
            acc[o0 + 3] = s03
            acc[o0 + 4] = s04
            acc[o0 + 5] = s05
            acc[o0 + 6] = s06
            acc[o0 + 7] = s07
            acc[o1] = s10
            acc[o1 + 1] = s11
            acc[o1 + 2] = s12
            acc[o1 + 3] = s13
            acc[o1 + 4] = s14
            acc[o1 + 5] = s15
            acc[o1 + 6] = s16
            acc[o1 + 7] = s17
            o0 = o1 + pixel_step
            p += 2
        b0 = b7 + k
        channel += 8


def bytes_1x4(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    w: vec[u8],
    first: i64,
    channels: i64,
    k: i64,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
) -> None:
    """Blocks of 1 pixels by 4 channels, channels side by side."""
    if len(x) < FEATURES or len(points) < POINTS or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or pixels > POINTS - 8 or pixel_step < 0 or pixel_step > ACCUMULATORS:
        raise ValueError("layer too large")
    vectors: i64 = k >> 5
    i: i64 = 0
    channel: i64 = 0
    b0 = first
    while channel < channels:
        b1 = b0 + k
        b2 = b1 + k
        b3 = b2 + k
        if b0 < 0 or b0 > BLOCK or b1 < 0 or b1 > BLOCK or b2 < 0 or b2 > BLOCK or b3 < 0 or b3 > BLOCK:
            raise ValueError("weights out of range")
        o0 = start + channel
        p: i64 = 0
        while p < pixels:
            a0 = points[p + 0]
            if a0 < 0 or a0 > FEATURES - PATCH:
                raise ValueError("patch out of range")
            if o0 < 0 or o0 > ACCUMULATORS - 4:
                raise ValueError("sums out of range")
            s00: i32 = 0
            s01: i32 = 0
            s02: i32 = 0
            s03: i32 = 0
            for i in range(vectors << 5):
                x0 = i32(x[a0 + i])
                y0 = i32(w[b0 + i]) - 128
                y1 = i32(w[b1 + i]) - 128
                y2 = i32(w[b2 + i]) - 128
                y3 = i32(w[b3 + i]) - 128
                s00 += x0 * y0
                s01 += x0 * y1
                s02 += x0 * y2
                s03 += x0 * y3
            acc[o0] = s00
            acc[o0 + 1] = s01
            acc[o0 + 2] = s02
            acc[o0 + 3] = s03
            o0 = o0 + pixel_step
            p += 1
        b0 = b3 + k
        channel += 4


def words_1x4(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    w: vec[i16],
    first: i64,
    channels: i64,
    k: i64,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
) -> None:
    """Blocks of 1 pixels by 4 channels, channels side by side."""
    if len(x) < FEATURES or len(points) < POINTS or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or pixels > POINTS - 8 or pixel_step < 0 or pixel_step > ACCUMULATORS:
        raise ValueError("layer too large")
    vectors: i64 = k >> 5
    i: i64 = 0
    channel: i64 = 0
    b0 = first
    while channel < channels:
        b1 = b0 + k
        b2 = b1 + k
        b3 = b2 + k
        if b0 < 0 or b0 > BLOCK or b1 < 0 or b1 > BLOCK or b2 < 0 or b2 > BLOCK or b3 < 0 or b3 > BLOCK:
            raise ValueError("weights out of range")
        o0 = start + channel
        p: i64 = 0
        while p < pixels:
            a0 = points[p + 0]
            if a0 < 0 or a0 > FEATURES - PATCH:
                raise ValueError("patch out of range")
            if o0 < 0 or o0 > ACCUMULATORS - 4:
                raise ValueError("sums out of range")
            s00: i32 = 0
            s01: i32 = 0
            s02: i32 = 0
            s03: i32 = 0
            for i in range(vectors << 5):
                x0 = i32(x[a0 + i])
                y0 = i32(w[b0 + i])
                y1 = i32(w[b1 + i])
                y2 = i32(w[b2 + i])
                y3 = i32(w[b3 + i])
                s00 += x0 * y0
                s01 += x0 * y1
                s02 += x0 * y2
                s03 += x0 * y3
            acc[o0] = s00
            acc[o0 + 1] = s01
            acc[o0 + 2] = s02
            acc[o0 + 3] = s03
            o0 = o0 + pixel_step
            p += 1
        b0 = b3 + k
        channel += 4
