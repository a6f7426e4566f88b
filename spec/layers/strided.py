"""Index arithmetic: a blob seen through other extents and strides.

Transposing, flipping, broadcasting and cropping all read the same values at other positions, and each is one choice
of strides.
"""

from __future__ import annotations

from collections.abc import Sequence

from spec.blob import Blob
from spec.graph import Shape


def strides_of(shape: Shape) -> list[int]:
    """How far apart neighbours along each axis lie in C order.

    >>> strides_of((2, 3, 4))
    [12, 4, 1]
    """
    strides = [1] * len(shape)
    for axis in range(len(shape) - 1, 0, -1):
        strides[axis - 1] = strides[axis] * shape[axis]
    return strides


def positions(extents: Sequence[int], strides: Sequence[int], start: int = 0) -> list[int]:
    """The positions `start + i * strides[0] + j * strides[1] + ...` in C order of (i, j, ...).

    >>> positions((2, 3), (1, 2))
    [0, 2, 4, 1, 3, 5]
    """
    found = [start]
    for extent, stride in zip(extents, strides, strict=True):
        steps = range(0, extent * stride, stride) if stride else (0,) * extent
        found = [position + step for position in found for step in steps]
    return found


def gather(blob: Blob, extents: Shape, strides: Sequence[int], start: int = 0) -> Blob:
    """A blob of shape `extents` with the values of `blob` at those positions, of the same dtype."""
    values = blob.values
    return Blob(extents, blob.dtype, [values[position] for position in positions(extents, strides, start)])


def transpose(blob: Blob, axes: Sequence[int]) -> Blob:
    """The blob with its axes in another order: axis k of the result is axis `axes[k]` of the blob.

    >>> transpose(Blob((2, 3), "int8", [1, 2, 3, 4, 5, 6]), (1, 0)).tolist()
    [[1, 4], [2, 5], [3, 6]]
    """
    strides = strides_of(blob.shape)
    return gather(blob, tuple(blob.shape[axis] for axis in axes), [strides[axis] for axis in axes])


def box(blob: Blob, starts: Sequence[int], extents: Shape) -> Blob:
    """The part of the blob that begins at `starts` and has shape `extents`.

    >>> box(Blob((2, 3), "int8", [1, 2, 3, 4, 5, 6]), (0, 1), (2, 2)).tolist()
    [[2, 3], [5, 6]]
    """
    strides = strides_of(blob.shape)
    start = sum(first * stride for first, stride in zip(starts, strides, strict=True))
    return gather(blob, extents, strides, start)


def broadcast(blob: Blob, shape: Shape) -> Blob:
    """The blob of the same rank with every axis of extent 1 repeated to the extent in `shape`."""
    strides = [
        0 if have == 1 and want != 1 else stride
        for have, want, stride in zip(blob.shape, shape, strides_of(blob.shape), strict=True)
    ]
    return gather(blob, shape, strides)
