"""The steps of a plan: single layers, prepared to run on feature maps in arenas by compiled kernels.

A feature map is int8 codes as unsigned bytes, code plus zero point, pixel after pixel with all channels of a pixel
together, and border pixels around it. The zero point is 0 where no code is negative, else 128.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from librt.vecs import vec
from mypy_extensions import i32, i64, u8
from numpy.typing import NDArray

from fastpath.arena import Buffer, byte_buffer, int_buffer, long_vec, word_buffer
from fastpath.kernels import Kernels
from fastpath.kernels.packing import (
    BYTES_2X4,
    BYTES_4X4,
    GROUP,
    LANES,
    WORDS_2X4,
    dense_form,
    fits_lanes,
    fits_repeated,
    pack_dense,
    pack_depthwise,
    pack_lanes,
    pack_pairs,
    round_up,
)
from fastpath.kernels.source.capacity import (
    ACCUMULATOR_SLACK,
    ACCUMULATORS,
    CHANNELS,
    FEATURES,
    POINTS,
    SLACK,
    STEPS,
    SUM_ROW,
)
from fastpath.kernels.source.records import DepthwiseWeights, Feature, Scratch, Staircase, Weights, Window
from fastpath.kernels.staircase import Stairs, find_steps, fit, fit_bent
from fastpath.layers.activation import CLIP, NONE, RELU, Activation
from fastpath.layers.common import Array, Floats, Operator, fault
from fastpath.layers.epilogue import ZERO, Epilogue
from fastpath.layers.window import Pads, resolve_pads
from fastpath.layers.window import Window as LayerWindow
from fastpath.rounding import BELOW_HALF, BLOCK, INT8_MAX, finite, quantize, round_in_place
from spec.graph import Layer, Shape

SIGNED_ZERO = 128
"""The zero point of feature maps with negative codes."""

PANEL_TILE = 48 * 1024
"""Bytes of patches that one tile copies."""

SUM_TILE = 32 * 1024
"""Sums of one tile."""

LANE_RUN = 256
"""Lanes that are computed in one run where neighbouring pixels can be."""

FEW = 8
"""Up to one channel in so many may need its steps before all channels go by them."""

STEPPED_RUN = 64
"""The same where tables decide, of which every lane has its own."""

FLOAT_TILE = 256 * 1024
"""Sums that wait together to become floats."""

MAP_RUN = 4096
"""Floats that one row of a tile holds, of as many pixels as that takes."""

SUMS_PAST = 65536
"""Room behind the last sum of a tile, for the blocks of pixels and channels that reach past it."""

STEEPEST = np.float32(1000)
"""The steepest slope of a leaky ReLU that integers stand for."""

LARGEST_STEP = 2**31 - 1
"""A sum that is never reached."""

Blobs = dict[str, Array]
Step = Callable[[Blobs], None]
"""Runs one layer: takes blobs from the dictionary, leaves blobs in it, and knows its feature maps."""

Action = Callable[[], None]
"""A part of a step: a kernel with its arguments."""


@dataclass
class Storage:
    """Where a feature map lies: the channels from `offset` on of an h by w map at the start of an arena."""

    buffer: Buffer[vec[u8]]
    h: int
    w: int
    pixel: int
    above: int
    below: int
    left: int
    right: int
    zero: int
    offset: int = 0
    spare: bool = False
    """Whether the bytes between the channels of one pixel and the next pixel are nobody's."""

    @property
    def row(self) -> int:
        """Bytes from row to row."""
        return (self.left + self.w + self.right) * self.pixel

    @property
    def origin(self) -> int:
        """The place of the first channel of pixel (0, 0)."""
        return self.buffer.start + self.above * self.row + self.left * self.pixel + self.offset

    def feature(self, kernels: Kernels, pad_top: int = 0, pad_left: int = 0) -> Feature:
        """The record that kernels read, beginning so many border pixels before pixel (0, 0)."""
        place = self.origin - pad_top * self.row - pad_left * self.pixel
        feature: Feature = kernels.records.Feature(self.buffer.data, place, self.row, self.pixel)
        return feature


