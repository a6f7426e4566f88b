"""The int8 outputs of a layer at many scales: codes, sums, and how similar the outputs are to the float ones."""

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from fastpath.kernels.source import dense, move, similarity, taps
from fastpath.kernels.source.capacity import POINTS
from fastpath.kernels.source.chains import INTEGER, LANES
from fastpath.kernels.source.functions import SPLIT
from fastpath.kernels.source.records import Feature, Scratch, Weights, Window
from fastpath.kernels.source.similarity import DESCALES, SHIFT
from fastpath.kernels.source.taps import IMAGES, RUN, RUN_SLACK, SECOND

LARGEST_CODE: Final = 127.0

BEYOND: Final = 1.0000000000009095
"""1 + 2**-40: takes halves, and nothing else of 24 bits up to 127, to the next whole number."""


@final
class Changes:
    """The codes of the weights of one output, candidate after candidate.

    The first candidate's are `codes`, those of the taps `used`. Candidate c adds once more the taps `changed` from
    `begins[2 * c]` on, and subtracts those from `begins[2 * c + 1]` on. A tap is the distance of its code from the
    first code that a pixel reads.
    """

    def __init__(
        self, used: vec[i64], codes: vec[float], changed: vec[i64], begins: vec[i64], descales: vec[float]
    ) -> None:
        self.used: vec[i64] = used
        self.codes: vec[float] = codes
        self.changed: vec[i64] = changed
        self.begins: vec[i64] = begins
        self.descales: vec[float] = descales


@final
class Output:
    """What becomes of the sums: a bias, and limits if `clips`."""

    def __init__(self, bias: float, low: float, high: float, clips: bool) -> None:
        self.bias: float = bias
        self.low: float = low
        self.high: float = high
        self.clips: bool = clips


@final
class Bench:
    """Buffers: images, the sums of a run, sums taken apart, float outputs, and the sums of cosines."""

    def __init__(
        self,
        images: vec[float],
        image: i64,
        sums: vec[float],
        start: i64,
        apart: vec[float],
        at: i64,
        reference: vec[float],
        totals: vec[float],
        total: i64,
        descales: vec[float],
    ) -> None:
        self.images: vec[float] = images
        self.image: i64 = image
        self.sums: vec[float] = sums
        self.start: i64 = start
        self.apart: vec[float] = apart
        self.at: i64 = at
        self.reference: vec[float] = reference
        self.totals: vec[float] = totals
        self.total: i64 = total
        self.descales: vec[float] = descales


def quantize(
    values: vec[float], first: i64, n: i64, scales: vec[float], scale: i64, half: i64, out: vec[float], at: i64
) -> None:
    """The codes of n values at the 2 * half scales from place `scale` on: (values, half), two codes in each number."""
    if len(values) < IMAGES + RUN_SLACK or len(scales) < DESCALES or len(out) < IMAGES + RUN_SLACK:
        raise ValueError("buffer too small")
    if scale < 0 or scale > LANES or first < 0 or n < 0 or first + n > IMAGES or half < 0 or half > LANES >> 1:
        raise ValueError("too many values or scales")
    p: i64 = 0
    i: i64 = 0
    b = at
    for p in range(n):
        if b < 0 or b > IMAGES:
            raise ValueError("codes out of range")
        v_split = values[first + p] * SPLIT
        v_shift = values[first + p] * SHIFT
        for i in range(half):
            y = scales[scale + i] * v_split - scales[scale + i] * v_shift
            if y < -LARGEST_CODE:
                y = -LARGEST_CODE
            if y > LARGEST_CODE:
                y = LARGEST_CODE
            z = scales[scale + half + i] * v_split - scales[scale + half + i] * v_shift
            if z < -LARGEST_CODE:
                z = -LARGEST_CODE
            if z > LARGEST_CODE:
                z = LARGEST_CODE
            out[b + i] = (y * BEYOND + INTEGER - INTEGER) + (z * BEYOND + INTEGER - INTEGER) * SECOND
        b += half


def add_all(bench: Bench, first: i64, used: vec[i64], codes: vec[float], code: i64, n: i64) -> None:
    """The n sums of all taps, which begin at `used` behind place `first` of the images, times their codes."""
    taps.clear(bench.sums, bench.start, n)
    count: i64 = len(used)
    j: i64 = 0
    while j + 3 < count:
        taps.add_four_products(
            bench.images, first + used[j], first + used[j + 1], first + used[j + 2], first + used[j + 3],
            codes[code + j], codes[code + j + 1], codes[code + j + 2], codes[code + j + 3], bench.sums, bench.start, n,
        )  # fmt: skip
        j += 4
    while j + 1 < count:
        a = first + used[j]
        b = first + used[j + 1]
        taps.add_products(bench.images, a, b, codes[code + j], codes[code + j + 1], bench.sums, bench.start, n)
        j += 2
    if j < count:
        a = first + used[j]
        taps.add_products(bench.images, a, a, codes[code + j], 0.0, bench.sums, bench.start, n)


