"""Permute and Flip: the axes in another order or direction, for any dtype."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob
from spec.graph import Layer
from spec.layers.common import fault, only_bottom, resolve_axis
from spec.layers.strided import gather, strides_of, transpose

AXIS_NAMES = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}
"""The axes of a blob of each rank, outermost first."""

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
"""For each rank and order_type, the axes of the result, innermost first."""


def permute(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The axes in the order that `order_type` numbers; a 1-D blob is unchanged.

    For example, order 3 of a (c, h, w) blob is "cwh" from the innermost axis out: shape (h, w, c).

    Follows: ncnn src/layer/permute.cpp @ a4d2ea1d.

    >>> from spec.blob import float_blob
    >>> layer = Layer("Permute", "p", [], [], {0: 1})
    >>> permute(layer, [float_blob((2, 3), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])])[0].tolist()
    [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
    """
    blob = only_bottom(layer, bottoms)
    rank = len(blob.shape)
    order_type = layer.get.integer("order_type")
    if rank == 1:
        return [blob]
    if not 0 <= order_type < len(ORDERS[rank]):
        raise fault(layer, f"has order_type {order_type}, but a blob of {rank} dims has {len(ORDERS[rank])} orders")
    return [transpose(blob, axes_of(rank, order_type))]


def axes_of(rank: int, order_type: int) -> list[int]:
    """For each axis of the result, outermost first, the axis of the blob that it was.

    >>> axes_of(3, 3)
    [1, 2, 0]
    """
    return [AXIS_NAMES[rank].index(name) for name in reversed(ORDERS[rank][order_type])]


def flip(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The named axes in reverse; negative axes count from the end.

    Follows: ncnn src/layer/flip.cpp @ a4d2ea1d.

    >>> from spec.blob import float_blob
    >>> flip(Layer("Flip", "f", [], [], {0: [0]}), [float_blob((3,), [1.0, 2.0, 3.0])])[0].tolist()
    [3.0, 2.0, 1.0]
    """
    blob = only_bottom(layer, bottoms)
    strides = strides_of(blob.shape)
    start = 0
    for axis in {resolve_axis(layer, axis, len(blob.shape)) for axis in layer.get.integers("axes")}:
        start += (blob.shape[axis] - 1) * strides[axis]
        strides[axis] = -strides[axis]
    return [gather(blob, blob.shape, strides, start)]


FORWARD = {"Permute": permute, "Flip": flip}
