"""Slice: a blob cut into pieces along one axis."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fastpath.layers.common import Array, Operator, Prepare, fault, only_bottom, resolve_axis
from spec.graph import Layer

EQUAL_SHARE = -233
"""A size that means: what remains, divided by the number of tops that are still to come."""


def prepare_slice(layer: Layer) -> Operator:
    """Slice: one piece for each top, by sizes or by cuts, any dtype. Follows: ncnn src/layer/slice.cpp @ a4d2ea1d."""
    indices, slices = layer.get.integers("indices"), layer.get.integers("slices")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        axis = resolve_axis(layer, layer.get.integer("axis"), blob.ndim)
        length = blob.shape[axis]
        sizes = sizes_between(indices, length) if indices else sizes_of_slices(slices, length)
        if len(sizes) != len(layer.tops):
            raise fault(layer, f"has {len(layer.tops)} tops, but describes {len(sizes)} pieces")
        if sum(sizes) != length or min(sizes) <= 0:
            raise fault(layer, f"cuts an axis of extent {length} into pieces of {sizes}")
        cuts = np.cumsum(sizes[:-1])
        return [np.ascontiguousarray(piece) for piece in np.split(blob, cuts, axis)]

    return operator


def sizes_of_slices(slices: list[int], length: int) -> list[int]:
    """The size of each piece, equal shares resolved.

    >>> sizes_of_slices([2, -233, -233], 7)
    [2, 2, 3]
    """
    sizes: list[int] = []
    for index, size in enumerate(slices):
        rest = length - sum(sizes)
        sizes.append(rest // (len(slices) - index) if size == EQUAL_SHARE else size)
    return sizes


def sizes_between(indices: list[int], length: int) -> list[int]:
    """The size of each piece between the cuts, negative ones counted from the end.

    >>> sizes_between([2, -1], 7)
    [2, 4, 1]
    """
    cuts = [0, *(index if index >= 0 else length + index for index in indices), length]
    return [after - before for before, after in pairwise(cuts)]


PREPARE: dict[str, Prepare] = {"Slice": prepare_slice}
