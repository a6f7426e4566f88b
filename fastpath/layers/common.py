"""What every layer asks of its bottoms, and how it says no."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spec.errors import GraphError
from spec.graph import Layer, Shape

Array = NDArray[Any]
"""A blob: float32, int8 or int32, C-contiguous, of 1 to 4 dims in numpy order."""

Floats = NDArray[np.float32]
"""A float32 array."""

Doubles = NDArray[np.float64]
"""A binary64 array."""

Operator = Callable[[list[Array]], list[Array]]
"""A prepared layer: from its bottom blobs to its top blobs. Bottoms are never changed; a top may share their memory."""

Prepare = Callable[[Layer], Operator]
"""Checks a layer, packs its weights and returns what runs it. GraphError for a layer that can never run."""


def fault(layer: Layer, message: str) -> GraphError:
    """The error to raise about this layer; the message starts with the layer's type."""
    return GraphError(layer.name, f"{layer.type} {message}")


def only_bottom(layer: Layer, bottoms: list[Array]) -> Array:
    """The bottom of a layer that has exactly one. GraphError otherwise."""
    if len(bottoms) != 1:
        raise fault(layer, f"takes one bottom blob, not {len(bottoms)}")
    return bottoms[0]


def float_bottom(layer: Layer, bottoms: list[Array]) -> Floats:
    """The one bottom of a layer that computes in binary32. GraphError for integers and for other numbers of bottoms."""
    return floats(layer, only_bottom(layer, bottoms))


def floats(layer: Layer, blob: Array) -> Floats:
    """The blob itself if it is float32. GraphError for int8 and int32."""
    if blob.dtype != np.float32:
        raise fault(layer, f"computes in float32, but its bottom blob is {blob.dtype}: put a Dequantize before it")
    return blob


def int32_bottom(layer: Layer, bottoms: list[Array]) -> NDArray[np.int32]:
    """The one bottom of a layer that reads int32. GraphError for other dtypes and numbers of bottoms."""
    blob = only_bottom(layer, bottoms)
    if blob.dtype != np.int32:
        raise fault(layer, f"reads an int32 blob, but its bottom blob is {blob.dtype}")
    return blob


def require_rank(layer: Layer, blob: Array, *ranks: int) -> None:
    """GraphError unless the blob has one of these numbers of dims."""
    if blob.ndim not in ranks:
        wanted = " or ".join(str(rank) for rank in ranks)
        raise fault(layer, f"takes a blob of {wanted} dims, not shape {blob.shape}")


def resolve_axis(layer: Layer, axis: int, rank: int) -> int:
    """An axis counted from 0, where negative ones count from the end. GraphError outside the rank."""
    if not -rank <= axis < rank:
        raise fault(layer, f"has axis {axis}, but the blob has {rank} dims")
    return axis % rank


def weights(layer: Layer, name: str, count: int) -> Floats:
    """The binary32 numbers of a weight record. GraphError unless there are `count` of them."""
    record = layer.weight(name)
    if record.dtype == "int8":
        raise fault(layer, f"needs floats in {name}, but has int8 codes")
    values = np.array(record.floats(), np.float32)
    if values.size != count:
        raise fault(layer, f"needs {count} numbers in {name}, but has {values.size}")
    return values


def along_axis(values: Floats, axis: int, rank: int) -> Floats:
    """A vector shaped so that it broadcasts along one axis of blobs of this rank.

    >>> along_axis(np.zeros(3, np.float32), 0, 3).shape
    (3, 1, 1)
    """
    return values.reshape([-1 if other == axis else 1 for other in range(rank)])


def split_at(shape: Shape, axis: int) -> tuple[int, int, int]:
    """A shape as three extents: everything before the axis, the axis, everything after it.

    >>> split_at((2, 3, 4, 5), 1)
    (2, 3, 20)
    """
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def transposed(matrix: Floats) -> Floats:
    """The columns of a matrix as rows, in memory of their own; OpenCV does it by blocks, unlike numpy."""
    import cv2

    turned: Floats = np.asarray(cv2.transpose(np.ascontiguousarray(matrix, np.float32)), np.float32)
    return turned.reshape(matrix.shape[::-1])


SUMS_SIDE_BY_SIDE = 16
"""From so many sums on, numpy's reduction along the outer axis is used: it adds row after row."""


def running_sum(terms: Floats, axis: int = -1, start: Floats | float = 0.0) -> Floats:
    """`start` plus the terms along an axis, in order, rounded to binary32 after every addition."""
    if terms.ndim == 1:
        row = np.empty(terms.size + 1, np.float32)
        row[0], row[1:] = start, terms
        return np.add.accumulate(row)[-1:].reshape(())
    first = np.asarray(start, np.float32)
    moved = terms if terms.ndim == 1 else np.moveaxis(terms, axis, 0)
    if moved.shape[0] == 0:
        return np.array(np.broadcast_to(first, moved.shape[1:]), np.float32)
    if moved[0].size >= SUMS_SIDE_BY_SIDE and first.ndim == 0:
        by_row = terms.ndim == 2 and axis in (-1, 1)
        rows = transposed(terms) if by_row else np.ascontiguousarray(moved).reshape(moved.shape[0], -1)
        return np.asarray(np.add.reduce(rows, axis=0, initial=first[()])).reshape(moved.shape[1:])
    chain = np.empty((1 + moved.shape[0], *moved.shape[1:]), np.float32)
    chain[0], chain[1:] = first, moved
    return np.asarray(np.add.accumulate(chain, axis=0, dtype=np.float32)[-1])


def choose(condition: NDArray[np.bool_], values: Floats | np.float32, out: Floats) -> None:
    """Set `out` to `values` where the condition holds.

    By bits, because numpy's masked copies take a branch for every element.
    """
    mask = np.negative(condition.astype(np.int32))
    chosen, bits = np.asarray(values).view(np.int32), out.view(np.int32)
    np.bitwise_and(mask, np.bitwise_xor(chosen, bits), out=mask)
    np.bitwise_xor(bits, mask, out=bits)


class Scratch(threading.local):
    """Buffers that an operator keeps between runs, one set a thread."""

    def __init__(self) -> None:
        self.buffers: dict[str, Array] = {}

    def array(self, name: str, shape: Shape, dtype: type[np.generic] = np.float32) -> Array:
        """An uninitialised array of this shape; the same memory at every call with the same name."""
        size = math.prod(shape)
        buffer = self.buffers.get(name)
        if buffer is None or buffer.size < size or buffer.dtype != dtype:
            buffer = self.buffers[name] = np.empty(size, dtype)
        return buffer[:size].reshape(shape)
