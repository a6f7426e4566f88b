"""The terms of `fastpath.calibration.chains` by compiled kernels, where there are any."""

from __future__ import annotations

import threading

import numpy as np
from librt.vecs import vec

from fastpath import kernels
from fastpath.arena import double_buffer, long_vec
from fastpath.calibration.chains import Terms, added
from fastpath.calibration.statistics import Floats
from fastpath.kernels.source.chains import FIELDS, LANES, LEVELS, RUN

LARGEST = 2.0**100
"""Sums of magnitudes below this leave binary32's largest numbers far away."""


class _Lanes(threading.local):
    """The sums that a thread adds to."""

    def __init__(self) -> None:
        self.buffer = double_buffer(LANES)


_LANES = _Lanes()


class CompiledTerms:
    """The terms of a sequence, in runs of which one, two, four ... are added at a time. Sums can go on anywhere."""

    def __init__(self, terms: Floats) -> None:
        self.terms = terms
        wide = terms.astype(np.float64)
        runs = len(terms) // RUN
        counts = [runs >> level for level in range(max(runs.bit_length(), 1))]
        starts = np.cumsum([0, *counts[:-1]]) * FIELDS
        table = np.zeros((sum(counts), FIELDS))
        table[:runs, 0] = _lower_powers(wide, runs)
        self._terms = vec[float](wide)
        self._table = vec[float](table.reshape(-1))
        self._starts = long_vec(starts, LEVELS)
        self._kernels = kernels.wide().chains
        self._kernels.measure_runs(self._terms, runs, self._table)
        self._kernels.join_runs(self._table, self._starts, len(counts), runs)

    def add(self, sums: Floats, start: int) -> Floats:
        """Each of `sums` with the terms from place `start` on added to it, one after the other."""
        if len(sums) > LANES or not np.abs(sums).max() < LARGEST:
            return added(sums, self.terms[start:, None])
        lanes = _LANES.buffer
        lanes.items[: len(sums)] = sums
        lanes.items[len(sums) :] = 0
        self._kernels.go_on(self._terms, start, len(self.terms), self._table, self._starts, lanes.data, len(sums))
        return lanes.items[: len(sums)].astype(np.float32)


def terms_of(terms: Floats, period: int) -> Terms | CompiledTerms:
    """The terms in the form that adds them fastest; sums will go on best at multiples of `period`."""
    with np.errstate(over="ignore", invalid="ignore"):
        bounded = np.abs(terms).sum(dtype=np.float64) < LARGEST
    return CompiledTerms(terms) if kernels.COMPILED and bounded else Terms(terms, period)


def _lower_powers(terms: np.ndarray, runs: int) -> np.ndarray:
    """For each run, the power of two below the sum of all terms before it and with it; 0 where that changes."""
    ends = terms[: runs * RUN].reshape(runs, RUN).sum(axis=1).cumsum()
    begins = np.concatenate([[0.0], ends[:-1]])[:runs]
    exponents = np.frexp(begins)[1]
    usable = (begins > 0) & (exponents == np.frexp(ends)[1]) & (exponents >= -100)
    return np.where(usable, np.ldexp(1.0, exponents - 1), 0.0)