def change(bench: Bench, first: i64, changes: Changes, candidate: i64, n: i64) -> None:
    """Bring n sums from the candidate before to this one."""
    changed = changes.changed
    j = changes.begins[2 * candidate]
    middle = changes.begins[2 * candidate + 1]
    end = changes.begins[2 * candidate + 2]
    while j + 1 < middle:
        taps.add(bench.images, first + changed[j], first + changed[j + 1], bench.sums, bench.start, n)
        j += 2
    if j < middle:
        a = first + changed[j]
        taps.add_products(bench.images, a, a, 1.0, 0.0, bench.sums, bench.start, n)
    j = middle
    while j + 1 < end:
        taps.subtract(bench.images, first + changed[j], first + changed[j + 1], bench.sums, bench.start, n)
        j += 2
    if j < end:
        a = first + changed[j]
        taps.add_products(bench.images, a, a, -1.0, 0.0, bench.sums, bench.start, n)


def compare_candidates(
    bench: Bench,
    row: i64,
    rows: i64,
    width: i64,
    half: i64,
    blocks: i64,
    changes: Changes,
    output: Output,
    place: i64,
) -> None:
    """Add the terms of some rows of an output to the sums of all candidates, for 8 * blocks samples side by side.

    Images hold two pixels in one number, the second `half` pixels to the right. Rows begin `row` apart.
    """
    n = blocks << 3
    apart = bench.apart
    low_at = bench.at
    high_at = low_at + RUN
    candidates: i64 = len(changes.descales)
    y: i64 = 0
    c: i64 = 0
    for y in range(rows):
        left: i64 = 0
        while left < width:
            pixels = min(2 * half, width - left)
            lower = min(half, pixels)
            size = lower * n
            first = bench.image + y * row + left * n
            x = place + (y * width + left) * n
            add_all(bench, first, changes.used, changes.codes, 0, size)
            for c in range(candidates):
                change(bench, first, changes, c, size)
                taps.split(bench.sums, bench.start, size, apart, low_at, high_at)
                descale = changes.descales[c]
                total = bench.total + c * 2 * LANES
                similarity.compare_samples(
                    apart, low_at, lower, blocks, descale, output.bias, output.low, output.high, output.clips,
                    bench.reference, x, bench.totals, total,
                )  # fmt: skip
                similarity.compare_samples(
                    apart, high_at, pixels - lower, blocks, descale, output.bias, output.low, output.high, output.clips,
                    bench.reference, x + size, bench.totals, total,
                )  # fmt: skip
            left += pixels


def compare_output(
    bench: Bench,
    row: i64,
    rows: i64,
    width: i64,
    half: i64,
    used: vec[i64],
    codes: vec[float],
    code: i64,
    descale: i64,
    output: Output,
    place: i64,
) -> None:
    """Add the terms of an output of a sample to the sums, for 2 * half scales side by side.

    Images hold the codes of two scales in one number.
    """
    most = max(RUN // half, 1)
    blocks = half >> 2
    y: i64 = 0
    for y in range(rows):
        left: i64 = 0
        while left < width:
            pixels = min(most, width - left)
            add_all(bench, bench.image + y * row + left * half, used, codes, code, pixels * half)
            taps.split_lanes(bench.sums, bench.start, pixels, half, bench.apart, bench.at)
            compare_sums(bench, pixels, blocks, 0.0, descale, output, place + y * width + left)
            left += pixels


def compare_sums(
    bench: Bench, pixels: i64, blocks: i64, excess: float, descale: i64, output: Output, place: i64
) -> None:
    """Add the terms of some pixels of an output, whose sums stand apart, to the sums of a sample."""
    similarity.compare_scales(
        bench.apart, bench.at, pixels, blocks, excess, bench.descales, descale, output.bias, output.low, output.high,
        output.clips, bench.reference, place, bench.totals, bench.total,
    )  # fmt: skip


def sums_side_by_side(maps: list[Feature], window: Window, weights: Weights, scratch: Scratch, plane: i64) -> None:
    """The sums of a convolution of several feature maps, pixel by pixel those of all maps side by side.

    acc[acc_start + channel * plane + pixel * maps + map]; maps are a multiple of 8.
    """
    points = scratch.points
    count: i64 = len(maps)
    pixels = count * window.out_w
    if pixels > POINTS - 16 or len(points) < POINTS:
        raise ValueError("row too long")
    single = window.kernel_h == 1 and window.kernel_w == 1
    column = window.kernel_h * weights.channels
    size = (move.panel_columns(window) * column + 63) >> 6 << 6
    y: i64 = 0
    i: i64 = 0
    x: i64 = 0
    for y in range(window.out_h):
        for i in range(count):
            bottom = maps[i]
            if single:
                start = bottom.start + y * window.stride_h * bottom.row
                step = window.stride_w * bottom.pixel
                for x in range(window.out_w):
                    points[x * count + i] = start + x * step
            else:
                start = scratch.panel_start + i * size
                move.panel(bottom, window, weights.channels, y, scratch.panel, start)
                for x in range(window.out_w):
                    points[x * count + i] = start + move.column_slot(window, x * window.stride_w) * column
        data = maps[0].data if single else scratch.panel
        dense.multiply(data, points, pixels, weights, scratch.acc, scratch.acc_start + y * pixels, 1, plane)
