"""Cast: from one element type to another."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Operator, Prepare, fault, only_bottom
from spec.errors import UnsupportedError
from spec.graph import Layer

FLOAT32, FLOAT16, INT8, BFLOAT16 = 1, 2, 3, 4
"""The values of `type_from` and `type_to`."""

DTYPES = {FLOAT32: "float32", INT8: "int8"}
"""The element types that a blob can have."""


def prepare_cast(layer: Layer) -> Operator:
    """Cast: int8 codes become the same numbers in float32; a type to itself changes nothing.

    Follows: ncnn src/layer/cast.cpp @ a4d2ea1d.
    """
    pair = layer.get.integer("type_from"), layer.get.integer("type_to")
    if FLOAT16 in pair or BFLOAT16 in pair:
        raise UnsupportedError(layer.name, f"Cast from type {pair[0]} to {pair[1]}: there are no 16-bit blobs here")
    if pair not in ((FLOAT32, FLOAT32), (INT8, INT8), (INT8, FLOAT32)):
        raise fault(layer, f"from type {pair[0]} to {pair[1]} does not exist: use Quantize to get int8")
    source, target = np.dtype(DTYPES[pair[0]]), np.dtype(DTYPES[pair[1]])

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        if blob.dtype != source:
            raise fault(layer, f"casts from {source}, but its bottom blob is {blob.dtype}")
        return [blob.astype(target, copy=False)]

    return operator


PREPARE: dict[str, Prepare] = {"Cast": prepare_cast}
