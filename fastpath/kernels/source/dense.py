"""Dense convolution, tile by tile: patches, products, codes."""

from librt.vecs import vec
from mypy_extensions import i32, i64, u8

from fastpath.kernels.source import dot, lanes, move, requantize
from fastpath.kernels.source.capacity import POINTS
from fastpath.kernels.source.records import Feature, Scratch, Staircase, Weights, Window


def find_patches(bottom: Feature, window: Window, weights: Weights, scratch: Scratch, y: i64, rows: i64) -> i64:
    """Fill `scratch.points` with the patches of output rows y to y + rows; returns how many there are.

    The patches of a 1 by 1 kernel lie in the feature map, all others are copied. The last one is repeated, because
    the kernels take whole blocks of pixels.
    """
    points = scratch.points
    r: i64 = 0
    x: i64 = 0
    count: i64 = 0
    if rows * window.out_w > POINTS - 16 or len(points) < POINTS:
        raise ValueError("tile too large")
    single = window.kernel_h == 1 and window.kernel_w == 1
    column = window.kernel_h * weights.channels
    for r in range(rows):
        if single:
            base = bottom.start + (y + r) * window.stride_h * bottom.row
            step = window.stride_w * bottom.pixel
            for x in range(window.out_w):
                points[count] = base + x * step
                count += 1
        elif weights.run > 0:
            step = ((weights.k + 31) >> 5) << 5
            base = scratch.panel_start + count * step
            move.runs(bottom, window, weights.run, step, y + r, scratch.panel, base)
            for x in range(window.out_w):
                points[count] = base + x * step
                count += 1
        else:
            base = scratch.panel_start + r * ((move.panel_columns(window) * column + 63) >> 6 << 6)
            move.panel(bottom, window, weights.channels, y + r, scratch.panel, base)
            for x in range(window.out_w):
                points[count] = base + move.column_slot(window, x * window.stride_w) * column
                count += 1
    for x in range(count, count + 8):
        points[x] = points[count - 1]
    return count


def multiply(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    weights: Weights,
    acc: vec[i32],
    start: i64,
    pixel_step: i64,
    channel_step: i64,
) -> None:
    """All weight rows against all patches of a tile."""
    i: i64 = 0
    done: i64 = 0
    for i in range(len(weights.starts)):
        out = start + done * channel_step
        if channel_step == 1:
            multiply_block(x, points, pixels, weights, i, acc, out, pixel_step)
        else:
            multiply_block_planes(x, points, pixels, weights, i, acc, out, pixel_step, channel_step)
        done += weights.counts[i]


def multiply_block(
    x: vec[u8], points: vec[i64], pixels: i64, weights: Weights, i: i64, acc: vec[i32], out: i64, pixel_step: i64
) -> None:
    """The rows of one block, the sums of a pixel next to each other."""
    first = weights.starts[i]
    count = weights.counts[i]
    k = weights.k
    form = weights.form
    if form < 3:
        octets = weights.byte_blocks[i]
        if pixels == 1:
            dot.bytes_1x4(x, points, pixels, octets, first, count, k, acc, out, pixel_step)
        elif form == 0:
            dot.bytes_4x4(x, points, pixels, octets, first, count, k, acc, out, pixel_step)
        elif form == 1:
            dot.bytes_2x4(x, points, pixels, octets, first, count, k, acc, out, pixel_step)
        else:
            dot.bytes_2x8(x, points, pixels, octets, first, count, k, acc, out, pixel_step)
        return
    words = weights.word_blocks[i]
    if form == 3 and pixels == 1:
        dot.words_1x4(x, points, pixels, words, first, count, k, acc, out, pixel_step)
    elif form == 3:
        dot.words_2x4(x, points, pixels, words, first, count, k, acc, out, pixel_step)
    elif form == 4:
        lanes.lanes_16(x, points, pixels, words, first, count, acc, out, pixel_step)
    elif form == 5:
        lanes.lanes_32(x, points, pixels, words, first, count, acc, out, pixel_step)
    else:
        lanes.pairs_28(x, points, pixels, words, first, count, acc, out, pixel_step)


def multiply_block_planes(
    x: vec[u8],
    points: vec[i64],
    pixels: i64,
    weights: Weights,
    i: i64,
    acc: vec[i32],
    out: i64,
    pixel_step: i64,
    channel_step: i64,
) -> None:
    """The same for the dot kernels, the sums of a channel `channel_step` behind those of the channel before."""
    first = weights.starts[i]
    count = weights.counts[i]
    k = weights.k
    if weights.form == 1:
        octets = weights.byte_blocks[i]
        dot.bytes_2x4_planes(x, points, pixels, octets, first, count, k, acc, out, pixel_step, channel_step)
    elif weights.form < 3:
        octets = weights.byte_blocks[i]
        dot.bytes_4x4_planes(x, points, pixels, octets, first, count, k, acc, out, pixel_step, channel_step)
    else:
        words = weights.word_blocks[i]
        dot.words_2x4_planes(x, points, pixels, words, first, count, k, acc, out, pixel_step, channel_step)


def convolve(
    bottom: Feature,
    window: Window,
    weights: Weights,
    stairs: Staircase,
    top: Feature,
    scratch: Scratch,
    rows: i64,
    step: i64,
) -> None:
    """A convolution from feature map to feature map, `rows` output rows at a time; sums of a pixel lie `step` apart."""
    y: i64 = 0
    r: i64 = 0
    acc = scratch.acc
    start = scratch.acc_start
    single = window.kernel_h == 1 and window.kernel_w == 1
    x = bottom.data if single else scratch.panel
    while y < window.out_h:
        count = min(rows, window.out_h - y)
        pixels = find_patches(bottom, window, weights, scratch, y, count)
        multiply(x, scratch.points, pixels, weights, acc, start, step, 1)
        for r in range(count):
            requantize.row(scratch, start + r * window.out_w * step, step, window.out_w, stairs, top, y + r)
        y += count


def accumulate(
    bottom: Feature, window: Window, weights: Weights, scratch: Scratch, rows: i64, pixel_step: i64, channel_step: i64
) -> None:
    """The sums of a convolution: acc[acc_start + pixel * pixel_step + channel * channel_step].

    Blocks may write the sums of a few pixels past the last one and of a few channels past the last one.
    """
    y: i64 = 0
    single = window.kernel_h == 1 and window.kernel_w == 1
    x = bottom.data if single else scratch.panel
    while y < window.out_h:
        count = min(rows, window.out_h - y)
        pixels = find_patches(bottom, window, weights, scratch, y, count)
        start = scratch.acc_start + y * window.out_w * pixel_step
        multiply(x, scratch.points, pixels, weights, scratch.acc, start, pixel_step, channel_step)
        y += count


def product(bottom: Feature, parts: list[Weights], length: i64, scratch: Scratch, step: i64) -> None:
    """A vector times a matrix whose columns come in parts: acc[acc_start + part * step + row].

    Part i takes the codes from place i * length of the vector on. Sums of a few rows past the last one may be written.
    """
    i: i64 = 0
    x: i64 = 0
    points = scratch.points
    if len(points) < POINTS:
        raise ValueError("buffer too small")
    for i in range(len(parts)):
        for x in range(i64(8)):
            points[x] = bottom.start + i * length
        multiply(bottom.data, points, 1, parts[i], scratch.acc, scratch.acc_start + i * step, step, 1)
