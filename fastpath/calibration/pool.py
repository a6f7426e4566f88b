"""Memory for the many arrays that calibration keeps: they are written where they stay, one behind the other."""

from __future__ import annotations

import weakref

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 19
"""Numbers of a chunk; an array that is larger has one of its own. From 4 MiB on numpy asks for huge pages, which a
virtual machine may have to fetch from its host.
"""

Floats = NDArray[np.float32]


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
            self._chunk, self._place, self._kept = np.empty(max(size, CHUNK), np.float32), 0, []
        return self._chunk[self._place : self._place + size]

    def keep(self, size: int) -> Floats:
        """The first numbers of the room last given. They stay while this array lives; a view of it is not enough."""
        kept = self._chunk[self._place : self._place + size]
        self._kept.append((self._place, weakref.ref(kept)))
        self._place += size
        return kept
