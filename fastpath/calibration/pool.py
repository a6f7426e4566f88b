"""Memory for the many arrays that calibration keeps: they are written where they stay, one behind the other."""

from __future__ import annotations

import mmap
import sys
import weakref

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 19
"""Numbers of a chunk; an array that is larger has one of its own."""

Floats = NDArray[np.float32]


def fresh(size: int) -> Floats:
    """So many numbers straight from the operating system, to which they go back at once when they are free.

    An allocator would keep some of them, and for large arrays numpy asks for huge pages, which a virtual machine may
    have to fetch from its host.
    """
    if sys.platform == "win32":
        return np.empty(size, np.float32)
    bytes_of = size * np.dtype(np.float32).itemsize
    return np.frombuffer(mmap.mmap(-1, bytes_of, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.float32)


class Pool:
    """Gives room for arrays. A chunk is freed with the last array in it, and what follows its living ones is reused."""

    def __init__(self) -> None:
        self._chunk: Floats = np.empty(0, np.float32)
        self._place = 0
        self._kept: list[tuple[int, weakref.ref[Floats]]] = []

    def room(self, size: int) -> Floats:
        """Room for so many numbers: it can be given again until some of it is kept."""
        while self._kept and self._kept[-1][1]() is None:
            self._place = self._kept.pop()[0]
        if self._chunk.size - self._place < size:
            self._chunk, self._place, self._kept = fresh(max(size, CHUNK)), 0, []
        return self._chunk[self._place : self._place + size]

    def give_back(self) -> None:
        """Free the memory that no array is in."""
        self._chunk, self._place, self._kept = np.empty(0, np.float32), 0, []

    def keep(self, size: int) -> Floats:
        """The first numbers of the room last given. They stay while this array lives; a view of it is not enough."""
        kept = self._chunk[self._place : self._place + size]
        self._kept.append((self._place, weakref.ref(kept)))
        self._place += size
        return kept
