"""Eltwise."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.graph import Layer
from spec.layers.common import fault, floats, rounded

PRODUCT, SUM, MAX = range(3)
"""Values of `op_type`."""


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The product, weighted sum or maximum of two or more blobs of one shape, from the first to the last.

    With coefficients the sum is x0 * c0 + x1 * c1 + ..., every step rounded. GraphError for shapes that differ.

    Follows: ncnn src/layer/eltwise.cpp @ a4d2ea1d.

    >>> layer = Layer("Eltwise", "e", [], [], {0: 1, 1: [2.0, -1.0]})
    >>> forward(layer, [float_blob((2,), [1.0, 2.0]), float_blob((2,), [1.0, 1.0])])[0].tolist()
    [1.0, 3.0]
    """
    if len(bottoms) < 2:
        raise fault(layer, f"takes two or more bottom blobs, not {len(bottoms)}")
    shape = bottoms[0].shape
    if any(blob.shape != shape for blob in bottoms):
        raise fault(layer, f"takes blobs of one shape, not {[blob.shape for blob in bottoms]}")
    op_type, coeffs = layer.get.integer("op_type"), layer.get.numbers("coeffs")
    operands = [floats(layer, blob) for blob in bottoms]
    if op_type == SUM and coeffs:
        if len(coeffs) < len(operands):
            raise fault(layer, f"has {len(coeffs)} coefficients for {len(operands)} blobs")
        operands = [rounded(x * f32(coeff) for x in operand) for operand, coeff in zip(operands, coeffs)]
    total = operands[0]
    for operand in operands[1:]:
        if op_type == PRODUCT:
            total = rounded(x * y for x, y in zip(total, operand))
        elif op_type == SUM:
            total = rounded(x + y for x, y in zip(total, operand))
        else:
            total = list(map(max, total, operand))
    return [float_blob(shape, total)]


def check(layer: Layer) -> None:
    """GraphError for an unknown operation."""
    if layer.get.integer("op_type") not in (PRODUCT, SUM, MAX):
        raise fault(layer, f"has op_type {layer.get.integer('op_type')}, but knows 0 (product), 1 (sum) and 2 (max)")


FORWARD = {"Eltwise": forward}
CHECK = {"Eltwise": check}
