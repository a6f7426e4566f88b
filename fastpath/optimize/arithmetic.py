"""The vectorised twin of `spec.optimize.arithmetic`, equal to it bit for bit."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fastpath.formats.weights import widen_float16

_Float32 = npt.NDArray[np.float32]
_NAN = np.uint32(0xFFC00000)  # the NaN that x86 processors make


class NumpyArithmetic:
    """Weight folding by numpy, one binary32 operation at a time."""

    def multiply(self, left: array[float], right: array[float]) -> array[float]:
        """`left * right`."""
        return _apply(np.multiply, left, right)

    def add(self, left: array[float], right: array[float]) -> array[float]:
        """`left + right`."""
        return _apply(np.add, left, right)

    def subtract(self, left: array[float], right: array[float]) -> array[float]:
        """`left - right`."""
        return _apply(np.subtract, left, right)

    def divide(self, left: array[float], right: array[float]) -> array[float]:
        """`left / right`."""
        return _apply(np.divide, left, right)

    def square_root(self, values: array[float]) -> array[float]:
        """The square roots."""
        return _apply(np.sqrt, values)

    def multiply_rows(self, rows: array[float], factors: array[float]) -> None:
        """Multiply in place each of the `len(factors)` rows of equal length by its factor."""
        matrix = _view(rows).reshape(len(factors), -1)
        with np.errstate(all="ignore"):
            np.multiply(matrix, _view(factors)[:, None], out=matrix)
        _make_canonical(matrix)

    def widen(self, bits: array[int]) -> array[float]:
        """Binary16 bit patterns as binary32 numbers."""
        return widen_float16(bits)


NUMPY_ARITHMETIC = NumpyArithmetic()
"""The one instance that the fast path uses."""


def _view(values: array[float]) -> _Float32:
    return np.frombuffer(values, np.float32)


def _apply(operation: Callable[..., _Float32], *operands: array[float]) -> array[float]:
    with np.errstate(all="ignore"):
        result = operation(*map(_view, operands))
    _make_canonical(result)
    return array("f", result.tobytes())


def _make_canonical(values: _Float32) -> None:
    """Give every NaN the same bits."""
    is_nan = np.isnan(values)
    if is_nan.any():
        values.view(np.uint32)[is_nan] = _NAN
