"""The vectorised twin of `spec.calibration.statistics`: ranges and histograms of activations."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fastpath import kernels
from fastpath.arena import int_buffer, long_buffer
from fastpath.calibration.pool import Pool
from fastpath.kernels.source.counting import PIECE, STRIDE, TABLES, WORDS

BINS_OF_WORD = PIECE // WORDS
"""Positions in a word of 64 bits."""

Floats = NDArray[np.float32]
Counts = NDArray[np.int64]

BINS = 2048
"""Bins of a histogram: bin i holds the magnitudes in [i, i + 1) * absmax / BINS, and the last one absmax as well."""

SMALLEST = np.float32(2.0**-126)
"""The smallest normal binary32 number. Magnitudes below it count as zero: ncnn flushes them while it runs a network."""


@dataclass(frozen=True)
class Range:
    """How large activations get. `count` is the number of elements in the blob of the last sample."""

    absmax: float
    count: int
    last_sample: int

    def merge(self, other: Range) -> Range:
        """The range of both sets of samples."""
        later = self if self.last_sample >= other.last_sample else other
        return Range(max(self.absmax, other.absmax), later.count, later.last_sample)


NO_RANGE = Range(0.0, 0, -1)
"""The range of no samples: merging it changes nothing."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often each magnitude occurs, in `BINS` equal bins up to `absmax`. Zeros are counted apart."""

    absmax: float
    counts: Counts
    zeros: int

    def merge(self, other: Histogram) -> Histogram:
        """The histogram of both sets of samples; ValueError unless both go up to the same absmax."""
        if self.absmax != other.absmax:
            raise ValueError(f"histograms up to {self.absmax} and {other.absmax} do not merge")
        return Histogram(self.absmax, self.counts + other.counts, self.zeros + other.zeros)


def empty_histogram(absmax: float) -> Histogram:
    """A histogram that has seen nothing yet."""
    return Histogram(absmax, np.zeros(BINS, np.int64), 0)


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """A blob as statistics see it: its magnitudes without the zeros, the largest of them, and the size of the blob."""

    values: Floats
    absmax: float
    size: int

    def range(self, sample: int) -> Range:
        """The range of the blob."""
        return Range(self.absmax, self.size, sample)


def magnitudes_of(values: Floats) -> Magnitudes:
    """What statistics need of a blob; ValueError for NaN and infinity, which no scale fits."""
    packed, largest = _packed_by_kernels(values) if kernels.COMPILED else _packed(values)
    return Magnitudes(packed, _absmax(values, largest), values.size)


def _absmax(values: Floats, largest: np.float32) -> float:
    """The largest magnitude as ranges have it; ValueError for NaN and infinity."""
    if not np.isfinite(largest):
        raise ValueError(f"the activations hold {float(values[~np.isfinite(values)][0])}")
    return float(largest) if largest >= SMALLEST else 0.0


def give_back_memory() -> None:
    """Free the memory in which this thread could keep magnitudes, but for those that are kept."""
    _WORKSHOP.open().pool.give_back()


def blob_range(values: Floats, sample: int) -> Range:
    """The range of one blob; ValueError for NaN and infinity, which no scale fits."""
    largest = _largest_by_kernels(values) if kernels.COMPILED else np.abs(values).max(initial=np.float32(0))
    return Range(_absmax(values, largest), values.size, sample)


def blob_histogram(values: Floats, absmax: float) -> Histogram:
    """The histogram of one blob, whose magnitudes are at most `absmax`."""
    width = np.float32(absmax) / np.float32(BINS)
    if not kernels.COMPILED or width < SMALLEST:
        return histogram_of([magnitudes_of(values)], absmax)
    counts, zeros = _counted_with_zeros(values, width)
    return Histogram(absmax, _without_surplus(counts), zeros)


def histogram_of(blobs: Sequence[Magnitudes], absmax: float) -> Histogram:
    """The histogram of some blobs, whose magnitudes are at most `absmax`."""
    found = [blob.values for blob in blobs if blob.values.size]
    counts = np.zeros(BINS + 1, np.int64)
    if found:
        counts = (_counted_by_kernels if kernels.COMPILED else _counted)(found, np.float32(absmax))
    zeros = sum(blob.size - blob.values.size for blob in blobs)
    return Histogram(absmax, _without_surplus(counts), zeros)


def _without_surplus(counts: Counts) -> Counts:
    """The counts of all bins; what lies in one more, which only the absmax reaches, goes to the last."""
    counts[BINS - 1] += counts[BINS]
    return counts[:BINS].copy()


def _packed(values: Floats) -> tuple[Floats, np.float32]:
    """The magnitudes that are normal numbers, and the largest magnitude: NaN if there is one."""
    magnitudes = np.abs(values)
    return magnitudes[magnitudes >= SMALLEST], magnitudes.max(initial=np.float32(0))


