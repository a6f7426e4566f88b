"""Sums in binary32, one term after the other, of many sequences that end in the same terms.

Floats are binary64 here; rounding to 24 bits is Veltkamp's method, `t = x * SPLIT; x = t - (t - x)`. Terms come in runs
of `RUN`. Between two powers of two all sums are multiples of one unit, and what a run adds to any of them depends on
nothing but whether the sum is an even or an odd number of units. A table says it: for every run, then for every two
runs, every four and so on, `FIELDS` numbers each. They are the lower power of two; what the run adds to an even and to
an odd sum; and how far, from its beginning, a sum strays down and up on the way. A lower power of 0 stands for a run
that is added one by one.
"""

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from fastpath.kernels.source.functions import SPLIT

LANES: Final = 128
"""Sums side by side."""

RUN: Final = 64
"""Terms of one run."""

FIELDS: Final = 5
"""Numbers of a run in the table."""

LEVELS: Final = 40
"""Places for the beginnings of the parts of a table."""

UNIT: Final = 1.1920928955078125e-07
"""2**-23: a unit, from the lower power of two."""

WHOLE: Final = 805306368.0
"""1.5 * 2**29: what makes binary64 round to units, from the lower power of two."""

INTEGER: Final = 6755399441055744.0
"""1.5 * 2**52: what makes binary64 round to whole numbers."""


def measure_runs(terms: vec[float], runs: i64, table: vec[float]) -> None:
    """Fill in the single runs, whose lower powers of two stand in the table already."""
    run: i64 = 0
    i: i64 = 0
    for run in range(runs):
        place = run * FIELDS
        bottom = table[place]
        if bottom > 0.0:
            first_even = bottom * WHOLE
            first_odd = first_even + bottom * UNIT
            even = first_even
            odd = first_odd
            low = 0.0
            high = 0.0
            for i in range(run * RUN, run * RUN + RUN):
                term = terms[i]
                even += term
                odd += term
                a = even - first_even
                b = odd - first_odd
                if b < a:
                    a, b = b, a
                if a < low:
                    low = a
                if b > high:
                    high = b
            table[place + 1] = even - first_even
            table[place + 2] = odd - first_odd
            table[place + 3] = low
            table[place + 4] = high


def join_runs(table: vec[float], starts: vec[i64], levels: i64, runs: i64) -> None:
    """Fill in two runs, four runs and so on; those of each level begin at `starts[level]`."""
    level: i64 = 0
    i: i64 = 0
    for level in range(1, levels):
        for i in range(runs >> level):
            a = starts[level - 1] + 2 * i * FIELDS
            b = a + FIELDS
            place = starts[level] + i * FIELDS
            bottom = table[a]
            table[place] = 0.0
            if bottom > 0.0 and bottom == table[b]:
                even = table[a + 1]
                odd = table[a + 2]
                half = even * 0.5 / (bottom * UNIT)
                table[place] = bottom
                table[place + 1] = even + table[b + 1 + is_odd(half)]
                half = odd * 0.5 / (bottom * UNIT)
                table[place + 2] = odd + table[b + 2 - is_odd(half)]
                table[place + 3] = min(table[a + 3], min(even, odd) + table[b + 3])
                table[place + 4] = max(table[a + 4], max(even, odd) + table[b + 4])


def is_odd(half: float) -> i64:
    """1 for half an odd number, 0 for half an even one."""
    if half + INTEGER - INTEGER == half:
        return 0
    return 1


def add_one_by_one(terms: vec[float], first: i64, end: i64, lanes: vec[float], blocks: i64) -> None:
    """Add some terms to 8 * blocks sums."""
    if len(lanes) < LANES or blocks < 0 or blocks > LANES >> 3:
        raise ValueError("too many sums")
    i: i64 = 0
    lane: i64 = 0
    for i in range(first, end):
        term = terms[i]
        for lane in range(blocks << 3):
            s = lanes[lane] + term
            t = s * SPLIT
            lanes[lane] = t - (t - s)


def add_run(lanes: vec[float], blocks: i64, bottom: float, even: float, odd: float) -> None:
    """Add a run to 8 * blocks sums."""
    if len(lanes) < LANES or blocks < 0 or blocks > LANES >> 3:
        raise ValueError("too many sums")
    lane: i64 = 0
    scale = 0.5 / (bottom * UNIT)
    more = (odd - even) * 4.0
    for lane in range(blocks << 3):
        s = lanes[lane]
        half = s * scale
        rest = half - (half + INTEGER - INTEGER)
        lanes[lane] = s + (even + more * (rest * rest))


def least_of(lanes: vec[float], count: i64) -> float:
    """The least of some sums."""
    found = lanes[0]
    lane: i64 = 0
    for lane in range(count):
        found = min(found, lanes[lane])
    return found


def most_of(lanes: vec[float], count: i64) -> float:
    """The largest of some sums."""
    found = lanes[0]
    lane: i64 = 0
    for lane in range(count):
        found = max(found, lanes[lane])
    return found


def stays(table: vec[float], place: i64, least: float, most: float) -> bool:
    """Whether a run leaves sums from `least` to `most` between its powers of two."""
    bottom = table[place]
    top = 2.0 * bottom
    if least < bottom or most >= top:
        return False
    return bottom < least + table[place + 3] and most + table[place + 4] < top


def go_on(
    terms: vec[float], first: i64, end: i64, table: vec[float], starts: vec[i64], lanes: vec[float], count: i64
) -> None:
    """Add the terms from place `first` on to `count` sums."""
    runs = end // RUN
    run = (first + RUN - 1) // RUN
    blocks = (count + 7) >> 3
    whole = min(run * RUN, end)
    add_one_by_one(terms, first, whole, lanes, blocks)
    least = least_of(lanes, count)
    most = most_of(lanes, count)
    level: i64 = 0
    while run < runs:
        size: i64 = 1
        level = 0
        while run & size == 0 and run + 2 * size <= runs:
            size *= 2
            level += 1
        while True:
            place = starts[level] + (run >> level) * FIELDS
            if stays(table, place, least, most):
                even = table[place + 1]
                odd = table[place + 2]
                add_run(lanes, blocks, table[place], even, odd)
                least += min(even, odd)
                most += max(even, odd)
                break
            if level == 0:
                add_one_by_one(terms, run * RUN, run * RUN + RUN, lanes, blocks)
                least = least_of(lanes, count)
                most = most_of(lanes, count)
                break
            level -= 1
            size >>= 1
        run += size
    add_one_by_one(terms, max(runs * RUN, whole), end, lanes, blocks)
