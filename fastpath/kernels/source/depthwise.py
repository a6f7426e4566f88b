"""Depthwise convolution: every channel has its own kernel, and lanes are channels."""

from librt.vecs import vec
from mypy_extensions import i16, i32, i64, u8

from fastpath.kernels.source import requantize
from fastpath.kernels.source.capacity import (
    ACCUMULATORS,
    BLOCK,
    CHANNELS,
    FEATURES,
    LAST_PIXEL,
    LAST_SUMS,
    SLACK,
    WORD_ROW,
    WORDS,
)
from fastpath.kernels.source.records import DepthwiseWeights, Feature, Scratch, Staircase, Window


def row_3x3(
    x: vec[u8],
    start: i64,
    row: i64,
    pixel: i64,
    step: i64,
    zero: i16,
    w: vec[i16],
    first: i64,
    channels: i64,
    pixels: i64,
    acc: vec[i32],
    acc_start: i64,
) -> None:
    """Sums of one output row of 3 by 3 windows; two products of codes and weights from -127 to 127 fit 16 bits."""
    if len(x) < FEATURES or len(w) < BLOCK or len(acc) < ACCUMULATORS or channels < 0 or channels > CHANNELS:
        raise ValueError("buffer too small")
    if first < 0 or first > 1024:
        raise ValueError("weights out of range")
    c = channels
    j: i64 = 0
    _p: i64 = 0
    a0 = start
    o = acc_start
    for _p in range(pixels):
        a1 = a0 + pixel
        a2 = a1 + pixel
        b0 = a0 + row
        b1 = b0 + pixel
        b2 = b1 + pixel
        c0 = b0 + row
        c1 = c0 + pixel
        c2 = c1 + pixel
        if (
            a0 < 0 or a0 > LAST_PIXEL or a1 < 0 or a1 > LAST_PIXEL or a2 < 0 or a2 > LAST_PIXEL
            or b0 < 0 or b0 > LAST_PIXEL or b1 < 0 or b1 > LAST_PIXEL or b2 < 0 or b2 > LAST_PIXEL
            or c0 < 0 or c0 > LAST_PIXEL or c1 < 0 or c1 > LAST_PIXEL or c2 < 0 or c2 > LAST_PIXEL
            or o < 0 or o > LAST_SUMS
        ):  # fmt: skip
            raise ValueError("window out of range")
        for j in range(c):
            t0 = (i16(x[a0 + j]) - zero) * w[first + j] + (i16(x[a1 + j]) - zero) * w[first + c + j]
            t1 = (i16(x[a2 + j]) - zero) * w[first + 2 * c + j] + (i16(x[b0 + j]) - zero) * w[first + 3 * c + j]
            t2 = (i16(x[b1 + j]) - zero) * w[first + 4 * c + j] + (i16(x[b2 + j]) - zero) * w[first + 5 * c + j]
            t3 = (i16(x[c0 + j]) - zero) * w[first + 6 * c + j] + (i16(x[c1 + j]) - zero) * w[first + 7 * c + j]
            t4 = (i16(x[c2 + j]) - zero) * w[first + 8 * c + j]
            acc[o + j] = i32(t0) + i32(t1) + i32(t2) + i32(t3) + i32(t4)
        a0 += step
        o += c


def widen(x: vec[u8], start: i64, n: i64, zero: i16, out: vec[i16], at: i64) -> None:
    """Write n bytes less `zero` as 16-bit words."""
    if len(x) < FEATURES + SLACK or len(out) < WORDS + WORD_ROW or n < 0 or n > WORD_ROW:
        raise ValueError("buffer too small")
    if start < 0 or start > FEATURES or at < 0 or at > WORDS:
        raise ValueError("row out of range")
    j: i64 = 0
    for j in range(n):
        out[at + j] = i16(x[start + j]) - zero


