"""Concat: blobs side by side along one axis."""

from __future__ import annotations

import numpy as np

from fastpath.layers import recycle
from fastpath.layers.common import Array, Operator, Prepare, fault, resolve_axis
from spec.graph import Layer


def prepare_concat(layer: Layer) -> Operator:
    """Concat: bottoms of one dtype and rank, equal but along the axis.

    Follows: ncnn src/layer/concat.cpp @ a4d2ea1d.
    """

    def operator(bottoms: list[Array]) -> list[Array]:
        if not bottoms:
            raise fault(layer, "needs at least one bottom blob")
        first = bottoms[0]
        axis = resolve_axis(layer, layer.get.integer("axis"), first.ndim)
        for blob in bottoms[1:]:
            if blob.dtype != first.dtype:
                raise fault(layer, f"has bottom blobs of different types, {first.dtype} and {blob.dtype}")
            if blob.ndim != first.ndim or _others(blob, axis) != _others(first, axis):
                raise fault(layer, f"cannot join shapes {first.shape} and {blob.shape} along axis {axis}")
        shape = list(first.shape)
        shape[axis] = sum(blob.shape[axis] for blob in bottoms)
        return [np.concatenate(bottoms, axis=axis, out=recycle.blob(tuple(shape), first.dtype.type))]

    return operator


def _others(blob: Array, axis: int) -> tuple[int, ...]:
    return blob.shape[:axis] + blob.shape[axis + 1 :]


PREPARE: dict[str, Prepare] = {"Concat": prepare_concat}
