"""MatMul: BLAS orders the sums, so last bits differ from the spec's."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Operator, Prepare, fault, floats
from spec.graph import Layer


def prepare_mat_mul(layer: Layer) -> Operator:
    """MatMul: numpy.matmul's rules for 1 to 4 dims; with transB the last two axes of b are swapped first.

    Follows: ncnn src/layer/matmul.cpp @ a4d2ea1d.
    """
    transposed = layer.get.integer("transB") != 0

    def operator(bottoms: list[Array]) -> list[Array]:
        if len(bottoms) != 2:
            raise fault(layer, f"takes two bottom blobs, not {len(bottoms)}")
        a, b = (floats(layer, blob) for blob in bottoms)
        if transposed and b.ndim > 1:
            b = b.swapaxes(-1, -2)
        try:
            product = np.matmul(a, b)
        except ValueError:
            raise fault(layer, f"cannot multiply shapes {bottoms[0].shape} and {bottoms[1].shape}") from None
        return [np.atleast_1d(np.ascontiguousarray(product))]

    return operator


PREPARE: dict[str, Prepare] = {"MatMul": prepare_mat_mul}