def storage_bytes(h: int, w: int, pixel: int, borders: tuple[int, int, int, int]) -> int:
    """The bytes of a feature map with its borders (above, below, left, right)."""
    above, below, left, right = borders
    return (above + h + below) * (left + w + right) * pixel


class Workshop:
    """What the steps of a plan share: the panel, the sums, and tables of steps. Belongs to one thread."""

    def __init__(self) -> None:
        self.panel = byte_buffer(FEATURES + SLACK)
        self.sums = int_buffer(ACCUMULATORS + ACCUMULATOR_SLACK)
        self.points = long_vec(np.zeros(0), POINTS)
        self.codes = word_buffer(CHANNELS)
        self.tables: list[tuple[Buffer[vec[i32]], int]] = []
        self.scratches: dict[str, Scratch] = {}
        self.no_table = vec[i32]()

    def scratch(self, kernels: Kernels) -> Scratch:
        """The shared buffers as a record of one level."""
        if kernels.name not in self.scratches:
            self.scratches[kernels.name] = kernels.records.Scratch(
                self.panel.data, self.panel.start, self.sums.data, self.sums.start, self.points, self.codes.data
            )
        return self.scratches[kernels.name]

    def table(self, entries: int) -> tuple[Buffer[vec[i32]], int]:
        """Room for a table of steps: a buffer, and the place in it (counted from its first aligned item)."""
        if not self.tables or self.tables[-1][1] + entries > STEPS:
            self.tables.append((int_buffer(STEPS + CHANNELS * 256), 0))
        buffer, place = self.tables[-1]
        self.tables[-1] = (buffer, place + entries)
        return buffer, place


@dataclass
class Convolution8:
    """An int8 Convolution or ConvolutionDepthWise: weights (num_output, channels a group, kernel_h, kernel_w)."""

    layer: Layer
    window: LayerWindow
    weight: NDArray[np.int8]
    depthwise: bool
    activation: Activation
    bias: Floats | None
    descale: Floats
    bottom_scale: np.float32
    top_scale: np.float32 | None
    slopes: Floats | None = None
    """What negative values are multiplied by behind all other steps, per channel: the layer behind is leaky."""

    @property
    def num_output(self) -> int:
        """Output channels."""
        return int(self.weight.shape[0])

    @property
    def bounds(self) -> NDArray[np.int64]:
        """What the magnitude of the sums of each output channel cannot exceed."""
        bounds: NDArray[np.int64] = np.abs(self.weight.astype(np.int64)).sum(axis=(1, 2, 3)) * 128
        return bounds

    def pads(self, shape: Shape) -> Pads:
        """The borders (above, below, left, right) that a bottom blob of this shape gets."""
        return resolve_pads(self.layer, self.window, shape[1], shape[2], int8=True)

    def epilogue(self, top_scale: np.float32 | None, repeat: int = 1) -> Epilogue:
        """The float steps, with requantization where there is a top scale, for `repeat` times the channels."""
        bias = None if self.bias is None else np.tile(self.bias, repeat)
        descale = np.tile(self.descale, repeat)
        return Epilogue(self.layer, self.activation, bias, descale, top_scale, float(self.bounds.max()))

    def stairs(self, top_scale: np.float32) -> Stairs | None:
        """Integers for all float steps, or None where there are none."""
        if self.activation.type not in (NONE, RELU, CLIP) or not top_scale > 0:
            return None
        if self.activation.type == CLIP and not self.activation.params[0] <= self.activation.params[1]:
            return None
        if not np.isfinite(self.descale).all() or self.descale.min() < 0:
            return None
        epilogue = self.epilogue(top_scale)
        if epilogue.must_check:
            return None
        if self.slopes is not None:
            return self._bent_stairs(top_scale, self.slopes)

        def chain(sums: NDArray[np.float32]) -> NDArray[np.int8]:
            epilogue(sums)
            return sums.astype(np.int8)

        bounds = self.bounds
        extremes = chain(np.stack([-bounds, bounds], axis=1).astype(np.float32))
        low, high = int(extremes.min()), int(extremes.max())
        if low == high:
            return None
        return fit(find_steps(chain, bounds, low, high), self._codes_per_sum(top_scale), bounds, low, high)

    def _codes_per_sum(self, top_scale: np.float32) -> NDArray[np.float64]:
        return self.descale.astype(np.float64) * np.float64(top_scale)

    def _bent_stairs(self, top_scale: np.float32, slopes: Floats) -> Stairs | None:
        """The same with a leaky ReLU behind bias and activation."""
        if not (np.abs(slopes) <= STEEPEST).all() or self.num_output > CHANNELS // 2:
            return None
        float_steps = self.epilogue(None)

        def positive(sums: NDArray[np.float32]) -> NDArray[np.int8]:
            float_steps(sums)
            return (sums > 0).astype(np.int8)

        def chain(sums: NDArray[np.float32]) -> NDArray[np.int8]:
            float_steps(sums)
            return quantize(np.where(sums < 0, sums * slopes[:, np.newaxis], sums), top_scale)

        bounds = self.bounds
        bend = find_steps(positive, bounds, 0, 1)[:, 0]
        turns = np.stack([-bounds, np.maximum(bend - 1, -bounds), np.minimum(bend, bounds), bounds], axis=1)
        extremes = chain(turns.astype(np.float32))
        low, high = int(extremes.min()), int(extremes.max())
        if low == high:
            return None
        per_sum = self._codes_per_sum(top_scale)
        return fit_bent(chain, bend, per_sum, per_sum * slopes, bounds, low, high)