def lanes_3x3(
    x: vec[i16],
    a0: i64,
    b0: i64,
    c0: i64,
    pixel: i64,
    step: i64,
    w: vec[i16],
    first: i64,
    blocks: i64,
    pixels: i64,
    acc: vec[i32],
    acc_start: i64,
) -> None:
    """Sums of one output row of 3 by 3 windows, whose rows begin at a0, b0 and c0; weights are [blocks][9][32].

    Words from -64 to 63: four products with weights from -127 to 127 fit 16 bits.
    """
    if len(x) < WORDS + WORD_ROW or len(w) < BLOCK or len(acc) < ACCUMULATORS:
        raise ValueError("buffer too small")
    if pixel < 0 or pixel > CHANNELS or blocks > CHANNELS >> 5:
        raise ValueError("layer too large")
    second = pixel
    third = pixel + pixel
    j: i64 = 0
    k: i64 = 0
    _p: i64 = 0
    v = first
    for k in range(blocks):
        if v < 0 or v > BLOCK - 288:
            raise ValueError("weights out of range")
        a = a0 + 32 * k
        b = b0 + 32 * k
        c = c0 + 32 * k
        o = acc_start + 32 * k
        for _p in range(pixels):
            if a < 0 or a > WORDS or b < 0 or b > WORDS or c < 0 or c > WORDS or o < 0 or o > ACCUMULATORS - 32:
                raise ValueError("window out of range")
            for j in range(i64(32)):
                t0 = (
                    x[a + j] * w[v + j] + x[a + second + j] * w[v + 32 + j]
                    + x[a + third + j] * w[v + 64 + j] + x[b + j] * w[v + 96 + j]
                )  # fmt: skip
                t1 = (
                    x[b + second + j] * w[v + 128 + j] + x[b + third + j] * w[v + 160 + j]
                    + x[c + j] * w[v + 192 + j] + x[c + second + j] * w[v + 224 + j]
                )  # fmt: skip
                t2 = x[c + third + j] * w[v + 256 + j]
                acc[o + j] = i32(t0) + i32(t1) + i32(t2)
            a += step
            b += step
            c += step
            o += blocks << 5
        v += 288


def row_of_5(
    x: vec[u8],
    start: i64,
    pixel: i64,
    step: i64,
    zero: i16,
    w: vec[i16],
    first: i64,
    channels: i64,
    pixels: i64,
    acc: vec[i32],
    acc_start: i64,
) -> None:
    """Add to the sums of one output row what one kernel row of 5 taps gives."""
    if len(x) < FEATURES or len(w) < BLOCK or len(acc) < ACCUMULATORS or channels < 0 or channels > CHANNELS:
        raise ValueError("buffer too small")
    if first < 0 or first > BLOCK - 5 * CHANNELS:
        raise ValueError("weights out of range")
    c = channels
    j: i64 = 0
    _p: i64 = 0
    a0 = start
    o = acc_start
    for _p in range(pixels):
        a1 = a0 + pixel
        a2 = a1 + pixel
        a3 = a2 + pixel
        a4 = a3 + pixel
        if (
            a0 < 0 or a0 > LAST_PIXEL or a1 < 0 or a1 > LAST_PIXEL or a2 < 0 or a2 > LAST_PIXEL
            or a3 < 0 or a3 > LAST_PIXEL or a4 < 0 or a4 > LAST_PIXEL or o < 0 or o > LAST_SUMS
        ):  # fmt: skip
            raise ValueError("window out of range")
        for j in range(c):
            t0 = (i16(x[a0 + j]) - zero) * w[first + j] + (i16(x[a1 + j]) - zero) * w[first + c + j]
            t1 = (i16(x[a2 + j]) - zero) * w[first + 2 * c + j] + (i16(x[a3 + j]) - zero) * w[first + 3 * c + j]
            t2 = (i16(x[a4 + j]) - zero) * w[first + 4 * c + j]
            acc[o + j] += i32(t0) + i32(t1) + i32(t2)
        a0 += step
        o += c


def add_tap(
    x: vec[u8], start: i64, zero: i16, w: vec[i16], first: i64, channels: i64, acc: vec[i32], acc_start: i64
) -> None:
    """Add the products of one pixel and one kernel position to the sums of one output pixel."""
    if len(x) < FEATURES or len(w) < BLOCK or len(acc) < ACCUMULATORS or channels < 0 or channels > CHANNELS:
        raise ValueError("buffer too small")
    if start < 0 or start > LAST_PIXEL or first < 0 or first > BLOCK - CHANNELS:
        raise ValueError("window out of range")
    if acc_start < 0 or acc_start > LAST_SUMS:
        raise ValueError("sums out of range")
    j: i64 = 0
    for j in range(channels):
        acc[acc_start + j] += i32((i16(x[start + j]) - zero) * w[first + j])


def clear(acc: vec[i32], start: i64, count: i64) -> None:
    """Set sums to 0."""
    if len(acc) < ACCUMULATORS or start < 0 or count < 0 or start > ACCUMULATORS or start + count > ACCUMULATORS:
        raise ValueError("sums out of range")
    j: i64 = 0
    for j in range(count):
        acc[start + j] = 0


