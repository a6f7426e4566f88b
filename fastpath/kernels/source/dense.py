"""Dense convolution, tile by tile: patches, products, codes."""

from librt.vecs import vec
from mypy_extensions import i32, i64, u8

from fastpath.kernels.source import dot, lanes, move, requantize
from fastpath.kernels.source.capacity import POINTS
from fastpath.kernels.source.records import Feature, Scratch, Staircase, Weights, Window


def find_patches(bottom: Feature, window: Window, weights: Weights, scratch: Scratch, y: i64, rows: i64) -> i64:
    """Fill `scratch.points` with the patches of output rows y to y + rows; returns how many there are.

    The patches of a 1 by 1 kernel lie in the feature map, all others in the panel. The last one is repeated, because
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
    first: i64 = 0
    count: i64 = 0
    k = weights.k
    for i in range(len(weights.starts)):
        first = weights.starts[i]
        count = weights.counts[i]
        out = start + done * channel_step
        if weights.form == 0:
            dot.bytes_4x4(
                x, points, pixels, weights.byte_blocks[i], first, count, k, acc, out, pixel_step, channel_step
            )
        elif weights.form == 1:
            dot.bytes_2x4(
                x, points, pixels, weights.byte_blocks[i], first, count, k, acc, out, pixel_step, channel_step
            )
        elif weights.form == 2:
            dot.words_2x4(
                x, points, pixels, weights.word_blocks[i], first, count, k, acc, out, pixel_step, channel_step
            )
        elif weights.form == 3:
            lanes.lanes_16(x, points, pixels, weights.word_blocks[i], first, count, acc, out, pixel_step)
        elif weights.form == 4:
            lanes.lanes_32(x, points, pixels, weights.word_blocks[i], first, count, acc, out, pixel_step)
        else:
            lanes.pairs_28(x, points, pixels, weights.word_blocks[i], first, count, acc, out, pixel_step)
        done += count


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
