"""Staircases as the records that kernels read."""

from __future__ import annotations

import numpy as np
from librt.vecs import vec
from mypy_extensions import i32, i64
from numpy.typing import NDArray

from fastpath.arena import Buffer, int_buffer, long_vec
from fastpath.kernels import Kernels
from fastpath.kernels.halves import Halves, halve
from fastpath.kernels.source.capacity import CHANNELS
from fastpath.kernels.source.records import Staircase
from fastpath.kernels.staircase import Stairs
from fastpath.steps.workshop import Workshop

LANE_RUN = 256
"""Lanes that are computed in one run where neighbouring pixels can be."""

FEW = 8
"""Up to one channel in so many may need its steps before all channels go by them."""

STEPPED_RUN = 64
"""The same where tables decide, of which every lane has its own."""

LARGEST_STEP = 2**31 - 1
"""A sum that is never reached."""


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
    halved = None if stepped else halve(stairs, excess, zero)
    parts = _parts(halved, repeat) if halved else workshop.no_parts
    # Of the long numbers only those of odd channels are read then.
    longs = channels if halved else CHANNELS
    record: Staircase = kernels.records.Staircase(
        long_vec(np.tile(stairs.m, repeat), longs),
        long_vec(np.tile(c, repeat), longs),
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
        halved is not None,
        parts.data,
        parts.start,
        halved.fine_shift if halved else 0,
        halved.coarse_shift if halved else 0,
    )
    return record


def _parts(halves: Halves, repeat: int) -> Buffer[vec[i32]]:
    """The rows that the kernel reads, every channel `repeat` times."""
    rows = np.stack([halves.floor, halves.width, halves.fine, halves.coarse, halves.offset])
    parts = int_buffer(6 * CHANNELS)
    parts.items[: rows.size * repeat] = np.tile(rows, repeat).reshape(-1)
    return parts


def _thresholds(stairs: Stairs, steps: NDArray[np.int64], excess: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """Tables (channels, 256) of steps, the step to the byte after `first` at that place."""
    table = np.full((steps.shape[0], 256), LARGEST_STEP, np.int64)
    unreached = steps > stairs.bounds[:, np.newaxis]
    table[:, first : first + steps.shape[1]] = np.where(unreached, LARGEST_STEP, steps + excess[:, np.newaxis])
    return table
