"""What every layer asks of its bottoms, and how it says no."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable

from spec.binary32 import Profile
from spec.blob import Blob
from spec.errors import GraphError
from spec.graph import Layer, Shape

Forward = Callable[[Layer, list[Blob], Profile], list[Blob]]
"""From a layer and its bottom blobs to its top blobs. Bottoms are never changed."""

Check = Callable[[Layer], None]
"""Raises GraphError for a layer that can never run."""


def fault(layer: Layer, message: str) -> GraphError:
    """The error to raise about this layer; the message starts with the layer's type."""
    return GraphError(layer.name, f"{layer.type} {message}")


def only_bottom(layer: Layer, bottoms: list[Blob]) -> Blob:
    """The bottom of a layer that has exactly one. GraphError otherwise."""
    if len(bottoms) != 1:
        raise fault(layer, f"takes one bottom blob, not {len(bottoms)}")
    return bottoms[0]


def float_bottom(layer: Layer, bottoms: list[Blob]) -> Blob:
    """The one bottom of a layer that computes in binary32. GraphError for integers and for other numbers of bottoms."""
    blob = only_bottom(layer, bottoms)
    floats(layer, blob)
    return blob


def floats(layer: Layer, blob: Blob) -> list[float]:
    """The values of a float32 blob. GraphError for int8 and int32, which upstream would read as if they were floats."""
    if blob.dtype != "float32":
        raise fault(layer, f"computes in float32, but its bottom blob is {blob.dtype}: put a Dequantize before it")
    return blob.floats()


def require_rank(layer: Layer, blob: Blob, *ranks: int) -> None:
    """GraphError unless the blob has one of these numbers of dims."""
    if len(blob.shape) not in ranks:
        wanted = " or ".join(str(rank) for rank in ranks)
        raise fault(layer, f"takes a blob of {wanted} dims, not shape {blob.shape}")


def resolve_axis(layer: Layer, axis: int, rank: int) -> int:
    """An axis counted from 0, where negative ones count from the end. GraphError outside the rank."""
    if not -rank <= axis < rank:
        raise fault(layer, f"has axis {axis}, but the blob has {rank} dims")
    return axis % rank


def require_weights(layer: Layer, name: str, count: int) -> list[float]:
    """The binary32 numbers of a weight record. GraphError unless there are `count` of them."""
    values = layer.weight(name).floats().tolist()
    if len(values) != count:
        raise fault(layer, f"needs {count} numbers in {name}, but has {len(values)}")
    return values


def rounded(values: Iterable[float]) -> list[float]:
    """Every value rounded to binary32, halves to even.

    >>> rounded([0.1, 1e39])
    [0.10000000149011612, inf]
    """
    return array("f", values).tolist()


def running_sum(values: Iterable[float], start: float = 0.0) -> float:
    """`start` plus each value in order, rounded to binary32 after every addition.

    >>> running_sum([1.0, 2.0**-24, 2.0**-24]), sum([1.0, 2.0**-24, 2.0**-24])
    (1.0, 1.0000001192092896)
    """
    total = array("f", [start])
    for value in values:
        total[0] += value
    return total[0]


def split_at(shape: Shape, axis: int) -> tuple[int, int, int]:
    """A shape as three extents: everything before the axis, the axis, everything after it.

    >>> split_at((2, 3, 4, 5), 1)
    (2, 3, 20)
    """
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
