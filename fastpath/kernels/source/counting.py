"""Statistics of binary32 numbers by their bit patterns: magnitudes that are not zero, packed; and counts of bins."""

from typing import Final

from librt.vecs import vec
from mypy_extensions import i32, i64

PIECE: Final = 32768
"""Numbers that are looked at in one call."""

WORDS: Final = 8192
"""Words of 64 bits that hold so many bins."""

STRIDE: Final = 4096
"""Places of one table of counts."""

TABLES: Final = 16384
"""Places of four tables. Neighbours often lie in one bin; in tables of their own they do not wait for each other."""

SMALLEST_BITS: Final = 0x00800000
"""The bit pattern of the smallest normal number."""


def largest(bits: vec[i32], count: i64) -> i64:
    """The largest bit pattern of `count` numbers, without their signs: the largest magnitude, or NaN or infinity."""
    if len(bits) < PIECE or count < 0 or count > PIECE:
        raise ValueError("piece too large")
    found: i32 = 0
    i: i64 = 0
    for i in range(count):
        found = max(found, bits[i] & 0x7FFFFFFF)
    return i64(found)


def pack(bits: vec[i32], count: i64, out: vec[i32]) -> i64:
    """Write the magnitudes that are normal numbers one after the other, and return how many they are."""
    if len(bits) < PIECE or len(out) < PIECE + 1 or count < 0 or count > PIECE:
        raise ValueError("piece too large")
    place: i64 = 0
    i: i64 = 0
    for i in range(count):
        magnitude = bits[i] & 0x7FFFFFFF
        out[place] = magnitude
        place += 1 + (i64(magnitude - SMALLEST_BITS) >> 63)
    return place


def count_bins(bins: vec[i64], count: i64, tables: vec[i32]) -> None:
    """Add to the four tables how often each bin occurs; there are four to a word, and they are less than `STRIDE`."""
    if len(bins) < WORDS or len(tables) < TABLES or count < 0 or count > WORDS:
        raise ValueError("piece too large")
    i: i64 = 0
    for i in range(count):
        word = bins[i]
        tables[word & 4095] += 1
        tables[4096 + ((word >> 16) & 4095)] += 1
        tables[8192 + ((word >> 32) & 4095)] += 1
        tables[12288 + ((word >> 48) & 4095)] += 1
