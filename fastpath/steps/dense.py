"""Dense convolutions from a feature map to wherever their results are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fastpath.kernels import Kernels
from fastpath.kernels.packing import (
    BYTES_2X4,
    BYTES_2X8,
    BYTES_4X4,
    GROUP,
    LANES,
    WORDS_2X4,
    dense_form,
    fits_lanes,
    pack_dense,
    pack_lanes,
    pack_pairs,
    round_up,
    run_length,
)
from fastpath.kernels.source.capacity import POINTS, SUM_ROW
from fastpath.kernels.source.records import Weights
from fastpath.kernels.staircase import Stairs
from fastpath.layers.common import Array, Floats
from fastpath.layers.window import Window as LayerWindow
from fastpath.steps.calls import Action, Follower, hand_on
from fastpath.steps.convolution8 import Convolution8, window_record
from fastpath.steps.leave import Exit, MapExit
from fastpath.steps.staircase import staircase
from fastpath.steps.storage import Storage
from fastpath.steps.workshop import FLOAT_TILE, Workshop

PANEL_TILE = 48 * 1024
"""Bytes of patches that one tile copies."""

SUM_TILE = 32 * 1024
"""Sums of one tile."""

MAP_TILE = 32 * 1024
"""Sums that become floats while they are in the nearest cache, and then codes."""

SUMS_PAST = 65536
"""Room behind the last sum of a tile, for the blocks of pixels and channels that reach past it."""


def runs_in_lanes(convolution: Convolution8, zero: int) -> bool:
    """Whether a lane kernel computes this layer: short patches, and no more than a quarter of the lanes idle."""
    idle = round_up(convolution.num_output, LANES) - convolution.num_output
    return fits_lanes(convolution.weight, zero) and idle * 3 <= convolution.num_output


def dense_weights(
    kernels: Kernels, convolution: Convolution8, bottom: Storage, *, lanes: bool
) -> tuple[Weights, NDArray[np.int64]]:
    """Packed weights, and what the sums of each channel are too large by for this feature map."""
    weight = convolution.weight
    run = run_length(weight, convolution.window.dilation[1], bottom.pixel)
    if lanes and bottom.zero:
        return pack_pairs(kernels, weight, run), np.zeros(convolution.num_output, np.int64)
    if lanes:
        return pack_lanes(kernels, weight, run)
    excess = bottom.zero * weight.sum(axis=(1, 2, 3), dtype=np.int64)
    return pack_dense(kernels, weight, dense_form(kernels, weight), run), excess


def kernel_name(kernels: Kernels, weights: Weights) -> str:
    """Which kernel computes with these weights, for the plan."""
    names = {BYTES_4X4: "bytes_4x4", BYTES_2X4: "bytes_2x4", BYTES_2X8: "bytes_2x8", WORDS_2X4: "words_2x4"}
    return f"{names.get(weights.form, 'lanes')} {kernels.name}"


def tile_rows(window: LayerWindow, out_h: int, out_w: int, channels: int, step: int) -> int:
    """Output rows of one tile, so that its patches and its sums stay in cache."""
    if window.kernel == (1, 1):
        patches = out_w * channels
    else:
        patches = ((out_w - 1) * window.stride[1] + window.extent[1]) * window.kernel[0] * channels
    rows = min(PANEL_TILE // patches, SUM_TILE // (out_w * step), (POINTS - 16) // out_w, out_h)
    return max(rows, 1)


def dense_to_codes(
    kernels: Kernels,
    workshop: Workshop,
    convolution: Convolution8,
    stairs: Stairs,
    bottom: Storage,
    top: Storage,
    pads: tuple[int, int],
) -> tuple[Action, str]:
    """A dense convolution from feature map to feature map, and the name of its kernel."""
    weights, excess = dense_weights(kernels, convolution, bottom, lanes=runs_in_lanes(convolution, bottom.zero))
    step = round_up(convolution.num_output, LANES if weights.form > WORDS_2X4 else GROUP)
    if top.spare and step <= top.pixel and top.pixel > convolution.num_output:
        step, stairs = top.pixel, stairs.widened(top.pixel)
        excess = np.concatenate([excess, np.zeros(step - excess.size, np.int64)])
    arguments = (
        bottom.feature(kernels, *pads),
        window_record(kernels, convolution.window, top.h, top.w),
        weights,
        staircase(kernels, workshop, stairs, top.zero, excess),
        top.feature(kernels),
        workshop.scratch(kernels),
        tile_rows(convolution.window, top.h, top.w, convolution.weight.shape[1], step),
        step,
    )
    run = kernels.dense.convolve
    return lambda: run(*arguments), kernel_name(kernels, weights)


def dense_to_blob(
    kernels: Kernels,
    workshop: Workshop,
    convolution: Convolution8,
    bottom: Storage,
    size: tuple[int, int],
    pads: tuple[int, int],
) -> tuple[Callable[[], Array], str]:
    """A dense convolution from feature map to blob, and the name of its kernel."""
    weights, excess = dense_weights(kernels, convolution, bottom, lanes=False)
    n, padded = convolution.num_output, round_up(convolution.num_output, GROUP)
    out_h, out_w = size
    leave = Exit(convolution, excess)
    rows_at_once = max(min(FLOAT_TILE // (padded * out_w), out_h), 1)
    calls = []
    for y in range(0, out_h, rows_at_once):
        count = min(rows_at_once, out_h - y)
        plane = round_up(count * out_w + GROUP, 16)
        feature = bottom.feature(kernels, pads[0] - y * convolution.window.stride[0], pads[1])
        window = window_record(kernels, convolution.window, count, out_w)
        rows = tile_rows(convolution.window, count, out_w, convolution.weight.shape[1], GROUP)
        sums = workshop.sums.items[: n * plane].reshape(n, plane)[:, : count * out_w]
        part = slice(y * out_w, (y + count) * out_w)
        calls.append(((feature, window, weights, workshop.scratch(kernels), rows, 1, plane), sums, part))
    return leave.by_tiles(kernels.dense.accumulate, calls, (n, out_h, out_w)), kernel_name(kernels, weights)


def dense_to_map(
    kernels: Kernels,
    workshop: Workshop,
    convolution: Convolution8,
    bottom: Storage,
    size: tuple[int, int],
    pads: tuple[int, int],
    top: Floats,
    followers: Sequence[Follower],
    skip: Floats | None = None,
    *,
    rectified: bool = False,
) -> tuple[Action, str]:
    """A dense convolution from feature map to floats (pixels, channels), and the name of its kernel.

    Where the network adds the map `skip` to the convolution, and has a ReLU behind that, both happen here. So does what
    becomes of the result row after row: `followers`.
    """
    weights, excess = dense_weights(kernels, convolution, bottom, lanes=False)
    out_h, out_w = size
    step = round_up(convolution.num_output, GROUP)
    rows_at_once = max(min([MAP_TILE // (step * out_w), out_h, *(follower.rows for follower in followers)]), 1)
    leave = MapExit(kernels, workshop, convolution, excess, step)
    calls = []
    for y in range(0, out_h, rows_at_once):
        count = min(rows_at_once, out_h - y)
        arguments = _accumulate_rows(kernels, workshop, convolution, weights, bottom, (y, count, out_w), pads)
        sums = workshop.sums.items[: count * out_w * step].reshape(-1, step)
        rows = slice(y * out_w, (y + count) * out_w)
        tile = leave.tile(sums, top[rows], None if skip is None else skip[rows], rectified=rectified)
        calls.append((arguments, tile, y, y + count))
    run = kernels.dense.accumulate

    def convolve() -> None:
        for arguments, tile, first, end in calls:
            run(*arguments)
            tile()
            hand_on(followers, first, end)

    return convolve, kernel_name(kernels, weights)


def dense_to_pooled(
    kernels: Kernels,
    workshop: Workshop,
    convolution: Convolution8,
    bottom: Storage,
    size: tuple[int, int],
    pads: tuple[int, int],
    pool: LayerWindow,
    pooled: tuple[int, int],
    top: Floats,
    followers: Sequence[Follower],
) -> tuple[Action, str]:
    """The same with max pooling behind it, whose pads are in `pool`; sums are pooled, and only maxima become floats."""
    weights, excess = dense_weights(kernels, convolution, bottom, lanes=False)
    (out_h, out_w), (pool_h, pool_w) = size, pooled
    above, left = pool.pads[0], pool.pads[2]
    step = round_up(convolution.num_output, GROUP)
    row, pooled_row = out_w * step, pool_w * step
    rows_at_once = (FLOAT_TILE // row - pool.kernel[0]) // pool.stride[0]
    rows_at_once = max(min([rows_at_once, pool_h, *(follower.rows for follower in followers)]), 1)
    start = workshop.sums.start
    leave = MapExit(kernels, workshop, convolution, excess, step)
    calls = []
    for y in range(0, pool_h, rows_at_once):
        count = min(rows_at_once, pool_h - y)
        low = max(y * pool.stride[0] - above, 0)
        high = min((y + count - 1) * pool.stride[0] - above + pool.kernel[0], out_h)
        arguments = _accumulate_rows(kernels, workshop, convolution, weights, bottom, (low, high - low, out_w), pads)
        work = (high - low) * row + SUMS_PAST
        out = work + row
        window = kernels.records.Window(*pool.kernel, 1, 1, *pool.stride, count, pool_w)
        pool_arguments = (
            workshop.sums.data, start, low, high - low, out_w, step, window, above, left, y, start + work, start + out,
        )  # fmt: skip
        sums = workshop.sums.items[out : out + count * pooled_row].reshape(-1, step)
        tile = leave.tile(sums, top[y * pool_w : (y + count) * pool_w], None, rectified=False)
        calls.append((arguments, pool_arguments, tile, y, y + count))
    run, run_pool = kernels.dense.accumulate, kernels.pooling.pool_sums

    def convolve() -> None:
        for arguments, pool_arguments, tile, first, end in calls:
            run(*arguments)
            run_pool(*pool_arguments)
            tile()
            hand_on(followers, first, end)

    return convolve, f"{kernel_name(kernels, weights)} and maxima"


def fits_pooled(size: tuple[int, int], num_output: int, pool: LayerWindow) -> bool:
    """Whether `dense_to_pooled` has room for the sums of at least one row of windows."""
    row = size[1] * round_up(num_output, GROUP)
    return row <= SUM_ROW and (pool.kernel[0] + pool.stride[0]) * row <= FLOAT_TILE


def _accumulate_rows(
    kernels: Kernels,
    workshop: Workshop,
    convolution: Convolution8,
    weights: Weights,
    bottom: Storage,
    rows: tuple[int, int, int],
    pads: tuple[int, int],
) -> tuple[object, ...]:
    """The arguments of `accumulate` for some rows (first, count, width) of the output, pixel after pixel."""
    y, count, out_w = rows
    feature = bottom.feature(kernels, pads[0] - y * convolution.window.stride[0], pads[1])
    window = window_record(kernels, convolution.window, count, out_w)
    tile = tile_rows(convolution.window, count, out_w, convolution.weight.shape[1], GROUP)
    step = round_up(convolution.num_output, GROUP)
    return feature, window, weights, workshop.scratch(kernels), tile, step, 1


def dense_to_means(
    kernels: Kernels,
    workshop: Workshop,
    convolution: Convolution8,
    bottom: Storage,
    size: tuple[int, int],
    pads: tuple[int, int],
) -> tuple[Callable[[], Array], str]:
    """A dense convolution and the average of each channel of its float top blob, and the name of the kernel.

    Sums stand pixel after pixel here, so that numpy adds up all channels at once, one pixel after the other as global
    pooling does.
    """
    weights, excess = dense_weights(kernels, convolution, bottom, lanes=False)
    n, padded, pixels = convolution.num_output, round_up(convolution.num_output, GROUP), size[0] * size[1]
    leave = Exit(convolution, excess)
    window = window_record(kernels, convolution.window, *size)
    rows = tile_rows(convolution.window, *size, convolution.weight.shape[1], GROUP)
    sums = workshop.sums.items[: pixels * padded].reshape(pixels, padded)[:, :n].T
    values = np.empty((pixels, n), np.float32)
    arguments = (bottom.feature(kernels, *pads), window, weights, workshop.scratch(kernels), rows, padded, 1)
    run = kernels.dense.accumulate

    def compute() -> Array:
        run(*arguments)
        leave(sums, values.T)
        means: Array = np.add.reduce(values, axis=0, initial=np.float32(0)) / np.float32(pixels)
        return means

    return compute, f"{kernel_name(kernels, weights)} and averages"
