"""The integers of a staircase in 32 bits: vectors of 32-bit lanes hold twice as many sums as those of 64-bit lanes.

A sum below the first step or above the last has the code next to it, so only the way from the one to the other counts.
Its multiplier is split in two: way * (coarse * 2**fine_shift + fine) takes two products that fit 32 bits each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastpath.kernels.staircase import Longs, Stairs

BYTE_BITS = 30
"""A byte before its shift has no more bits, so that whatever adds up to it fits 32 bits with its sign."""

HIGHEST, LOWEST = np.iinfo(np.int64).max, np.iinfo(np.int64).min


@dataclass(frozen=True)
class Halves:
    """For every channel byte = ((way * fine >> fine_shift) + way * coarse + offset) >> coarse_shift.

    The way is the sum less `floor`, held between 0 and `width`; the byte is the code plus the zero point.
    """

    floor: Longs
    width: Longs
    fine: Longs
    coarse: Longs
    offset: Longs
    fine_shift: int
    coarse_shift: int


def halve(stairs: Stairs, excess: Longs, zero: int) -> Halves | None:
    """The same staircase for sums that are too large by `excess`; None where 32 bits are too few, or the line bends.

    Channels that do not fit a line get the byte of their smallest sum.
    """
    if stairs.lower is not None:
        return None
    steps, bounds = stairs.steps, stairs.bounds[:, np.newaxis]
    turns = (steps > -bounds) & (steps <= bounds)
    straight = turns.any(axis=1) & stairs.fits
    floor = np.where(straight, np.where(turns, steps, HIGHEST).min(axis=1) - 1, 0)
    width = np.where(straight, np.where(turns, steps, LOWEST).max(axis=1) - floor, 0)
    fine_shift = np.int64(31 - int(width.max()).bit_length())
    coarse_shift = np.int64(BYTE_BITS - (stairs.high + zero).bit_length())
    m = np.where(straight, _rescaled(stairs.m, int(fine_shift + coarse_shift) - stairs.shift), 0)
    unit = np.int64(1) << (fine_shift + coarse_shift)
    first, last = (stairs.low + zero + (steps <= bound).sum(axis=1) for bound in (-bounds, bounds))
    # The least offset reaches every byte in time, the largest reaches none too early.
    bytes_, ways = np.arange(stairs.low + 1, stairs.high + 1) + zero, steps - floor[:, np.newaxis]
    least = np.where(turns, bytes_ * unit - ways * m[:, np.newaxis], LOWEST).max(axis=1)
    most = np.where(turns, bytes_ * unit - 1 - (ways - 1) * m[:, np.newaxis], HIGHEST).min(axis=1)
    least, most = np.maximum(least, first * unit), np.minimum(most, (last + 1) * unit - 1 - width * m)
    offset = np.where(straight, -(-least >> fine_shift), first << coarse_shift)
    if fine_shift <= 0 or (straight & (offset << fine_shift > most)).any():
        return None
    coarse = m >> fine_shift
    fine = m - (coarse << fine_shift)
    return Halves(floor + excess, width, fine, coarse, offset, int(fine_shift), int(coarse_shift))


def _rescaled(m: Longs, bits: int) -> Longs:
    """Multipliers times 2**bits, rounded."""
    if bits >= 0:
        return m << np.int64(bits)
    return (m + (np.int64(1) << np.int64(-bits - 1))) >> np.int64(-bits)
