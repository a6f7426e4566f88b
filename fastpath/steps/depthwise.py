"""Depthwise convolutions from a feature map to another, or to a blob."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastpath.kernels import Kernels
from fastpath.kernels.packing import LANES, fits_repeated, pack_depthwise, pack_depthwise_lanes, round_up
from fastpath.kernels.source.capacity import WORD_ROW
from fastpath.kernels.source.records import DepthwiseWeights
from fastpath.kernels.staircase import Stairs
from fastpath.layers.common import Array
from fastpath.steps.calls import Action
from fastpath.steps.convolution8 import Convolution8, window_record
from fastpath.steps.leave import Exit
from fastpath.steps.staircase import LANE_RUN, staircase
from fastpath.steps.storage import Storage
from fastpath.steps.workshop import FLOAT_TILE, Workshop


def depthwise_weights(kernels: Kernels, convolution: Convolution8, bottom: Storage) -> DepthwiseWeights:
    """Packed weights; several pixels make one run of lanes where they are neighbours in memory and in the layer."""
    channels = convolution.num_output
    adjacent = convolution.window.stride[1] == 1 and bottom.pixel == channels
    runs = convolution.window.kernel == (3, 3) or convolution.window.kernel[1] == 5
    repeat = max(LANE_RUN // channels, 1) if adjacent and runs and fits_repeated(convolution.weight, LANE_RUN) else 1
    return pack_depthwise(kernels, convolution.weight, bottom.zero, repeat)


def runs_in_lanes(convolution: Convolution8, bottom: Storage, out_w: int) -> bool:
    """Whether rows can be widened to words first: 3 by 3 windows of codes from 0 to 127, and no lane idle."""
    window = convolution.window
    row = ((out_w - 1) * window.stride[1] + 3) * bottom.pixel
    square = window.kernel == (3, 3) and window.dilation == (1, 1)
    return square and bottom.zero == 0 and convolution.num_output % LANES == 0 and row <= WORD_ROW


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
    if runs_in_lanes(convolution, bottom, top.w):
        weights, excess = pack_depthwise_lanes(kernels, convolution.weight)
    else:
        weights, excess = depthwise_weights(kernels, convolution, bottom), np.zeros(convolution.num_output, np.int64)
    arguments = (
        bottom.feature(kernels, *pads),
        window_record(kernels, convolution.window, top.h, top.w),
        weights,
        staircase(kernels, workshop, stairs, top.zero, excess),
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
    # Whole vectors: what lies behind the channels of a pixel counts for nothing.
    step = bottom.pixel if bottom.pixel == round_up(n, 16) and not bottom.offset else n
    weights = depthwise_weights(kernels, widened(convolution, step), bottom)
    rows_at_once = max(min(FLOAT_TILE // (step * out_w), out_h), 1)
    calls = []
    for y in range(0, out_h, rows_at_once):
        count = min(rows_at_once, out_h - y)
        feature = bottom.feature(kernels, pads[0] - y * convolution.window.stride[0], pads[1])
        window = window_record(kernels, convolution.window, count, out_w)
        sums = workshop.sums.items[: count * out_w * step].reshape(count * out_w, step).T[:n]
        part = slice(y * out_w, (y + count) * out_w)
        calls.append(((feature, window, weights, workshop.scratch(kernels)), sums, part))
    return leave.by_tiles(kernels.depthwise.accumulate, calls, (n, out_h, out_w)), f"depthwise {kernels.name}"
