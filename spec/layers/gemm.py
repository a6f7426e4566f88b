"""Gemm: the product of two matrices, each from the model or computed, plus a third; in binary32 and in int8."""

from __future__ import annotations

from collections.abc import Sequence

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob
from spec.graph import Layer, Shape
from spec.layers.common import fault, floats, require_weights
from spec.layers.dynamic_scales import (
    Matrix,
    Quantized,
    check_quantize_term,
    check_weight,
    float_product,
    int8_product,
    quantize_matrix,
    quantize_rows,
    transposed,
)
from spec.layers.static_scales import split

NO_C, SCALAR, PER_ROW, PER_ROW_2D, FULL, PER_COLUMN = range(-1, 5)
"""How C spreads over the (M, N) result."""


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Multiply the matrices A (M, K) and B (K, N) and add C; in int8 if the layer has a quantize_term.

    y = (A B + beta * C) * alpha, float32 (M, N). The bottoms are A, B and C in this order, each unless it is constant,
    and C unless there is none. A comes as (K, M) with transA, B as (N, K) with transB; both may have an axis of extent
    1 in the middle, or be 1-D, which is one row. C is one number, (M,), (M, 1), (M, N), (N,) or (1, N). The result is
    (N, M) with output_transpose, and has an axis of extent 1 in the middle with output_N1M.

    Follows: ncnn src/layer/gemm.cpp @ a4d2ea1d.
    Unspecified: where M = N, a 1-D C is one number for each column. Raises GraphError for sizes that do not fit, for a
    C of any other shape, and in int8 for NaN and infinities.

    >>> from spec.blob import float_blob
    >>> layer = Layer("Gemm", "g", ["a", "b"], ["y"], {0: 2.0, 3: 1})
    >>> forward(layer, [float_blob((1, 2), [1.0, 2.0]), float_blob((2, 2), [3.0, 4.0, 5.0, 6.0])])[0].tolist()
    [[22.0, 34.0]]
    """
    operands = _Operands(layer, bottoms)
    rows = forward_int8(layer, operands, profile) if layer.get["quantize_term"] else forward_float(layer, operands)
    if layer.get["output_transpose"]:
        rows = transposed(rows)
    shape: Shape = (len(rows), len(rows[0]))
    if layer.get["output_N1M"]:
        shape = (shape[0], 1, shape[1])
    return [Blob(shape, "float32", [value for row in rows for value in row])]


class _Operands:
    """A as its M rows, B as its N columns, and C, each None where it is constant (C also where there is none)."""

    def __init__(self, layer: Layer, bottoms: list[Blob]) -> None:
        get = layer.get
        blobs = list(bottoms)
        expected = [2 - bool(get["constantA"]) - bool(get["constantB"])]
        if not get["constantC"]:
            expected.append(expected[0] + 1)
        if len(blobs) not in expected:
            raise fault(layer, f"takes {' or '.join(map(str, expected))} bottom blobs, not {len(blobs)}")
        self.a = None if get["constantA"] else _oriented(_rows(layer, blobs.pop(0)), get["transA"] != 0)
        self.b = None if get["constantB"] else _oriented(_rows(layer, blobs.pop(0)), get["transB"] == 0)
        self.c = blobs.pop(0) if blobs else None


def forward_float(layer: Layer, operands: _Operands) -> list[list[float]]:
    """(beta * C + A B) * alpha in binary32: the sum starts from beta * C and takes one product after the other.

    Follows: ncnn src/layer/gemm.cpp (forward) @ a4d2ea1d.
    Unspecified: NaN, infinities and overflow follow IEEE 754.
    """
    a = operands.a if operands.a is not None else _constant(layer, "A")
    b = operands.b if operands.b is not None else _constant(layer, "B")
    _require_common_k(layer, a, b)
    alpha = f32(layer.get.number("alpha"))
    rows = float_product(a, b, _addend(layer, operands.c, len(a), len(b)))
    return [[f32(value * alpha) for value in row] for row in rows]


def forward_int8(layer: Layer, operands: _Operands, profile: Profile) -> list[list[float]]:
    """(A B + beta * C) * alpha with A and B in int8: A has a scale for each row, B has one.

    A constant matrix brings its codes and scales; one that comes at run time is quantized with 127 / absmax.
    y[i, j] = (f32(sum) * (1 / (scale_a[i] * scale_b)) + beta * c) * alpha, one rounding each.

    Follows: ncnn src/layer/gemm.cpp (forward_int8) @ a4d2ea1d.
    Unspecified: see `forward`.

    >>> from spec.blob import float_blob
    >>> layer = Layer("Gemm", "g", ["a", "b"], ["y"], {3: 1, 18: 2})
    >>> a, b = float_blob((1, 2), [2.0, 0.0]), float_blob((1, 2), [0.5, -1.0])
    >>> forward_int8(layer, _Operands(layer, [a, b]), REFERENCE)
    [[1.0078740119934082]]
    """
    # quantize input
    if operands.a is None:
        a = Quantized(_constant_codes(layer, "A"), layer.weight("A_data_int8_scales").floats().tolist())
    else:
        a = quantize_rows(layer, operands.a, profile)
    if operands.b is None:
        codes = _constant_codes(layer, "B")
        b = Quantized(codes, layer.weight("B_data_int8_scale").floats().tolist() * len(codes))
    else:
        b = quantize_matrix(layer, operands.b, profile)
    _require_common_k(layer, a.rows, b.rows)

    # accumulate
    # descale
    # bias
    rows = int8_product(layer, a, b, profile, _addend(layer, operands.c, len(a.rows), len(b.rows)))
    alpha = f32(layer.get.number("alpha"))

    # activation
    # requantize
    return [[f32(value * alpha) for value in row] for row in rows]


def _rows(layer: Layer, blob: Blob) -> list[list[float]]:
    """The rows of a matrix that comes at run time: (rows, columns), (rows, 1, columns), or (columns,) for one row."""
    if len(blob.shape) > 3 or (len(blob.shape) == 3 and blob.shape[1] != 1) or not blob.values:
        raise fault(layer, f"takes matrices (rows, columns) or (rows, 1, columns), not a blob of shape {blob.shape}")
    return split(floats(layer, blob), blob.shape[0] if len(blob.shape) > 1 else 1)


def _oriented(rows: list[list[float]], transpose: bool) -> list[list[float]]:
    return transposed(rows) if transpose else rows


def _constant(layer: Layer, side: str) -> list[list[float]]:
    """The rows of a constant A, or the columns of a constant B."""
    get = layer.get
    stored = split(layer.weight(f"{side}_data").floats().tolist(), _stored_rows(layer, side))
    return _oriented(stored, get["transA"] != 0 if side == "A" else get["transB"] == 0)


def _constant_codes(layer: Layer, side: str) -> list[list[int]]:
    """The same of an int8 record."""
    stored = split(layer.weight(f"{side}_data").int8().tolist(), _stored_rows(layer, side))
    transpose = layer.get["transA"] != 0 if side == "A" else layer.get["transB"] == 0
    return [list(column) for column in zip(*stored, strict=True)] if transpose else stored


def _stored_rows(layer: Layer, side: str) -> int:
    get = layer.get
    if side == "A":
        return get.integer("constantK" if get["transA"] else "constantM")
    return get.integer("constantN" if get["transB"] else "constantK")


def _require_common_k(layer: Layer, a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> None:
    if len(a[0]) != len(b[0]):
        raise fault(layer, f"multiplies rows of {len(a[0])} values with columns of {len(b[0])}")


def _addend(layer: Layer, blob: Blob | None, m: int, n: int) -> Matrix | None:
    """Beta * C spread over the result, or None."""
    if layer.get["constantC"]:
        kind = layer.get.integer("constant_broadcast_type_C")
        if kind == NO_C:
            return None
        count = {SCALAR: 1, PER_ROW: m, PER_ROW_2D: m, FULL: m * n, PER_COLUMN: n}[kind]
        values = require_weights(layer, "C_data", count)
    elif blob is not None:
        kind = _broadcast_type(layer, blob.shape, m, n)
        values = floats(layer, blob)
    else:
        return None
    beta = f32(layer.get.number("beta"))
    scaled = [f32(value * beta) for value in values]
    if kind == SCALAR:
        return [scaled * n] * m
    if kind in (PER_ROW, PER_ROW_2D):
        return [[value] * n for value in scaled]
    if kind == PER_COLUMN:
        return [scaled] * m
    return split(scaled, m)


def _broadcast_type(layer: Layer, shape: Shape, m: int, n: int) -> int:
    """Of several shapes that fit, the last in this order counts, as upstream tests them one after the other."""
    matching = [SCALAR] if shape == (1,) else []
    matching += [PER_ROW] if shape == (m,) else []
    matching += [PER_COLUMN] if shape == (n,) else []
    matching += [PER_ROW_2D] if shape == (m, 1) else []
    matching += [FULL] if shape == (m, n) else []
    matching += [PER_COLUMN] if shape == (1, n) else []
    if not matching:
        raise fault(layer, f"cannot spread C of shape {shape} over a result of shape {(m, n)}")
    return matching[-1]


def check(layer: Layer) -> None:
    """GraphError for constants without sizes, an unknown broadcast type, and weights of the wrong kind."""
    check_quantize_term(layer)
    get = layer.get
    for side, extent, scales in (("A", "constantM", "A_data_int8_scales"), ("B", "constantN", "B_data_int8_scale")):
        if get[f"constant{side}"]:
            if get.integer(extent) < 1 or get.integer("constantK") < 1:
                raise fault(layer, f"has a constant {side}, but no {extent} or no constantK")
            check_weight(layer, f"{side}_data", scales)
    kind = get.integer("constant_broadcast_type_C")
    if get["constantC"] and not NO_C <= kind <= PER_COLUMN:
        raise fault(layer, f"has constant_broadcast_type_C {kind}, but it is -1 to 4")


FORWARD = {"Gemm": forward}
CHECK = {"Gemm": check}
