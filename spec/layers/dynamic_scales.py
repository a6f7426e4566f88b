"""What Gemm, MultiHeadAttention and SDPA share: matrices that get their int8 scales while the network runs.

A matrix is a list of rows. Products are written over the rows of both sides: the right side is given transposed.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from spec.binary32 import Profile, add_products, f32, multiply_add
from spec.errors import UnsupportedError
from spec.functions import divide
from spec.graph import Layer
from spec.layers.common import fault
from spec.layers.quantize import int8_codes
from spec.rounding import MAX_TERMS, absmax, dot, dynamic_scale

FIRST_BLOCK_TERM = 400
"""Values of quantize_term from here on mean weights of 4, 6 or 8 bits in blocks, which are multiplied as floats."""

RESERVED_TERMS = (4, 5, 6)
"""Values of quantize_term that upstream refuses to load."""

Matrix = Sequence[Sequence[float]]
"""Rows of binary32 numbers."""


@dataclass(frozen=True)
class Quantized:
    """int8 codes row by row, and the scale of each row."""

    rows: list[list[int]]
    scales: list[float]


def quantize_rows(layer: Layer, rows: Matrix, profile: Profile) -> Quantized:
    """Each row has a scale of its own: 127 / absmax of the row, 1 for zeros."""
    scales = [dynamic_scale(absmax(row)) for row in rows]
    return Quantized([int8_codes(layer, row, scale, profile) for row, scale in zip(rows, scales, strict=True)], scales)


def quantize_matrix(layer: Layer, rows: Matrix, profile: Profile) -> Quantized:
    """All rows share one scale: 127 / absmax of the matrix, 1 for zeros."""
    scale = dynamic_scale(max(map(absmax, rows), default=0.0))
    return Quantized([int8_codes(layer, row, scale, profile) for row in rows], [scale] * len(rows))


def int8_product(
    layer: Layer, left: Quantized, right: Quantized, profile: Profile, addend: Matrix | None = None
) -> list[list[float]]:
    """out[i][j] = f32(sum) * (1 / (left scale i * right scale j)) + addend[i][j], sums of products being exact.

    >>> from spec.binary32 import REFERENCE
    >>> left, right = Quantized([[2, 3]], [4.0]), Quantized([[1, 2], [0, 1]], [1.0, 1.0])
    >>> int8_product(Layer("Gemm", "g", [], []), left, right, REFERENCE)
    [[2.0, 0.75]]
    """
    if left.rows and len(left.rows[0]) > MAX_TERMS:
        raise fault(layer, f"sums {len(left.rows[0])} products, but an int32 accumulator is only safe for {MAX_TERMS}")
    out: list[list[float]] = []
    for i, row in enumerate(left.rows):
        sums = [f32(dot(row, other)) for other in right.rows]
        descales = [divide(1.0, f32(left.scales[i] * scale)) for scale in right.scales]
        if addend is None:
            out.append([f32(total * descale) for total, descale in zip(sums, descales, strict=True)])
        else:
            out.append([multiply_add(*terms, profile) for terms in zip(sums, descales, addend[i], strict=True)])
    return out


def float_product(left: Matrix, right: Matrix, addend: Matrix | None = None) -> list[list[float]]:
    """out[i][j] = addend[i][j] + left[i][0] * right[j][0] + left[i][1] * right[j][1] + ..., every step rounded.

    >>> float_product([[2.0, 3.0]], [[1.0, 2.0], [0.0, 1.0]])
    [[8.0, 3.0]]
    """
    columns = transposed(right)
    out: list[list[float]] = []
    for i, row in enumerate(left):
        totals = array("f", addend[i] if addend is not None else [0.0] * len(right))
        for value, column in zip(row, columns, strict=True):
            totals = add_products(totals, column, value)
        out.append(totals.tolist())
    return out


def transposed(rows: Matrix) -> list[list[float]]:
    """Columns as rows.

    >>> transposed([[1.0, 2.0], [3.0, 4.0]])
    [[1.0, 3.0], [2.0, 4.0]]
    """
    return [list(column) for column in zip(*rows, strict=True)]


def check_quantize_term(layer: Layer) -> None:
    """GraphError for values of quantize_term that upstream refuses, UnsupportedError for block-quantized weights."""
    term = layer.get.integer("quantize_term")
    if term in RESERVED_TERMS:
        raise fault(layer, f"has quantize_term {term}, which no version gives a meaning")
    if term >= FIRST_BLOCK_TERM:
        raise UnsupportedError(layer.name, f"{layer.type} has block-quantized weights (quantize_term {term})")


def check_weight(layer: Layer, name: str, scales: str) -> None:
    """GraphError unless a weight record is int8 with finite scales that are not 0, or float in a float layer."""
    int8 = layer.get["quantize_term"] != 0
    if int8 != (layer.weight(name).dtype == "int8"):
        raise fault(
            layer, f"has {layer.weight(name).dtype} weights in {name}, but quantize_term {layer.get['quantize_term']}"
        )
    if int8 and not all(0.0 < abs(scale) < float("inf") for scale in layer.weight(scales).floats()):
        raise fault(layer, f"needs finite scales other than 0 in {scales}")
