"""Eltwise: the product, weighted sum or maximum of blobs of one shape."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Operator, Prepare, fault, floats
from spec.graph import Layer

PRODUCT, SUM, MAX = range(3)
"""Values of `op_type`."""


def prepare_eltwise(layer: Layer) -> Operator:
    """Eltwise: from the first bottom to the last, every step rounded.

    Follows: ncnn src/layer/eltwise.cpp @ a4d2ea1d.
    """
    op_type = layer.get.integer("op_type")
    if op_type not in (PRODUCT, SUM, MAX):
        raise fault(layer, f"has op_type {op_type}, but knows 0 (product), 1 (sum) and 2 (max)")
    coeffs = np.array(layer.get.numbers("coeffs"), np.float32)

    def operator(bottoms: list[Array]) -> list[Array]:
        if len(bottoms) < 2:
            raise fault(layer, f"takes two or more bottom blobs, not {len(bottoms)}")
        if any(blob.shape != bottoms[0].shape for blob in bottoms):
            raise fault(layer, f"takes blobs of one shape, not {[blob.shape for blob in bottoms]}")
        operands = [floats(layer, blob) for blob in bottoms]
        if op_type == SUM and coeffs.size:
            if coeffs.size < len(operands):
                raise fault(layer, f"has {coeffs.size} coefficients for {len(operands)} blobs")
            operands = [operand * coeff for operand, coeff in zip(operands, coeffs, strict=False)]
        total = operands[0]
        for operand in operands[1:]:
            if op_type == MAX:
                total = np.where(operand > total, operand, total)
            else:
                total = total * operand if op_type == PRODUCT else total + operand
        return [total]

    return operator


PREPARE: dict[str, Prepare] = {"Eltwise": prepare_eltwise}
