"""Gemm: (A·B + beta·C)·alpha."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastpath.layers.common import Array, Floats, Operator, fault
from fastpath.layers.dynamic import (
    dynamic_scales,
    exact_product,
    float_blob,
    float_records,
    int8_records,
    positive_scales,
    quantize_by,
)
from spec.errors import UnsupportedError
from spec.graph import Layer

ONE = np.float32(1.0)
BLOCK_TERMS = 400
"""quantize_term from here on means weights quantized block by block."""


def check_quantize_term(layer: Layer) -> bool:
    """Whether the layer is int8; GraphError for meaningless terms, UnsupportedError for block quantization."""
    term = layer.get.integer("quantize_term")
    if term in (4, 5, 6):
        raise fault(layer, f"quantize_term {term} has no meaning")
    if term >= BLOCK_TERMS:
        raise UnsupportedError(layer.name, f"{layer.type}: block quantization (quantize_term {term}) is not supported")
    return term != 0


def matrix(layer: Layer, blob: Array) -> Floats:
    """A 2-D operand; a 3-D one of shape (rows, 1, columns) counts as (rows, columns)."""
    values = float_blob(layer, blob, 2, 3)
    if values.ndim == 3:
        if values.shape[1] != 1:
            raise fault(layer, f"expects 3-D operands of shape (rows, 1, columns), but got {values.shape}")
        values = values[:, 0, :]
    return values


def broadcast_c(c: Floats, m: int, n: int, kind: int) -> Floats:
    """C of constant_broadcast_type `kind`, shaped so that it broadcasts against (M, N)."""
    return c.reshape({0: (1, 1), 1: (m, 1), 2: (m, 1), 3: (m, n), 4: (1, n)}[kind])


def dynamic_c(layer: Layer, blob: Array, m: int, n: int) -> Floats:
    """C that arrives as a bottom, read by its shape; where M == N a vector counts as one value a column."""
    c = float_blob(layer, blob, 1, 2)
    shape = c.shape
    for known, kind in (((1, n), 4), ((m, n), 3), ((m, 1), 2), ((n,), 4), ((m,), 1), ((1,), 0)):
        if shape == known:
            return broadcast_c(c, m, n, kind)
    raise fault(layer, f"C of shape {shape} does not broadcast to {(m, n)}")


@dataclass(frozen=True)
class Constant:
    """A stored operand: the logical matrix, and in the int8 form its scales."""

    values: Floats
    scales: Floats | None


class Gemm:
    """A prepared Gemm."""

    def __init__(self, layer: Layer) -> None:
        get = layer.get
        self.layer = layer
        self.int8 = check_quantize_term(layer)
        self.alpha, self.beta = np.float32(get.number("alpha")), np.float32(get.number("beta"))
        self.trans_a, self.trans_b = get.integer("transA") != 0, get.integer("transB") != 0
        self.output_n1m = get.integer("output_N1M") != 0
        self.output_transpose = get.integer("output_transpose") != 0
        m, n, k = (get.integer(name) for name in ("constantM", "constantN", "constantK"))
        self.a = self._constant("A", m, k, self.trans_a) if get.integer("constantA") else None
        self.b = self._constant("B", k, n, self.trans_b) if get.integer("constantB") else None
        self.c_is_constant = get.integer("constantC") != 0
        self.c: Floats | None = None
        if self.c_is_constant:
            kind = get.integer("constant_broadcast_type_C")
            if kind not in (-1, 0, 1, 2, 3, 4):
                raise fault(layer, f"constant_broadcast_type_C is -1 to 4, not {kind}")
            if kind != -1:
                count = {0: 1, 1: m, 2: m, 3: m * n, 4: n}[kind]
                self.c = broadcast_c(float_records(layer, "C_data", count), m, n, kind)

    def _constant(self, name: str, rows: int, columns: int, transposed: bool) -> Constant:
        layer = self.layer
        if rows < 1 or columns < 1:
            raise fault(layer, f"constant {name} needs its extents, but has {rows} x {columns}")
        stored = (columns, rows) if transposed else (rows, columns)
        scales: Floats | None = None
        if self.int8:
            values = int8_records(layer, f"{name}_data", *stored).astype(np.float32)
            if name == "A":
                scales = positive_scales(layer, "A_data_int8_scales", rows, 1)
            else:
                scales = positive_scales(layer, "B_data_int8_scale", 1, 1)
        else:
            values = float_records(layer, f"{name}_data", *stored)
        return Constant(np.ascontiguousarray(values.T) if transposed else values, scales)

    def __call__(self, bottoms: list[Array]) -> list[Array]:
        """The bottoms that are not constant, in the order A, B, C, to (M, N), or as output_transpose and _N1M say."""
        layer = self.layer
        rest = list(bottoms)
        expected = (self.a is None) + (self.b is None)
        optional = 0 if self.c_is_constant else 1
        if not expected <= len(rest) <= expected + optional:
            raise fault(layer, f"needs {expected} bottoms that are not C, but got {len(rest)}")
        a, a_scales = self._operand(self.a, rest, self.trans_a, 1)
        b, b_scales = self._operand(self.b, rest, self.trans_b, None)
        if a.shape[1] != b.shape[0]:
            raise fault(layer, f"A of {a.shape} and B of {b.shape} do not multiply")
        m, n = a.shape[0], b.shape[1]
        with np.errstate(all="ignore"):
            if a_scales is not None and b_scales is not None:
                output = exact_product(layer, a, b)
                np.multiply(output, ONE / (a_scales * b_scales), out=output)
            else:
                output = np.matmul(a, b)
            c = self.c if self.c_is_constant else dynamic_c(layer, rest[0], m, n) if rest else None
            if c is not None:
                np.add(output, c * self.beta, out=output)
            np.multiply(output, self.alpha, out=output)
        if self.output_transpose:
            output = np.ascontiguousarray(output.T)
        return [output[:, np.newaxis, :] if self.output_n1m else output]

    def _operand(
        self, constant: Constant | None, rest: list[Array], transposed: bool, axis: int | None
    ) -> tuple[Floats, Floats | None]:
        if constant is not None:
            return constant.values, constant.scales
        values = matrix(self.layer, rest.pop(0))
        values = values.T if transposed else values
        if not self.int8:
            return values, None
        scales = dynamic_scales(self.layer, values, axis)
        return quantize_by(values, scales), scales


def prepare(layer: Layer) -> Operator:
    """Gemm. The int8 form gives A one scale a row and B one scale, at run time where they are bottoms.

    Follows: ncnn src/layer/gemm.cpp @ a4d2ea1d.
    """
    return Gemm(layer)


PREPARE = {"Gemm": prepare}
