"""The arithmetic of the optimizer's weight folding, as an object that is passed in.

The passes are written once; what they compute with is one of two twins that agree bit for bit: this module's, which is
the law, and the vectorised one of the fast path. All arrays are `array("f")`.
"""

from __future__ import annotations

import math
import struct
from array import array
from typing import Protocol, TypeAlias

Floats: TypeAlias = "array[float]"
"""An `array("f")`."""


class Arithmetic(Protocol):
    """Elementwise binary32 operations, one rounding each; operands have the same length.

    Division by zero and invalid operations give infinities and NaN, as the processor does.
    """

    def multiply(self, left: Floats, right: Floats) -> Floats:
        """`left * right`."""

    def add(self, left: Floats, right: Floats) -> Floats:
        """`left + right`."""

    def subtract(self, left: Floats, right: Floats) -> Floats:
        """`left - right`."""

    def divide(self, left: Floats, right: Floats) -> Floats:
        """`left / right`."""

    def square_root(self, values: Floats) -> Floats:
        """The square roots."""

    def multiply_rows(self, rows: Floats, factors: Floats) -> None:
        """Multiply in place each of the `len(factors)` rows of equal length by its factor."""

    def widen(self, bits: array[int]) -> Floats:
        """Binary16 bit patterns, `array("H")`, as binary32 numbers."""


class SpecArithmetic:
    """One binary32 operation at a time.

    Storing into an `array("f")` rounds a binary64 result once, which for these operations is the binary32 result (see
    `spec.binary32`).
    """

    def multiply(self, left: Floats, right: Floats) -> Floats:
        """`left * right`."""
        return _canonical([a * b for a, b in zip(left, right, strict=True)])

    def add(self, left: Floats, right: Floats) -> Floats:
        """`left + right`."""
        return _canonical([a + b for a, b in zip(left, right, strict=True)])

    def subtract(self, left: Floats, right: Floats) -> Floats:
        """`left - right`."""
        return _canonical([a - b for a, b in zip(left, right, strict=True)])

    def divide(self, left: Floats, right: Floats) -> Floats:
        """`left / right`."""
        return _canonical([_quotient(a, b) for a, b in zip(left, right, strict=True)])

    def square_root(self, values: Floats) -> Floats:
        """The square roots."""
        return _canonical([math.sqrt(value) if value >= 0.0 else math.nan for value in values])

    def multiply_rows(self, rows: Floats, factors: Floats) -> None:
        """Multiply in place each of the `len(factors)` rows of equal length by its factor."""
        length = len(rows) // len(factors)
        for index, factor in enumerate(factors):
            row = slice(index * length, (index + 1) * length)
            rows[row] = _canonical([value * factor for value in rows[row]])

    def widen(self, bits: array[int]) -> Floats:
        """Binary16 bit patterns, `array("H")`, as binary32 numbers."""
        return array("f", struct.unpack(f"={len(bits)}e", bits.tobytes()))


SPEC_ARITHMETIC: Arithmetic = SpecArithmetic()
"""The law."""


def constant(value: float, count: int) -> Floats:
    """`count` times the same number."""
    return array("f", [value]) * count


def _quotient(a: float, b: float) -> float:
    if b != 0.0:
        return a / b
    if a == 0.0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _canonical(values: list[float]) -> Floats:
    """Round to binary32; every NaN becomes the one that x86 processors make (its sign bit is set)."""
    return array("f", [-math.nan if value != value else value for value in values])
