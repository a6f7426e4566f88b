"""Products of small integers through the float32 matrix multiplication of BLAS, exactly.

Every product and every partial sum is an integer. While none can reach 2**24, binary32 holds all of them, so neither
the order of summation nor fused multiply-adds change a bit. Larger products are split along the summed axis into parts
for which that is true, and the parts are added in binary64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastpath.layers.common import Floats

LARGEST_CODE = 128
"""No int8 value has a larger magnitude."""

EXACT_LIMIT = 2**24
"""binary32 holds every integer up to this magnitude."""


KEPT_FROM = 3
"""At its third use a matrix keeps its float32 numbers, four times as large: by then no plan has taken its place."""

MAGNITUDES = 1 << 20
"""Weights whose magnitudes are added up at a time."""


class IntegerMatrix:
    """int8 weights (groups, rows, K), to be multiplied with matrices of whole float32 numbers (groups, K, n)."""

    def __init__(self, weights: NDArray[np.int8]) -> None:
        self.weights = weights
        self.uses = 0
        self.ends = self._find_ends()
        self.kept: list[Floats] = []

    @property
    def is_whole(self) -> bool:
        """Whether one product in binary32 is exact."""
        return len(self.ends) == 1

    def multiply(self, columns: Floats, out: Floats) -> None:
        """The exact sums, rounded once to binary32, into `out` (groups, rows, n)."""
        if self.is_whole:
            np.matmul(self._parts()[0], columns, out=out)
            return
        total = np.zeros(out.shape, np.float64)
        for start, end, weights in zip([0, *self.ends], self.ends, self._parts(), strict=False):
            total += np.matmul(weights, columns[:, start:end])
        np.copyto(out, total, casting="unsafe")

    def _find_ends(self) -> list[int]:
        """Where the parts end: as few columns at a time as exact sums need."""
        groups, rows, k = self.weights.shape
        flat = self.weights.reshape(groups * rows, k)
        step = max(MAGNITUDES // k, 1)
        ends: list[int] = []
        while not ends or ends[-1] < k:
            start = ends[-1] if ends else 0
            count = k - start
            for first in range(0, flat.shape[0], step):
                # The magnitude of -128 fits an unsigned byte.
                magnitudes = np.abs(flat[first : first + step, start:]).view(np.uint8)
                if int(magnitudes.sum(axis=1, dtype=np.int64).max(initial=0)) * LARGEST_CODE <= EXACT_LIMIT:
                    continue
                sums = np.cumsum(magnitudes, axis=1, dtype=np.int64).max(axis=0) * LARGEST_CODE
                count = min(count, max(int(np.searchsorted(sums, EXACT_LIMIT, side="right")), 1))
            ends.append(start + count)
        return ends

    def _parts(self) -> list[Floats]:
        self.uses += 1
        if self.kept:
            return self.kept
        parts = [
            np.ascontiguousarray(self.weights[:, :, start:end], np.float32)
            for start, end in zip([0, *self.ends], self.ends, strict=False)
        ]
        if self.uses >= KEPT_FROM:
            self.kept = parts
        return parts


class FloatMatrix:
    """float32 weights (groups, rows, K). BLAS orders and fuses the sums as it likes, so last bits may differ."""

    def __init__(self, weights: Floats) -> None:
        self.weights = np.ascontiguousarray(weights)

    @property
    def is_whole(self) -> bool:
        """One product for all."""
        return True

    def multiply(self, columns: Floats, out: Floats) -> None:
        """The products with `columns` (groups, K, n), into `out` (groups, rows, n)."""
        np.matmul(self.weights, columns, out=out)
