"""The kernels of statistics against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from fastpath.arena import int_buffer, long_buffer
from fastpath.kernels.source.counting import PIECE, STRIDE, TABLES, WORDS
from tests.kernels.levels import every_level, kernels_of

EDGES = np.array([0.0, -0.0, 5.9e-40, -(2.0**-126), 2.0**-126, -1.5, 3.0], np.float32)
"""Zeros, a subnormal number, and the smallest normal ones."""


@every_level()
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_normal_magnitudes_are_packed(level: str, count: int) -> None:
    counting = kernels_of(level).counting
    values = np.resize(np.append(EDGES, np.random.default_rng(1).normal(size=50)), count).astype(np.float32)
    bits, out = int_buffer(PIECE, aligned=False), int_buffer(PIECE + 1, aligned=False)
    bits.items.view(np.float32)[:count] = values
    expected = np.abs(values)[np.abs(values) >= np.finfo(np.float32).tiny]
    packed = counting.pack(bits.data, count, out.data)
    assert out.items.view(np.float32)[:packed].tolist() == expected.tolist()
    largest = np.int32(counting.largest(bits.data, count)).view(np.float32)
    assert largest == np.abs(values).max(initial=0.0)


@every_level()
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_largest(level: str, bad: float) -> None:
    counting = kernels_of(level).counting
    bits = int_buffer(PIECE, aligned=False)
    bits.items.view(np.float32)[:3] = [1.0, bad, 3.0e38]
    assert not np.isfinite(np.int32(counting.largest(bits.data, 3)).view(np.float32))


@every_level()
@pytest.mark.parametrize("count", [0, 4, 1000, PIECE])
def test_four_tables_hold_all_bins(level: str, count: int) -> None:
    counting = kernels_of(level).counting
    bins, tables = long_buffer(WORDS), int_buffer(TABLES, aligned=False)
    values = np.random.default_rng(2).integers(0, 2049, count)
    bins.items.view(np.int16)[:count] = values
    counting.count_bins(bins.data, count // 4, tables.data)
    counting.count_bins(bins.data, count // 4, tables.data)
    counts = tables.items.reshape(-1, STRIDE).sum(axis=0)
    assert counts.tolist() == (2 * np.bincount(values, minlength=STRIDE)).tolist()


def test_pieces_that_are_too_large_are_refused() -> None:
    counting = kernels_of("interpreted").counting
    bits, bins = int_buffer(PIECE, aligned=False), long_buffer(WORDS)
    with pytest.raises(ValueError, match="too large"):
        counting.largest(bits.data, PIECE + 1)
    with pytest.raises(ValueError, match="too large"):
        counting.pack(bits.data, PIECE + 1, bits.data)
    with pytest.raises(ValueError, match="too large"):
        counting.count_bins(bins.data, WORDS + 1, bits.data)
