"""Permute and Flip: the same values in another order."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Operator, Prepare, fault, only_bottom, resolve_axis
from spec.graph import Layer

ORDERS = {
    1: ("w",),
    2: ("wh", "hw"),
    3: ("whc", "hwc", "wch", "cwh", "hcw", "chw"),
    4: (
        *("whdc", "hwdc", "wdhc", "dwhc", "hdwc", "dhwc", "whcd", "hwcd"),
        *("wchd", "cwhd", "hcwd", "chwd", "wdch", "dwch", "wcdh", "cwdh"),
        *("dcwh", "cdwh", "hdcw", "dhcw", "hcdw", "chdw", "dchw", "cdhw"),
    ),
}
"""For each rank, by order_type: the axes of the result, innermost first, named as the bottom blob's."""

AXIS_NAMES = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}
"""For each rank, the axes in numpy order."""


def prepare_permute(layer: Layer) -> Operator:
    """Permute: the axes in another order, any dtype; vectors stay. Follows: ncnn src/layer/permute.cpp @ a4d2ea1d."""
    order = layer.get.integer("order_type")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        if blob.ndim == 1:
            return [blob]
        orders = ORDERS[blob.ndim]
        if not 0 <= order < len(orders):
            raise fault(layer, f"has order_type {order}, but a blob of {blob.ndim} dims has {len(orders)} orders")
        axes = [AXIS_NAMES[blob.ndim].index(name) for name in reversed(orders[order])]
        return [np.ascontiguousarray(blob.transpose(axes))]

    return operator


def prepare_flip(layer: Layer) -> Operator:
    """Flip: some axes back to front, any dtype. Follows: ncnn src/layer/flip.cpp @ a4d2ea1d."""
    axes = layer.get.integers("axes")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        resolved = {resolve_axis(layer, axis, blob.ndim) for axis in axes}
        return [np.ascontiguousarray(np.flip(blob, tuple(resolved)))]

    return operator


PREPARE: dict[str, Prepare] = {"Permute": prepare_permute, "Flip": prepare_flip}