def sums(bottom: Feature, window: Window, weights: DepthwiseWeights, y: i64, acc: vec[i32], start: i64) -> None:
    """The sums of output row y: acc[start + x * channels + channel], and up to `repeat` pixels more."""
    c = weights.channels
    x: i64 = 0
    ky: i64 = 0
    kx: i64 = 0
    first = bottom.start + y * window.stride_h * bottom.row
    row = window.dilation_h * bottom.row
    pixel = window.dilation_w * bottom.pixel
    step = window.stride_w * bottom.pixel
    if window.kernel_h == 3 and window.kernel_w == 3:
        repeat = weights.repeat
        runs = (window.out_w + repeat - 1) // repeat
        row_3x3(
            bottom.data,
            first,
            row,
            pixel,
            step * repeat,
            weights.zero,
            weights.data,
            weights.start,
            c * repeat,
            runs,
            acc,
            start,
        )
        return
    if window.kernel_w == 5:
        run = c * weights.repeat
        runs = (window.out_w + weights.repeat - 1) // weights.repeat
        clear(acc, start, runs * run)
        for ky in range(window.kernel_h):
            row_of_5(
                bottom.data,
                first + ky * row,
                pixel,
                step * weights.repeat,
                weights.zero,
                weights.data,
                weights.start + ky * 5 * run,
                run,
                runs,
                acc,
                start,
            )
        return
    clear(acc, start, window.out_w * c)
    for x in range(window.out_w):
        for ky in range(window.kernel_h):
            for kx in range(window.kernel_w):
                a = first + ky * row + kx * pixel + x * step
                b = weights.start + (ky * window.kernel_w + kx) * c
                add_tap(bottom.data, a, weights.zero, weights.data, b, c, acc, start + x * c)


def widen_rows(bottom: Feature, window: Window, weights: DepthwiseWeights, scratch: Scratch, y: i64, done: i64) -> i64:
    """Widen what the windows of output row y see and those before did not; returns the first row that is not widened.

    Row r goes to place r % 3 of three.
    """
    n = ((window.out_w - 1) * window.stride_w + 2) * bottom.pixel + weights.channels
    row = max(done, y * window.stride_h)
    while row < y * window.stride_h + 3:
        at = scratch.words_start + row % 3 * WORD_ROW
        widen(bottom.data, bottom.start + row * bottom.row, n, weights.zero, scratch.words, at)
        row += 1
    return row


def sums_in_lanes(window: Window, weights: DepthwiseWeights, scratch: Scratch, pixel: i64, y: i64) -> None:
    """The sums of output row y from widened rows: acc[acc_start + x * channels + channel]."""
    row = y * window.stride_h
    lanes_3x3(
        scratch.words,
        scratch.words_start + row % 3 * WORD_ROW,
        scratch.words_start + (row + 1) % 3 * WORD_ROW,
        scratch.words_start + (row + 2) % 3 * WORD_ROW,
        pixel,
        window.stride_w * pixel,
        weights.data,
        weights.start,
        weights.channels >> 5,
        window.out_w,
        scratch.acc,
        scratch.acc_start,
    )


def convolve(
    bottom: Feature, window: Window, weights: DepthwiseWeights, stairs: Staircase, top: Feature, scratch: Scratch
) -> None:
    """A depthwise convolution from feature map to feature map."""
    y: i64 = 0
    widened: i64 = 0
    if weights.in_lanes:
        for y in range(window.out_h):
            widened = widen_rows(bottom, window, weights, scratch, y, widened)
            sums_in_lanes(window, weights, scratch, bottom.pixel, y)
            requantize.row(scratch, scratch.acc_start, weights.channels, window.out_w, stairs, top, y)
        return
    for y in range(window.out_h):
        sums(bottom, window, weights, y, scratch.acc, scratch.acc_start)
        requantize.row(scratch, scratch.acc_start, weights.channels, window.out_w, stairs, top, y)


def accumulate(bottom: Feature, window: Window, weights: DepthwiseWeights, scratch: Scratch) -> None:
    """The sums of a depthwise convolution, pixel after pixel: acc[acc_start + pixel * channels + channel]."""
    y: i64 = 0
    step = window.out_w * weights.channels
    for y in range(window.out_h):
        sums(bottom, window, weights, y, scratch.acc, scratch.acc_start + y * step)
