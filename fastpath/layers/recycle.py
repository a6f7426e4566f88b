"""Memory for top blobs that is used again as soon as nobody holds a blob in it any more.

The memory that was given back last is taken first: it is still in the cache.
"""

from __future__ import annotations

import math
import sys
import threading

import numpy as np

from fastpath.layers.common import Array
from spec.graph import Shape

SMALLEST = 16 * 1024
"""Blobs of fewer elements come from numpy, whose own allocator is as good for these."""

MOST_FREE = 8
"""So many unused pieces are kept."""

UNUSED = 2
"""The references to a piece that only the list and the question itself hold."""


class _Pieces(threading.local):
    """The pieces of one thread, the one last taken at the end."""

    def __init__(self) -> None:
        self.taken: list[Array] = []


_PIECES = _Pieces()


def blob(shape: Shape, dtype: type[np.generic] = np.float32) -> Array:
    """An uninitialised array; a view of a piece of memory that is not given away again while any view of it lives."""
    size = math.prod(shape)
    if size < SMALLEST:
        return np.empty(shape, dtype)
    pieces = _PIECES.taken
    free = 0
    for index in range(len(pieces) - 1, -1, -1):
        if sys.getrefcount(pieces[index]) == UNUSED:
            found = pieces[index]
            if found.dtype == dtype and size <= found.size <= 2 * size:
                del pieces[index]
                pieces.append(found)
                return found[:size].reshape(shape)
            free += 1
            if free > MOST_FREE:
                del found
                del pieces[index]
    piece = np.empty(size, dtype)
    pieces.append(piece)
    return piece[:size].reshape(shape)
