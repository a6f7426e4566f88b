"""Max pooling of bytes, and of sums: the largest code has the largest byte, and the largest sum the largest float."""

from librt.vecs import vec
from mypy_extensions import i32, i64, u8

from fastpath.kernels.source.capacity import ACCUMULATORS, FEATURES, SLACK, SUM_ROW
from fastpath.kernels.source.records import Feature, Scratch, Window


def highest(x: vec[u8], a: i64, step: i64, rows: i64, out: vec[u8], o: i64, n: i64) -> None:
    """The largest of `rows` bytes that lie `step` apart, for n neighbours: out[o + j]. One to three rows at a time."""
    if len(x) < FEATURES + SLACK or len(out) < FEATURES + SLACK or rows < 1 or step < 0 or n < 0 or n > SLACK:
        raise ValueError("bytes out of range")
    b = a + step if rows > 1 else a
    c = b + step if rows > 2 else b
    if a < 0 or a > FEATURES or b < 0 or b > FEATURES or c < 0 or c > FEATURES or o < 0 or o > FEATURES:
        raise ValueError("bytes out of range")
    j: i64 = 0
    for j in range(n):
        out[o + j] = max(max(x[a + j], x[b + j]), x[c + j])
    r: i64 = 0
    for r in range(3, rows):
        d = a + r * step
        if d < 0 or d > FEATURES:
            raise ValueError("bytes out of range")
        for j in range(n):
            out[o + j] = max(out[o + j], x[d + j])


def max_pool(bottom: Feature, window: Window, channels: i64, top: Feature, scratch: Scratch) -> None:
    """The largest byte of every window, channel by channel; border pixels count.

    First over the rows of a window, for all columns, then over the columns.
    """
    y: i64 = 0
    x: i64 = 0
    done: i64 = 0
    work = scratch.panel
    start = scratch.panel_start
    length = ((window.out_w - 1) * window.stride_w + window.kernel_w) * bottom.pixel
    for y in range(window.out_h):
        first = bottom.start + y * window.stride_h * bottom.row
        for done in range(0, length, SLACK):
            count = min(length - done, SLACK)
            highest(bottom.data, first + done, bottom.row, window.kernel_h, work, start + done, count)
        for x in range(window.out_w):
            at = start + x * window.stride_w * bottom.pixel
            highest(
                work, at, bottom.pixel, window.kernel_w, top.data, top.start + y * top.row + x * top.pixel, channels
            )


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