def staircase(kernels: Kernels, workshop: Workshop, stairs: Stairs, zero: int, excess: NDArray[np.int64]) -> Staircase:
    """The record of a staircase for feature maps of this zero point, from sums that are too large by `excess`."""
    channels = stairs.m.size
    odd = np.flatnonzero(~stairs.fits)
    stepped = odd.size * FEW > channels
    repeat = max((STEPPED_RUN if stepped else LANE_RUN) // channels, 1)
    lift = np.int64(zero) << np.int64(stairs.shift)
    c = stairs.c + lift - excess * stairs.m
    table, place = workshop.no_table, 0
    if odd.size:
        thresholds = _thresholds(stairs, stairs.steps, excess, stairs.low + zero)
        if stairs.lower is not None:
            below = _thresholds(stairs, stairs.lower.steps, excess * stairs.lower.turn, stairs.low + zero)
            thresholds = np.concatenate([thresholds, below], axis=1)
        used = np.tile(thresholds, (repeat, 1)) if stepped else thresholds[odd]
        buffer, entry = workshop.table(used.size)
        buffer.items[entry : entry + used.size] = used.reshape(-1)
        table, place = buffer.data, buffer.start + entry
    bend, lower_m, lower_c, turn = vec[i64](), vec[i64](), vec[i64](), vec[i64]()
    if stairs.lower is not None:
        bend = long_vec(np.tile(stairs.lower.bend + excess, repeat), CHANNELS)
        lower_m = long_vec(np.tile(stairs.lower.m, repeat), CHANNELS)
        lower_c = long_vec(np.tile(stairs.lower.c + lift - excess * stairs.lower.m, repeat), CHANNELS)
        turn = long_vec(np.tile(stairs.lower.turn, repeat), CHANNELS)
    record: Staircase = kernels.records.Staircase(
        long_vec(np.tile(stairs.m, repeat), CHANNELS),
        long_vec(np.tile(c, repeat), CHANNELS),
        stairs.shift,
        stairs.low + zero,
        stairs.high + zero,
        stepped,
        table,
        place,
        long_vec(odd, 0 if stepped else odd.size),
        channels,
        repeat,
        stairs.lower is not None,
        bend,
        lower_m,
        lower_c,
        turn,
    )
    return record


def _thresholds(stairs: Stairs, steps: NDArray[np.int64], excess: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """Tables (channels, 256) of steps, the step to the byte after `first` at that place."""
    table = np.full((steps.shape[0], 256), LARGEST_STEP, np.int64)
    unreached = steps > stairs.bounds[:, np.newaxis]
    table[:, first : first + steps.shape[1]] = np.where(unreached, LARGEST_STEP, steps + excess[:, np.newaxis])
    return table


def window_record(kernels: Kernels, window: LayerWindow, out_h: int, out_w: int) -> Window:
    """The record of a layer's window."""
    record: Window = kernels.records.Window(*window.kernel, *window.dilation, *window.stride, out_h, out_w)
    return record


def frame(kernels: Kernels, storage: Storage) -> list[Action]:
    """What fills the border pixels of a feature map; nothing where it has none."""
    borders = (storage.above, storage.below, storage.left, storage.right)
    if not any(borders):
        return []
    feature = replace(storage, offset=0).feature(kernels)
    run = kernels.move.frame
    return [lambda: run(feature, storage.h, storage.w, *borders, storage.zero)]


class Entry:
    """Brings a float32 or int8 blob into a feature map: quantize, add the zero point, interleave the channels."""

    def __init__(
        self, kernels: Kernels, workshop: Workshop, layer: Layer, scale: np.float32, storage: Storage, shape: Shape
    ) -> None:
        self.layer, self.scale = layer, scale
        self.codes: NDArray[np.int8] = workshop.panel.items.view(np.int8)[: math.prod(shape)]
        feature = storage.feature(kernels)
        # With a zero point of 128, adding it and flipping the highest bit are the same.
        self.arguments = (workshop.panel.data, workshop.panel.start, *shape, storage.zero, feature)
        self.interleave = kernels.move.interleave
        self.values = np.empty(BLOCK, np.float32)
        self.signs = np.empty(BLOCK, np.int32) if storage.zero else None

    def __call__(self, blob: Array) -> None:
        """GraphError for values that have no code."""
        flat = blob.reshape(-1)
        if blob.dtype == np.int8:
            np.copyto(self.codes, flat)
        else:
            if not finite(blob):
                raise fault(self.layer, "cannot quantize: NaN and infinities have no int8 codes")
            for first in range(0, flat.size, BLOCK):
                part = flat[first : first + BLOCK]
                values = self.values[: part.size]
                np.multiply(part, self.scale, out=values)
                round_in_place(values, None if self.signs is None else self.signs[: part.size])
                np.copyto(self.codes[first : first + part.size], values, casting="unsafe")
        self.interleave(*self.arguments)


class Exit:
    """Turns sums into a float32 or int8 blob: what the layer does in numpy, from the kernels' integers."""

    def __init__(self, convolution: Convolution8, excess: NDArray[np.int64]) -> None:
        self.epilogue = convolution.epilogue(convolution.top_scale)
        self.dtype = np.float32 if convolution.top_scale is None else np.int8
        self.excess = excess.astype(np.int32)[:, np.newaxis] if excess.any() else None

    def __call__(self, sums: NDArray[np.int32], top: Array) -> None:
        """Write `top` (channels, n) from sums (channels, n)."""
        usable = top.dtype == np.float32 and (top.flags.c_contiguous or top.flags.f_contiguous)
        values = top if usable else np.empty(top.shape, np.float32)
        if self.excess is None:
            np.copyto(values, sums, casting="unsafe")
        else:
            np.subtract(sums, self.excess, out=values, casting="unsafe", dtype=np.int32)
        self.epilogue(values)
        if values is not top:
            np.copyto(top, values, casting="unsafe")


def runs_in_lanes(convolution: Convolution8, zero: int) -> bool:
    """Whether a lane kernel computes this layer: short patches, and no more than a quarter of the lanes idle."""
    idle = round_up(convolution.num_output, LANES) - convolution.num_output
    return fits_lanes(convolution.weight, zero) and idle * 3 <= convolution.num_output


def dense_weights(
    kernels: Kernels, convolution: Convolution8, zero: int, *, lanes: bool
) -> tuple[Weights, NDArray[np.int64]]:
    """Packed weights, and what the sums of each channel are too large by for feature maps of this zero point."""
    weight = convolution.weight
    if lanes and zero:
        return pack_pairs(kernels, weight), np.zeros(convolution.num_output, np.int64)
    if lanes:
        return pack_lanes(kernels, weight)
    excess = zero * weight.astype(np.int64).sum(axis=(1, 2, 3))
    return pack_dense(kernels, weight, dense_form(kernels)), excess


def kernel_name(kernels: Kernels, weights: Weights) -> str:
    """Which kernel computes with these weights, for the plan."""
    names = {BYTES_4X4: "bytes_4x4", BYTES_2X4: "bytes_2x4", WORDS_2X4: "words_2x4"}
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
    weights, excess = dense_weights(kernels, convolution, bottom.zero, lanes=runs_in_lanes(convolution, bottom.zero))
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
    weights, excess = dense_weights(kernels, convolution, bottom.zero, lanes=False)
    n, padded = convolution.num_output, round_up(convolution.num_output, GROUP)
    out_h, out_w = size
    leave = Exit(convolution, excess)
    rows_at_once = max(min(FLOAT_TILE // (padded * out_w), out_h), 1)
    origin = bottom.feature(kernels, *pads)
    calls = []
    for y in range(0, out_h, rows_at_once):
        count = min(rows_at_once, out_h - y)
        plane = round_up(count * out_w + GROUP, 16)
        feature = kernels.records.Feature(
            bottom.buffer.data, origin.start + y * convolution.window.stride[0] * bottom.row, bottom.row, bottom.pixel
        )
        window = window_record(kernels, convolution.window, count, out_w)
        rows = tile_rows(convolution.window, count, out_w, convolution.weight.shape[1], GROUP)
        sums = workshop.sums.items[: n * plane].reshape(n, plane)[:, : count * out_w]
        part = slice(y * out_w, (y + count) * out_w)
        calls.append(((feature, window, weights, workshop.scratch(kernels), rows, 1, plane), sums, part))
    run = kernels.dense.accumulate

    def convolve() -> Array:
        top = np.empty((n, out_h * out_w), leave.dtype)
        for arguments, sums, part in calls:
            run(*arguments)
            leave(sums, top[:, part])
        return top.reshape(n, out_h, out_w)

    return convolve, kernel_name(kernels, weights)


class MapExit:
    """Turns sums that stand pixel after pixel into floats that do, whole tiles of pixels at a time."""

    def __init__(self, convolution: Convolution8, excess: NDArray[np.int64], pixels: int, step: int) -> None:
        """Of the `step` sums of a pixel, those past the output channels are ignored."""
        n = convolution.num_output
        widest = max(MAP_RUN // n, 1) if step == n else 1
        self.repeat = next(count for count in range(min(widest, pixels), 0, -1) if pixels % count == 0)
        self.shape, self.step = (pixels // self.repeat, self.repeat * n), step
        self.rows = max(BLOCK // self.shape[1], 1)
        self.epilogue = convolution.epilogue(None, self.repeat)
        self.excess = np.tile(excess.astype(np.int32), self.repeat) if excess.any() else None

    def __call__(
        self, sums: NDArray[np.int32], top: Floats, skip: Floats | None = None, *, rectified: bool = False
    ) -> None:
        """Write `top` (pixels, channels) from sums (pixels, step), then add `skip` and rectify if that is asked for."""
        runs, values = sums[:, : top.shape[1]], top.reshape(self.shape)
        added = None if skip is None else skip.reshape(self.shape)
        if self.repeat > 1:
            runs = sums.reshape(self.shape)
        for first in range(0, self.shape[0], self.rows):
            part = slice(first, first + self.rows)
            if self.excess is None:
                np.copyto(values[part], runs[part], casting="unsafe")
            else:
                np.subtract(runs[part], self.excess, out=values[part], casting="unsafe", dtype=np.int32)
            self.epilogue(values[part].T)
            if added is not None:
                np.add(values[part], added[part], out=values[part])
            if rectified:
                np.maximum(values[part], ZERO, out=values[part])


def dense_to_map(
    kernels: Kernels,
    workshop: Workshop,
    convolution: Convolution8,
    bottom: Storage,
    size: tuple[int, int],
    pads: tuple[int, int],
    top: Floats,
    skip: Floats | None = None,
    *,
    rectified: bool = False,
) -> tuple[Action, str]:
    """A dense convolution from feature map to floats (pixels, channels), and the name of its kernel.

    Where the network adds the map `skip` to the convolution, and has a ReLU behind that, both happen here.
    """
    weights, excess = dense_weights(kernels, convolution, bottom.zero, lanes=False)
    out_h, out_w = size
    step = round_up(convolution.num_output, GROUP)
    rows_at_once = max(min(FLOAT_TILE // (step * out_w), out_h), 1)
    calls = []
    for y in range(0, out_h, rows_at_once):
        count = min(rows_at_once, out_h - y)
        arguments = _accumulate_rows(kernels, workshop, convolution, weights, bottom, (y, count, out_w), pads)
        sums = workshop.sums.items[: count * out_w * step].reshape(-1, step)
        rows = slice(y * out_w, (y + count) * out_w)
        added = None if skip is None else skip[rows]
        calls.append((arguments, MapExit(convolution, excess, count * out_w, step), sums, top[rows], added))
    run = kernels.dense.accumulate

    def convolve() -> None:
        for arguments, leave, sums, part, added in calls:
            run(*arguments)
            leave(sums, part, added, rectified=rectified)

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
) -> tuple[Action, str]:
    """The same with max pooling behind it, whose pads are in `pool`; sums are pooled, and only maxima become floats."""
    weights, excess = dense_weights(kernels, convolution, bottom.zero, lanes=False)
    (out_h, out_w), (pool_h, pool_w) = size, pooled
    above, left = pool.pads[0], pool.pads[2]
    step = round_up(convolution.num_output, GROUP)
    row, pooled_row = out_w * step, pool_w * step
    rows_at_once = max(min((FLOAT_TILE // row - pool.kernel[0]) // pool.stride[0], pool_h), 1)
    start = workshop.sums.start
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
        part = top[y * pool_w : (y + count) * pool_w]
        calls.append((arguments, pool_arguments, MapExit(convolution, excess, count * pool_w, step), sums, part))
    run, run_pool = kernels.dense.accumulate, kernels.pooling.pool_sums

    def convolve() -> None:
        for arguments, pool_arguments, leave, sums, part in calls:
            run(*arguments)
            run_pool(*pool_arguments)
            leave(sums, part)

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
    origin = bottom.feature(kernels, *pads)
    place = origin.start + y * convolution.window.stride[0] * bottom.row
    feature = kernels.records.Feature(bottom.buffer.data, place, bottom.row, bottom.pixel)
    window = window_record(kernels, convolution.window, count, out_w)
    tile = tile_rows(convolution.window, count, out_w, convolution.weight.shape[1], GROUP)
    step = round_up(convolution.num_output, GROUP)
    return feature, window, weights, workshop.scratch(kernels), tile, step, 1


class MapEntry:
    """Brings floats (pixels, channels) into a feature map: quantize, add the zero point."""

    def __init__(self, layer: Layer, scale: np.float32, storage: Storage, source: Floats) -> None:
        self.layer, self.scale, self.zero = layer, scale, storage.zero
        first = storage.origin - storage.buffer.start
        count = (storage.h - 1) * storage.row + (storage.w - 1) * storage.pixel + source.shape[1]
        shape, strides = (storage.h, storage.w, source.shape[1]), (storage.row, storage.pixel, 1)
        codes = storage.buffer.items[first : first + count].view(np.int8)
        self.codes = np.lib.stride_tricks.as_strided(codes, shape, strides)
        self.source = source.reshape(shape)
        self.rows = max(BLOCK // (storage.w * source.shape[1]), 1)
        self.values = np.empty((self.rows, *shape[1:]), np.float32)
        self.signs = np.empty(self.values.shape, np.int32) if storage.zero else None

    def __call__(self) -> None:
        """GraphError for values that have no code."""
        if not finite(self.source):
            raise fault(self.layer, "cannot quantize: NaN and infinities have no int8 codes")
        for first in range(0, self.codes.shape[0], self.rows):
            part = self.source[first : first + self.rows]
            codes, values = self.codes[first : first + self.rows], self.values[: part.shape[0]]
            np.multiply(part, self.scale, out=values)
            if self.signs is None:
                np.minimum(values, INT8_MAX, out=values)
                np.add(values, BELOW_HALF, out=values)
                np.copyto(codes, values, casting="unsafe")
            else:
                round_in_place(values, self.signs[: part.shape[0]])
                np.copyto(codes, values, casting="unsafe")
                # Adding a zero point of 128 and flipping the highest bit are the same.
                np.bitwise_xor(codes, np.int8(-SIGNED_ZERO), out=codes)


def add_maps(left: Floats, right: Floats, top: Floats, relu: bool) -> Action:
    """The sum of two maps, with a ReLU behind it or without."""
    operands = [blob.reshape(-1) for blob in (left, right, top)]

    def add() -> None:
        for first in range(0, operands[2].size, BLOCK):
            a, b, out = (operand[first : first + BLOCK] for operand in operands)
            np.add(a, b, out=out)
            if relu:
                np.maximum(out, ZERO, out=out)

    return add


def rectify_map(blob: Floats) -> Action:
    """ReLU in place."""
    flat = blob.reshape(-1)

    def rectify() -> None:
        np.maximum(flat, ZERO, out=flat)

    return rectify


def mean_of_map(source: Floats) -> Array:
    """The average of each channel, adding up one pixel after the other as global pooling does."""
    means: Array = np.add.reduce(source, axis=0, initial=ZERO) / np.float32(source.shape[0])
    return means


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
    weights, excess = dense_weights(kernels, convolution, bottom.zero, lanes=False)
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


def depthwise_weights(kernels: Kernels, convolution: Convolution8, bottom: Storage) -> DepthwiseWeights:
    """Packed weights; several pixels make one run of lanes where they are neighbours in memory and in the layer."""
    channels = convolution.num_output
    adjacent = convolution.window.stride[1] == 1 and bottom.pixel == channels
    runs = convolution.window.kernel == (3, 3) or convolution.window.kernel[1] == 5
    repeat = max(LANE_RUN // channels, 1) if adjacent and runs and fits_repeated(convolution.weight, LANE_RUN) else 1
    return pack_depthwise(kernels, convolution.weight, bottom.zero, repeat)


def widened(convolution: Convolution8, channels: int) -> Convolution8:
    """A depthwise convolution with channels of zeros behind its own."""
    more = channels - convolution.num_output
    weight = np.concatenate([convolution.weight, np.zeros((more, *convolution.weight.shape[1:]), np.int8)])
    return replace(convolution, weight=weight)


def depthwise_to_codes(
    kernels: Kernels,
    workshop: Workshop,
    convolution: Convolution8,
    stairs: Stairs,
    bottom: Storage,
    top: Storage,
    pads: tuple[int, int],
) -> tuple[Action, str]:
    """A depthwise convolution from feature map to feature map, and the name of its kernel."""
    if top.spare and top.pixel == bottom.pixel > convolution.num_output:
        convolution, stairs = widened(convolution, top.pixel), stairs.widened(top.pixel)
    arguments = (
        bottom.feature(kernels, *pads),
        window_record(kernels, convolution.window, top.h, top.w),
        depthwise_weights(kernels, convolution, bottom),
        staircase(kernels, workshop, stairs, top.zero, np.zeros(convolution.num_output, np.int64)),
        top.feature(kernels),
        workshop.scratch(kernels),
    )
    run = kernels.depthwise.convolve
    return lambda: run(*arguments), f"depthwise {kernels.name}"


def depthwise_to_blob(
    kernels: Kernels,
    workshop: Workshop,
    convolution: Convolution8,
    bottom: Storage,
    size: tuple[int, int],
    pads: tuple[int, int],
) -> tuple[Callable[[], Array], str]:
    """A depthwise convolution from feature map to blob, and the name of its kernel."""
    n = convolution.num_output
    out_h, out_w = size
    leave = Exit(convolution, np.zeros(n, np.int64))
    weights = depthwise_weights(kernels, convolution, bottom)
    rows_at_once = max(min(FLOAT_TILE // (n * out_w), out_h), 1)
    origin = bottom.feature(kernels, *pads)
    calls = []
    for y in range(0, out_h, rows_at_once):
        count = min(rows_at_once, out_h - y)
        feature = kernels.records.Feature(
            bottom.buffer.data, origin.start + y * convolution.window.stride[0] * bottom.row, bottom.row, bottom.pixel
        )
        window = window_record(kernels, convolution.window, count, out_w)
        sums = workshop.sums.items[: count * out_w * n].reshape(count * out_w, n).T
        part = slice(y * out_w, (y + count) * out_w)
        calls.append(((feature, window, weights, workshop.scratch(kernels)), sums, part))
    run = kernels.depthwise.accumulate

    def convolve() -> Array:
        top = np.empty((n, out_h * out_w), leave.dtype)
        for arguments, sums, part in calls:
            run(*arguments)
            leave(sums, top[:, part])
        return top.reshape(n, out_h, out_w)

    return convolve, f"depthwise {kernels.name}"


def max_pool(
    kernels: Kernels,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    channels: int,
    bottom: Storage,
    top: Storage,
    pads: tuple[int, int],
) -> Action:
    """Max pooling from feature map to feature map."""
    window = kernels.records.Window(*kernel, 1, 1, *stride, top.h, top.w)
    source, target = bottom.feature(kernels, *pads), top.feature(kernels)
    run = kernels.pooling.max_pool
    return lambda: run(source, window, channels, target)


class OperatorStep:
    """A layer that stays with numpy."""

    def __init__(self, layer: Layer, operator: Operator) -> None:
        self.bottoms, self.tops, self.operator = layer.bottoms, layer.tops, operator

    def __call__(self, blobs: Blobs) -> None:
        """Run the operator."""
        blobs.update(zip(self.tops, self.operator([blobs[name] for name in self.bottoms]), strict=True))


class SliceStep:
    """A blob cut along its outermost axis; the pieces are parts of it."""

    def __init__(self, layer: Layer, sizes: list[int]) -> None:
        self.source = layer.bottoms[0]
        ends = np.cumsum(sizes).tolist()
        self.parts = [(top, slice(end - size, end)) for top, size, end in zip(layer.tops, sizes, ends, strict=True)]

    def __call__(self, blobs: Blobs) -> None:
        """Put the pieces among the blobs."""
        blob = blobs[self.source]
        for top, part in self.parts:
            blobs[top] = blob[part]


class CodesStep:
    """A layer whose top blob stays inside the plan: a feature map, or a map of floats."""

    def __init__(self, source: str, entry: Entry | MapEntry | None, actions: list[Action]) -> None:
        self.source, self.entry, self.actions = source, entry, actions

    def __call__(self, blobs: Blobs) -> None:
        """Quantize the bottom blob if it is one, then run the kernels."""
        if isinstance(self.entry, MapEntry):
            self.entry()
        elif self.entry is not None:
            self.entry(blobs[self.source])
        for action in self.actions:
            action()


class BlobStep:
    """A layer whose top blob leaves as an array."""

    def __init__(
        self,
        source: str,
        entry: Entry | MapEntry | None,
        actions: list[Action],
        compute: Callable[[], Array],
        target: str,
    ) -> None:
        self.before = CodesStep(source, entry, actions)
        self.compute, self.target = compute, target

    def __call__(self, blobs: Blobs) -> None:
        """Run the kernels and put the top blob among the others."""
        self.before(blobs)
        blobs[self.target] = self.compute()
