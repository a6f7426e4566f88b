"""Max pooling of bytes, and of sums: the largest code has the largest byte, and the largest sum the largest float."""

from librt.vecs import vec
from mypy_extensions import i32, i64, u8

from fastpath.kernels.source.capacity import ACCUMULATORS, CHANNELS, FEATURES, LAST_PIXEL, SUM_ROW
from fastpath.kernels.source.records import Feature, Window


def max_3x3(
    x: vec[u8],
    start: i64,
    row: i64,
    pixel: i64,
    step: i64,
    pixels: i64,
    channels: i64,
    out: vec[u8],
    out_start: i64,
    out_step: i64,
) -> None:
    """One output row of 3 by 3 windows."""
    if len(x) < FEATURES or len(out) < FEATURES or channels < 0 or channels > CHANNELS:
        raise ValueError("buffer too small")
    j: i64 = 0
    _p: i64 = 0
    a0 = start
    o = out_start
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
            or o < 0 or o > LAST_PIXEL
        ):  # fmt: skip
            raise ValueError("window out of range")
        for j in range(channels):
            upper = max(max(x[a0 + j], x[a1 + j]), x[a2 + j])
            middle = max(max(x[b0 + j], x[b1 + j]), x[b2 + j])
            lower = max(max(x[c0 + j], x[c1 + j]), x[c2 + j])
            out[o + j] = max(max(upper, middle), lower)
        a0 += step
        o += out_step


def maximum(x: vec[u8], start: i64, channels: i64, out: vec[u8], out_start: i64) -> None:
    """Raise each of `channels` bytes of out to the byte of x where that is larger."""
    if len(x) < FEATURES or len(out) < FEATURES or channels < 0 or channels > CHANNELS:
        raise ValueError("buffer too small")
    if start < 0 or start > LAST_PIXEL or out_start < 0 or out_start > LAST_PIXEL:
        raise ValueError("window out of range")
    j: i64 = 0
    for j in range(channels):
        out[out_start + j] = max(out[out_start + j], x[start + j])


def max_pool(bottom: Feature, window: Window, channels: i64, top: Feature) -> None:
    """The largest byte of every window, channel by channel; border pixels count."""
    y: i64 = 0
    x: i64 = 0
    ky: i64 = 0
    kx: i64 = 0
    data = bottom.data
    out = top.data
    for y in range(window.out_h):
        first = bottom.start + y * window.stride_h * bottom.row
        o = top.start + y * top.row
        if window.kernel_h == 3 and window.kernel_w == 3:
            step = window.stride_w * bottom.pixel
            max_3x3(data, first, bottom.row, bottom.pixel, step, window.out_w, channels, out, o, top.pixel)
            continue
        for x in range(window.out_w):
            clear(out, o + x * top.pixel, channels)
            for ky in range(window.kernel_h):
                for kx in range(window.kernel_w):
                    a = first + ky * bottom.row + (x * window.stride_w + kx) * bottom.pixel
                    maximum(data, a, channels, out, o + x * top.pixel)


def clear(out: vec[u8], start: i64, channels: i64) -> None:
    """Set `channels` bytes to 0, the smallest byte there is."""
    if len(out) < FEATURES or channels < 0 or channels > CHANNELS or start < 0 or start > LAST_PIXEL:
        raise ValueError("window out of range")
    j: i64 = 0
    for j in range(channels):
        out[start + j] = 0


def highest_row(acc: vec[i32], a: i64, row: i64, rows: i64, o: i64, n: i64) -> None:
    """The largest of `rows` sums that lie `row` apart, for n neighbours: acc[o + j]. One to three rows at a time."""
    if len(acc) < ACCUMULATORS or rows < 1 or row < 0 or n < 0 or n > SUM_ROW or o < 0 or o > ACCUMULATORS - SUM_ROW:
        raise ValueError("sums out of range")
    b = a + row if rows > 1 else a
    c = b + row if rows > 2 else b
    if a < 0 or a > ACCUMULATORS - SUM_ROW or b < 0 or b > ACCUMULATORS - SUM_ROW or c < 0:
        raise ValueError("sums out of range")
    if c > ACCUMULATORS - SUM_ROW:
        raise ValueError("sums out of range")
    j: i64 = 0
    for j in range(n):
        acc[o + j] = max(max(acc[a + j], acc[b + j]), acc[c + j])
    r: i64 = 0
    for r in range(3, rows):
        d = a + r * row
        if d < 0 or d > ACCUMULATORS - SUM_ROW:
            raise ValueError("sums out of range")
        for j in range(n):
            acc[o + j] = max(acc[o + j], acc[d + j])


def pool_sums(
    acc: vec[i32],
    start: i64,
    first: i64,
    rows: i64,
    columns: i64,
    channels: i64,
    window: Window,
    above: i64,
    left: i64,
    y: i64,
    work: i64,
    out: i64,
) -> None:
    """The largest sum of every window: `out_h` rows of windows from row y on, to place `out` on.

    The sums of rows `first` to `first + rows` of a map of `columns` pixels begin at `start`; the map has borders
    `above` it and to its `left` that no window takes anything from. One row of sums at `work` is scratch space.
    """
    r: i64 = 0
    x: i64 = 0
    length = columns * channels
    for r in range(window.out_h):
        top = (y + r) * window.stride_h - above
        low = max(top, first)
        high = min(top + window.kernel_h, first + rows)
        highest_row(acc, start + (low - first) * length, length, high - low, work, length)
        for x in range(window.out_w):
            begin = max(x * window.stride_w - left, 0)
            end = min(x * window.stride_w - left + window.kernel_w, columns)
            highest_row(acc, work + begin * channels, channels, end - begin, out, channels)
            out += channels
