"""Slice."""

from __future__ import annotations

from itertools import pairwise

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob
from spec.graph import Layer
from spec.layers.common import fault, only_bottom, resolve_axis
from spec.layers.strided import box

AN_EQUAL_SHARE = -233
"""A size that means: what remains, divided by the number of tops that are still to come."""


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The bottom cut along an axis into one piece for each top, of any dtype.

    `slices` gives the sizes; or `indices` gives where to cut, negative ones from the end, the last top taking the rest.
    GraphError unless the pieces cover the axis and none is empty.

    Follows: ncnn src/layer/slice.cpp @ a4d2ea1d.
    Unspecified: upstream ignores or misreads what the sizes leave over.
    """
    blob = only_bottom(layer, bottoms)
    axis = resolve_axis(layer, layer.get.integer("axis"), len(blob.shape))
    length = blob.shape[axis]
    indices = layer.get.integers("indices")
    if indices:
        sizes = sizes_between(indices, length)
    else:
        sizes = sizes_of_slices(layer.get.integers("slices"), length)
    if len(sizes) != len(layer.tops):
        raise fault(layer, f"has {len(layer.tops)} tops, but describes {len(sizes)} pieces")
    if sum(sizes) != length or min(sizes) <= 0:
        raise fault(layer, f"cuts an axis of extent {length} into pieces of {sizes}")
    pieces = []
    start = 0
    for size in sizes:
        starts = [start if index == axis else 0 for index in range(len(blob.shape))]
        pieces.append(box(blob, starts, (*blob.shape[:axis], size, *blob.shape[axis + 1 :])))
        start += size
    return pieces


def sizes_of_slices(slices: list[int], length: int) -> list[int]:
    """The size of each piece, equal shares resolved.

    >>> sizes_of_slices([2, -233, -233], 7)
    [2, 2, 3]
    """
    sizes: list[int] = []
    for index, size in enumerate(slices):
        rest = length - sum(sizes)
        sizes.append(rest // (len(slices) - index) if size == AN_EQUAL_SHARE else size)
    return sizes


def sizes_between(indices: list[int], length: int) -> list[int]:
    """The size of each piece between the cuts.

    >>> sizes_between([2, -1], 7)
    [2, 4, 1]
    """
    cuts = [0, *(index if index >= 0 else length + index for index in indices), length]
    return [after - before for before, after in pairwise(cuts)]


FORWARD = {"Slice": forward}
