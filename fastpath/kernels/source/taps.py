"""Sums of whole numbers times codes, for runs of neighbouring numbers. Floats are binary64 here, and all sums exact.

Two whole numbers can share one: the second counts `SECOND`. A sum of such is split again by rounding.
"""

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

IMAGES: Final = 1048576
"""Numbers of images; `RUN_SLACK` more are allocated."""

RUN: Final = 512
"""Numbers of a run, at most."""

RUN_SLACK: Final = 2048
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


def add_four_products(
    image: vec[float],
    a: i64,
    b: i64,
    c: i64,
    d: i64,
    p: float,
    q: float,
    r: float,
    s: float,
    sums: vec[float],
    start: i64,
    n: i64,
) -> None:
    """The same for four places."""
    if len(image) < IMAGES + RUN_SLACK or len(sums) < RUN_SLACK or n < 0 or n > RUN or start < 0 or start > RUN:
        raise ValueError("run too long")
    if a < 0 or a > IMAGES or b < 0 or b > IMAGES or c < 0 or c > IMAGES or d < 0 or d > IMAGES:
        raise ValueError("tap out of range")
    i: i64 = 0
    for i in range(n):
        sums[start + i] += (p * image[a + i] + q * image[b + i]) + (r * image[c + i] + s * image[d + i])


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


def split_lanes(sums: vec[float], start: i64, pixels: i64, half: i64, out: vec[float], at: i64) -> None:
    """For some pixels, write the first whole numbers in `half` sums side by side, and the second ones behind them."""
    if len(sums) < 2 * RUN_SLACK or len(out) < IMAGES + RUN_SLACK or half < 0 or half > RUN:
        raise ValueError("run too long")
    _p: i64 = 0
    i: i64 = 0
    a = start
    b = at
    for _p in range(pixels):
        c = b + half
        if a < 0 or a > RUN_SLACK or b < 0 or b > IMAGES or c < 0 or c > IMAGES:
            raise ValueError("place out of range")
        for i in range(half):
            s = sums[a + i]
            high = s + WHOLE_SECONDS - WHOLE_SECONDS
            out[b + i] = s - high
            out[c + i] = high * PER_SECOND
        a += half
        b = c + half
