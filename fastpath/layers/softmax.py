"""Softmax along one axis."""

from __future__ import annotations

import numpy as np

from fastpath.layers import recycle
from fastpath.layers.common import (
    Array,
    Floats,
    Operator,
    Prepare,
    fault,
    float_bottom,
    resolve_axis,
    running_sum,
    transposed,
)
from fastpath.layers.functions import exp_in_place
from spec.graph import Layer

SHORT_ROW = 16
"""Rows up to this long are turned into columns, of which numpy takes many at a time."""


def prepare_softmax(layer: Layer) -> Operator:
    """Softmax: exp(x - m) / sum of them in order, with m the maximum along the axis; float32 of 1 to 4 dims.

    Follows: ncnn src/layer/softmax.cpp @ a4d2ea1d.
    """
    axis = layer.get.integer("axis")
    if axis != 0 and layer.get.integer("fixbug0") == 0:
        raise fault(layer, "has an axis, but lacks 1=1: the file is too old for ncnn to read")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        where = resolve_axis(layer, axis, blob.ndim)
        return [softmax(blob, where)]

    return operator


def softmax(values: Floats, axis: int) -> Floats:
    """exp(x - max) / sum of exp(x - max) along one axis, the sum in order."""
    if values.ndim == 2 and axis == 1 and values.shape[1] <= SHORT_ROW:
        return transposed(softmax(transposed(values), 0))
    powers: Floats = recycle.blob(values.shape)
    np.subtract(values, values.max(axis=axis, keepdims=True), out=powers)
    exp_in_place(powers)
    total = running_sum(powers, axis).reshape(*powers.shape[:axis], 1, *powers.shape[axis + 1 :])
    np.divide(powers, total, out=powers)
    return powers


PREPARE: dict[str, Prepare] = {"Softmax": prepare_softmax}
