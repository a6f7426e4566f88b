"""The vectorised twin of `spec.quantization.arithmetic`, equal to it bit for bit."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

_BELOW_HALF = np.float32(0.49999997)  # the float below 0.5: adding it and truncating rounds halves away from zero
_INT32_LIMIT = np.float32(2.0**31)


class NumpyArithmetic:
    """Weight quantization by numpy, one binary32 operation at a time."""

    def quantize(self, values: array[float], scales: Sequence[float], *, upstream: bool) -> array[int]:
        """int8 codes of `values` in as many groups as there are `scales`."""
        groups = np.frombuffer(values, np.float32).reshape(len(scales), -1)
        factors = np.asarray(scales, np.float32)[:, None]
        with np.errstate(over="ignore", invalid="ignore"):
            product = groups * factors
            clipped = np.clip(product, np.float32(-127), np.float32(127))
            codes = np.trunc(clipped + np.copysign(_BELOW_HALF, clipped))
        if upstream:
            codes[~(np.abs(product) < _INT32_LIMIT)] = -127
        else:
            codes[np.isinf(factors[:, 0])] = 0
        return array("b", codes.astype(np.int8).tobytes())

    def static_scales(self, values: array[float], rows: int) -> list[float]:
        """One scale for each of `rows` equal groups: 127 / absmax, or 1 for a group of zeros."""
        largest = np.abs(np.frombuffer(values, np.float32).reshape(rows, -1)).max(axis=1)
        with np.errstate(divide="ignore", over="ignore"):
            scales = np.where(largest > 0, np.float32(127) / largest, np.float32(1))
        return [float(scale) for scale in scales]

    def transpose(self, values: array[float], rows: int, columns: int) -> array[float]:
        """The matrix (rows, columns), stored row by row, as (columns, rows)."""
        matrix = np.frombuffer(values, np.float32).reshape(rows, columns)
        return array("f", np.ascontiguousarray(matrix.T).tobytes())


NUMPY_ARITHMETIC = NumpyArithmetic()
"""The one instance that the fast path uses."""
