"""Cast: from one element type to another."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob, Dtype, float_blob
from spec.errors import UnsupportedError
from spec.graph import Layer
from spec.layers.common import fault, only_bottom

FLOAT32, FLOAT16, INT8, BFLOAT16 = 1, 2, 3, 4
"""The values of `type_from` and `type_to`."""

DTYPES: dict[int, Dtype] = {FLOAT32: "float32", INT8: "int8"}
"""The element types that a blob of the spec can have."""


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """int8 codes become the same numbers in float32, without a scale; a type to itself changes nothing.

    y = f32(x), 1 to 4 dims.

    Follows: ncnn src/layer/cast.cpp @ a4d2ea1d.
    Unspecified: from float32 to int8 upstream leaves the result uninitialised; here GraphError when the network is
    loaded. float16 and bfloat16 blobs do not exist here: UnsupportedError. Raises GraphError for a blob of another type
    than type_from.

    >>> from spec.blob import int8_blob
    >>> forward(Layer("Cast", "c", ["x"], ["y"], {0: 3, 1: 1}), [int8_blob((2,), [3, -4])])[0]
    Blob(shape=(2,), dtype='float32', values=[3.0, -4.0])
    """
    blob = only_bottom(layer, bottoms)
    type_from, type_to = layer.get.integer("type_from"), layer.get.integer("type_to")
    if blob.dtype != DTYPES[type_from]:
        raise fault(layer, f"casts from {DTYPES[type_from]}, but its bottom blob is {blob.dtype}")
    return [blob if type_to == type_from else float_blob(blob.shape, blob.values)]


def check(layer: Layer) -> None:
    """UnsupportedError for 16-bit types, GraphError for a cast that does not exist."""
    pair = layer.get.integer("type_from"), layer.get.integer("type_to")
    if FLOAT16 in pair or BFLOAT16 in pair:
        raise UnsupportedError(layer.name, f"Cast from type {pair[0]} to {pair[1]}: there are no 16-bit blobs here")
    if pair not in ((FLOAT32, FLOAT32), (INT8, INT8), (INT8, FLOAT32)):
        raise fault(layer, f"from type {pair[0]} to {pair[1]} does not exist: use Quantize to get int8")


FORWARD = {"Cast": forward}
CHECK = {"Cast": check}
