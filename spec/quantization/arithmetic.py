"""The arithmetic of weight quantization: all that quantizing a model computes.

The rest of this package only rearranges layers and records, so the fast path shares it and passes a vectorised twin of
`SpecArithmetic`, equal to it bit for bit.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Protocol

from spec.binary32 import f32
from spec.rounding import INT8_MAX, absmax, dynamic_scale, float_to_int8


class Arithmetic(Protocol):
    """What quantizing a model computes with weights."""

    def quantize(self, values: array[float], scales: Sequence[float], *, upstream: bool) -> array[int]:
        """int8 codes of `values`, which are as many groups of equal length as there are `scales`."""

    def static_scales(self, values: array[float], rows: int) -> list[float]:
        """One scale for each of `rows` equal groups: 127 / absmax, or 1 for a group of zeros."""

    def transpose(self, values: array[float], rows: int, columns: int) -> array[float]:
        """The matrix (rows, columns), stored row by row, as (columns, rows)."""


class SpecArithmetic:
    """The rule itself."""

    def quantize(self, values: array[float], scales: Sequence[float], *, upstream: bool) -> array[int]:
        """Each weight becomes `float_to_int8(f32(weight * scale))`.

        A group whose scale is infinite holds only zeros (127 / 0): its codes are 0. With `upstream`, NaN and everything
        that does not fit an int32 become -127, as the conversion instruction of x86 makes them.

        Follows: ncnn tools/quantize/ncnn2int8.cpp, src/layer/quantize.cpp @ a4d2ea1d.

        >>> SpecArithmetic().quantize(array("f", [0.5, -1.0, 0.25, 2.0]), [127.0, 63.5], upstream=False)
        array('b', [64, -127, 16, 127])
        """
        code = _x86_code if upstream else _code
        size = len(values) // len(scales)
        codes = array("b")
        for group, scale in enumerate(scales):
            codes.extend(code(value, scale) for value in values[group * size : (group + 1) * size])
        return codes

    def static_scales(self, values: array[float], rows: int) -> list[float]:
        """Each scale is f32(127 / absmax) of the row's binary32 values; a row of zeros has scale 1.

        Follows: ncnn tools/quantize/ncnn2table.cpp @ a4d2ea1d (the static weight scales).

        >>> SpecArithmetic().static_scales(array("f", [0.5, -2.0, 0.0, 0.0]), 2)
        [63.5, 1.0]
        """
        size = len(values) // rows
        return [dynamic_scale(absmax(values[row * size : (row + 1) * size])) for row in range(rows)]

    def transpose(self, values: array[float], rows: int, columns: int) -> array[float]:
        """Columns become rows.

        >>> SpecArithmetic().transpose(array("f", [1, 2, 3, 4, 5, 6]), 2, 3)
        array('f', [1.0, 4.0, 2.0, 5.0, 3.0, 6.0])
        """
        return array("f", (values[row * columns + column] for column in range(columns) for row in range(rows)))


def _code(value: float, scale: float) -> int:
    return 0 if math.isinf(scale) else float_to_int8(f32(value * scale))


def _x86_code(value: float, scale: float) -> int:
    product = f32(value * scale)
    if math.isnan(product) or abs(product) >= 2.0**31:
        return -INT8_MAX
    return float_to_int8(product)


SPEC_ARITHMETIC = SpecArithmetic()
"""The arithmetic to use where nothing faster is asked for."""