def _counted(blobs: Sequence[Floats], absmax: np.float32) -> Counts:
    """How many magnitudes lie in each of BINS + 1 bins."""
    counts = np.zeros(BINS + 1, np.int64)
    for values in blobs:
        for start in range(0, values.size, PIECE):
            positions = values[start : start + PIECE] / absmax
            positions *= np.float32(BINS)
            counts += np.bincount(positions.astype(np.intp), minlength=BINS + 1)
    return counts


class _Workshop(threading.local):
    """What the kernels of one thread work on, made where it is first needed: bits are those of binary32 numbers."""

    ready = False

    def open(self) -> Self:
        """The workshop, ready for use."""
        if not self.ready:
            self.bits, self.packed = int_buffer(PIECE, aligned=False), int_buffer(PIECE + 1, aligned=False)
            self.words, self.tables = long_buffer(WORDS), int_buffer(TABLES, aligned=False)
            self.numbers, self.magnitudes = (each.items.view(np.float32) for each in (self.bits, self.packed))
            self.bins = self.words.items.view(np.int16)
            self.ready, self.pool = True, Pool()
        return self

    def counts(self) -> Counts:
        """What was counted in each of BINS + 1 bins."""
        counts: Counts = self.tables.items.reshape(-1, STRIDE)[:, : BINS + 1].sum(axis=0, dtype=np.int64)
        return counts


_WORKSHOP = _Workshop()


def _packed_by_kernels(values: Floats) -> tuple[Floats, np.float32]:
    """The same as `_packed`."""
    counting, shop = kernels.wide().counting, _WORKSHOP.open()
    found, count, largest = shop.pool.room(values.size), 0, 0
    for piece in _pieces(values):
        np.copyto(shop.numbers[: piece.size].reshape(piece.shape), piece)
        largest = max(largest, counting.largest(shop.bits.data, piece.size))
        packed = counting.pack(shop.bits.data, piece.size, shop.packed.data)
        found[count : count + packed] = shop.magnitudes[:packed]
        count += packed
    return shop.pool.keep(count), np.int32(largest).view(np.float32)


def _pieces(values: Floats) -> Iterator[Floats]:
    """The values in their order, at most `PIECE` at a time."""
    if values.flags.c_contiguous:
        values = values.reshape(-1)
    elif values[0].size > PIECE:
        for part in values:
            yield from _pieces(part)
        return
    step = PIECE // values[0].size if values.size else 1
    for start in range(0, len(values), step):
        yield values[start : start + step]


def _counted_by_kernels(blobs: Sequence[Floats], absmax: np.float32) -> Counts:
    """The same as `_counted`."""
    width = absmax / np.float32(BINS)
    if width < SMALLEST:
        return _counted(blobs, absmax)
    shop = _WORKSHOP.open()
    shop.tables.items.fill(0)
    for values in blobs:
        for start in range(0, values.size, PIECE):
            _count(shop, values[start : start + PIECE], width)
    return shop.counts()


def _largest_by_kernels(values: Floats) -> np.float32:
    """The largest magnitude: NaN if there is one."""
    counting, shop, largest = kernels.wide().counting, _WORKSHOP.open(), 0
    for piece in _pieces(values):
        np.copyto(shop.numbers[: piece.size].reshape(piece.shape), piece)
        largest = max(largest, counting.largest(shop.bits.data, piece.size))
    return np.int32(largest).view(np.float32)


def _counted_with_zeros(values: Floats, width: np.float32) -> tuple[Counts, int]:
    """How many magnitudes lie in each of BINS + 1 bins, and how many count as zeros, which are in no bin."""
    shop, zeros = _WORKSHOP.open(), 0
    shop.tables.items.fill(0)
    for piece in _pieces(values):
        magnitudes = shop.magnitudes[: piece.size]
        np.abs(piece, out=magnitudes.reshape(piece.shape))
        zeros += int(np.count_nonzero(magnitudes < SMALLEST))
        _count(shop, magnitudes, width)
    counts = shop.counts()
    counts[0] -= zeros
    return counts, zeros


def _count(shop: _Workshop, magnitudes: Floats, width: np.float32) -> None:
    """Count magnitudes in the tables. `width` is that of a bin, and exact: so one division gives their positions."""
    positions, words = shop.numbers[: magnitudes.size], -(-magnitudes.size // BINS_OF_WORD)
    np.divide(magnitudes, width, out=positions)
    np.copyto(shop.bins[: magnitudes.size], positions, casting="unsafe")
    shop.bins[magnitudes.size : words * BINS_OF_WORD] = STRIDE - 1  # beyond the bins that are looked at
    kernels.wide().counting.count_bins(shop.words.data, words, shop.tables.data)


def examined_values(blob: Floats, upstream: bool = False) -> Floats:
    """The values of a float blob that calibration looks at: all of them, or with `upstream` the first depth slices."""
    return blob[:, 0] if upstream and blob.ndim == 4 else blob
