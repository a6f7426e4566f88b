"""Sums of whole numbers times codes, for runs of neighbouring numbers. Floats are binary64 here, and all sums exact.

Two whole numbers can share one: the second counts `SECOND`. A sum of such is split again by rounding.
"""

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

IMAGES: Final = 1048576
"""Numbers of images; `RUN_SLACK` more are allocated."""

RUN: Final = 256
"""Numbers of a run, at most."""

RUN_SLACK: Final = 1024
"""How much longer than what begins in them the buffers of runs are."""

SECOND: Final = 67108864.0
"""2**26"""

WHOLE_SECONDS: Final = 4.5334718235548594e23
"""1.5 * 2**78: what makes binary64 round to multiples of `SECOND`."""

PER_SECOND: Final = 1.4901161193847656e-08
"""2**-26"""


def clear(sums: vec[float], start: i64, n: i64) -> None:
    """Set n sums to 0."""
    if len(sums) < RUN_SLACK or n < 0 or n > RUN or start < 0 or start > RUN:
        raise ValueError("run too long")
    i: i64 = 0
    for i in range(n):
        sums[start + i] = 0.0


def add_products(image: vec[float], a: i64, b: i64, p: float, q: float, sums: vec[float], start: i64, n: i64) -> None:
    """Add to n sums the numbers from place a on, times p, and those from place b on, times q."""
    if len(image) < IMAGES + RUN_SLACK or len(sums) < RUN_SLACK or n < 0 or n > RUN or start < 0 or start > RUN:
        raise ValueError("run too long")
    if a < 0 or a > IMAGES or b < 0 or b > IMAGES:
        raise ValueError("tap out of range")
    i: i64 = 0
    for i in range(n):
        sums[start + i] += p * image[a + i] + q * image[b + i]


def add(image: vec[float], a: i64, b: i64, sums: vec[float], start: i64, n: i64) -> None:
    """Add to n sums the numbers from two places on."""
    if len(image) < IMAGES + RUN_SLACK or len(sums) < RUN_SLACK or n < 0 or n > RUN or start < 0 or start > RUN:
        raise ValueError("run too long")
    if a < 0 or a > IMAGES or b < 0 or b > IMAGES:
        raise ValueError("tap out of range")
    i: i64 = 0
    for i in range(n):
        sums[start + i] += image[a + i] + image[b + i]


def subtract(image: vec[float], a: i64, b: i64, sums: vec[float], start: i64, n: i64) -> None:
    """Subtract from n sums the numbers from two places on."""
    if len(image) < IMAGES + RUN_SLACK or len(sums) < RUN_SLACK or n < 0 or n > RUN or start < 0 or start > RUN:
        raise ValueError("run too long")
    if a < 0 or a > IMAGES or b < 0 or b > IMAGES:
        raise ValueError("tap out of range")
    i: i64 = 0
    for i in range(n):
        sums[start + i] -= image[a + i] + image[b + i]


def split(sums: vec[float], start: i64, n: i64, out: vec[float], first: i64, second: i64) -> None:
    """Write the two whole numbers in each of n sums to `first` and `second` of `out`."""
    if len(sums) < RUN_SLACK or len(out) < IMAGES + RUN_SLACK or n < 0 or n > RUN or start < 0 or start > RUN:
        raise ValueError("run too long")
    if first < 0 or first > IMAGES or second < 0 or second > IMAGES:
        raise ValueError("place out of range")
    i: i64 = 0
    for i in range(n):
        s = sums[start + i]
        high = s + WHOLE_SECONDS - WHOLE_SECONDS
        out[first + i] = s - high
        out[second + i] = high * PER_SECOND
