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


class IntegerMatrix:
    """int8 weights (groups, rows, K), to be multiplied with matrices of whole float32 numbers (groups, K, n)."""

    def __init__(self, weights: NDArray[np.int8]) -> None:
        magnitudes = np.abs(weights.astype(np.int64)) * LARGEST_CODE
        self.largest_sum = float(magnitudes.sum(axis=2).max())
        self.parts: list[tuple[slice, Floats]] = []
        start = 0
        while start < weights.shape[2]:
            sums = np.cumsum(magnitudes[:, :, start:], axis=2).reshape(-1, weights.shape[2] - start).max(axis=0)
            count = max(int(np.searchsorted(sums, EXACT_LIMIT, side="right")), 1)
            part = slice(start, start + count)
            self.parts.append((part, np.ascontiguousarray(weights[:, :, part], np.float32)))
            start += count

    def multiply(self, columns: Floats, out: Floats) -> None:
        """The exact sums, rounded once to binary32, into `out` (groups, rows, n)."""
        if len(self.parts) == 1:
            np.matmul(self.parts[0][1], columns, out=out)
            return
        total = np.zeros(out.shape, np.float64)
        for part, weights in self.parts:
            total += np.matmul(weights, columns[:, part])
        np.copyto(out, total, casting="unsafe")


class FloatMatrix:
    """float32 weights (groups, rows, K). BLAS orders and fuses the sums as it likes, so last bits may differ."""

    def __init__(self, weights: Floats) -> None:
        self.weights = np.ascontiguousarray(weights)

    def multiply(self, columns: Floats, out: Floats) -> None:
        """The products with `columns` (groups, K, n), into `out` (groups, rows, n)."""
        np.matmul(self.weights, columns, out=out)
