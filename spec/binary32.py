"""IEEE binary32 arithmetic for a language whose only float is binary64.

One `+ - * /` or square root of two binary32 numbers, computed in binary64 and rounded once to binary32, equals the
binary32 operation (binary64 has more than twice the bits plus two). A fused multiply-add and exp, tanh, log do not have
this property, and get functions of their own. So every float step of the spec reads `f32(a * b)`.

Where platforms differ, the difference has a name, `Profile`, and is an argument.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterable
from ctypes import c_float
from dataclasses import dataclass
from operator import add

FLT_MAX = (2.0 - 2.0**-23) * 2.0**127
"""The largest finite binary32 number."""


@dataclass(frozen=True)
class Profile:
    """How one family of machines evaluates the float steps.

    `fused_multiply_add`: `sum * descale + bias` and its like are rounded once, not twice.
    `vector_rounding`: float to int8 adds a signed half in binary32 and truncates, so that 0.49999997 becomes 1.
    """

    name: str
    fused_multiply_add: bool = False
    vector_rounding: bool = False


REFERENCE = Profile("reference")
"""One binary32 operation at a time, halves away from zero: ncnn's portable C++ layers."""

X86 = Profile("x86", fused_multiply_add=True, vector_rounding=True)
"""ncnn's vectorised layers on x86-64 with FMA."""


def f32(value: float) -> float:
    """Round a binary64 number to binary32, halves to even; beyond the range to infinity.

    >>> f32(0.1)
    0.10000000149011612
    >>> f32(1e39)
    inf
    """
    return c_float(value).value


def f32_array(values: Iterable[float]) -> array[float]:
    """Round many numbers at once."""
    return array("f", values)


def fma(a: float, b: float, c: float) -> float:
    """A * b + c of binary32 numbers with a single rounding to binary32.

    The product is exact in binary64. The sum is rounded to odd there (if it is inexact, its last bit is made 1), which
    keeps enough of what was lost for the second rounding to come out as the only one would.

    >>> fma(3.0, 0.3333333432674408, -1.0)
    2.9802322387695312e-08
    """
    product = a * b
    total = product + c
    if not math.isfinite(total):
        return f32(total)
    rest = total - product
    lost = (product - (total - rest)) + (c - rest)
    if lost != 0.0 and struct.pack("<d", total)[0] & 1 == 0:
        total = math.nextafter(total, math.inf if lost > 0.0 else -math.inf)
    return f32(total)


def multiply_add(a: float, b: float, c: float, profile: Profile = REFERENCE) -> float:
    """A * b + c of binary32 numbers: two roundings, or one where the profile fuses.

    >>> multiply_add(3.0, 0.3333333432674408, -1.0), multiply_add(3.0, 0.3333333432674408, -1.0, X86)
    (0.0, 2.9802322387695312e-08)
    """
    return fma(a, b, c) if profile.fused_multiply_add else f32(f32(a * b) + c)


def add_products(totals: array[float], factors: Iterable[float], factor: float) -> array[float]:
    """totals[i] + factors[i] * factor for every i, in binary32: each product is rounded before it is added.

    Float sums are sequential, and so many of them at once are fast only side by side: one call adds one term to each.

    >>> add_products(array("f", [1.0, 2.0]), [3.0, 4.0], 0.5)
    array('f', [2.5, 4.0])
    """
    products = array("f", [value * factor for value in factors])
    return array("f", map(add, totals, products))
