"""Memory that kernels and numpy share: vecs with an aligned part that numpy can write.

A vec's items begin 24 bytes after its object, so almost never where whole vectors should. `Buffer` finds the first
place that is a multiple of 64 bytes; it is fixed for the life of the vec.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any, Generic, TypeVar, cast

import numpy as np
from librt.vecs import vec
from mypy_extensions import i16, i32, i64, u8
from numpy.typing import NDArray

ALIGNMENT = 64

LARGE_PAGE = 2 * 1024 * 1024
"""Memory of this many bytes and more is worth large pages."""

MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25
"""Advice to Linux: large pages for this memory, from now on and at once."""

V = TypeVar("V")


class Buffer(Generic[V]):
    """A vec of zeros with room for `size` items from the aligned place `start` on; `items` is numpy's view of those.

    Without `aligned` they begin at place 0.
    """

    def __init__(self, data: V, item: type[np.generic], size: int, *, aligned: bool = True) -> None:
        self.data = data
        everything: NDArray[Any] = np.frombuffer(cast(Any, data), item)
        if everything.nbytes >= LARGE_PAGE:
            in_large_pages(everything)
        address = everything.ctypes.data
        self.start = -address % ALIGNMENT // everything.itemsize if aligned else 0
        place = address + self.start * everything.itemsize
        memory: Any = (ctypes.c_char * (size * everything.itemsize)).from_address(place)
        memory.owner = data  # the view keeps the vec alive
        self.items: NDArray[Any] = np.frombuffer(memory, item)


def in_large_pages(memory: NDArray[Any]) -> None:
    """Ask Linux to keep memory in pages of 2 MB: fewer addresses to look up. Other systems, and older ones, do not."""
    if not sys.platform.startswith("linux"):
        return
    first = -(-memory.ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
    size = memory.ctypes.data + memory.nbytes - first
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for advice in (MADV_HUGEPAGE, MADV_COLLAPSE):
        madvise(first, size, advice)


_SPARE = ALIGNMENT


def byte_buffer(size: int) -> Buffer[vec[u8]]:
    """Unsigned bytes."""
    return Buffer(vec[u8](np.zeros(size + _SPARE, np.uint8)), np.uint8, size)


def word_buffer(size: int, *, aligned: bool = True) -> Buffer[vec[i16]]:
    """16-bit integers."""
    return Buffer(vec[i16](np.zeros(size + _SPARE, np.int16)), np.int16, size, aligned=aligned)


def int_buffer(size: int, *, aligned: bool = True) -> Buffer[vec[i32]]:
    """32-bit integers."""
    return Buffer(vec[i32](np.zeros(size + _SPARE, np.int32)), np.int32, size, aligned=aligned)


def long_buffer(size: int) -> Buffer[vec[i64]]:
    """64-bit integers, from place 0 on."""
    return Buffer(vec[i64](np.zeros(size, np.int64)), np.int64, size, aligned=False)


def double_buffer(size: int) -> Buffer[vec[float]]:
    """binary64 numbers, from place 0 on."""
    return Buffer(vec[float](np.zeros(size, np.float64)), np.float64, size, aligned=False)


def long_vec(values: NDArray[Any], size: int) -> vec[i64]:
    """A vec of `size` 64-bit integers: the values, then zeros."""
    padded = np.zeros(size, np.int64)
    count = min(size, values.size)
    padded[:count] = values.reshape(-1)[:count]
    return vec[i64](padded)
