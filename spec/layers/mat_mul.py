"""MatMul."""

from __future__ import annotations

from array import array

from spec.binary32 import REFERENCE, Profile, add_products
from spec.blob import Blob, float_blob
from spec.graph import Layer, Shape
from spec.layers.common import fault, floats
from spec.layers.strided import broadcast, transpose


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The matrix product of the last two axes, with the axes before them broadcast as numpy does.

    y[i, j] = sum over k, in order, of a[i, k] * b[k, j]. A 1-D first operand is a row, a 1-D second one a column, and
    their axis disappears again; two 1-D operands give (1,). With transB the last two axes of b are swapped first.

    Follows: ncnn src/layer/matmul.cpp @ a4d2ea1d.

    >>> layer = Layer("MatMul", "m", [], [])
    >>> forward(layer, [float_blob((1, 2), [1.0, 2.0]), float_blob((2, 1), [3.0, 4.0])])[0].tolist()
    [[11.0]]
    """
    if len(bottoms) != 2:
        raise fault(layer, f"takes two bottom blobs, not {len(bottoms)}")
    left, right = bottoms
    floats(layer, left), floats(layer, right)
    a = left.reshaped((1, *left.shape)) if len(left.shape) == 1 else left
    b = right.reshaped((*right.shape, 1)) if len(right.shape) == 1 else right
    if layer.get.integer("transB") and len(right.shape) > 1:
        rank = len(b.shape)
        b = transpose(b, (*range(rank - 2), rank - 1, rank - 2))
    (rows, count), (count_b, columns) = a.shape[-2:], b.shape[-2:]
    if count != count_b:
        raise fault(layer, f"cannot multiply shapes {left.shape} and {right.shape}")
    batch = _batch(layer, a.shape[:-2], b.shape[:-2])
    xs, ys = (_repeated(matrix, batch).floats() for matrix in (a, b))
    values: list[float] = []
    for index in range(len(xs) // (rows * count)):
        values += product(
            xs[index * rows * count : (index + 1) * rows * count],
            ys[index * count * columns : (index + 1) * count * columns],
            (rows, count, columns),
        )
    shape = (*batch, *(() if len(left.shape) == 1 else (rows,)), *(() if len(right.shape) == 1 else (columns,)))
    return [float_blob(shape or (1,), values)]


def product(a: list[float], b: list[float], extents: tuple[int, int, int]) -> list[float]:
    """The product of a (rows, count) and a (count, columns) matrix in C order.

    >>> product([1.0, 2.0], [3.0, 4.0, 5.0, 6.0], (1, 2, 2))
    [13.0, 16.0]
    """
    rows, count, columns = extents
    lines = [b[k * columns : (k + 1) * columns] for k in range(count)]
    values: list[float] = []
    for i in range(rows):
        totals = array("f", [0.0] * columns)
        for k, line in enumerate(lines):
            totals = add_products(totals, line, a[i * count + k])
        values += totals
    return values


def _batch(layer: Layer, left: Shape, right: Shape) -> Shape:
    rank = max(len(left), len(right))
    a, b = (1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right
    if any(m != n and 1 not in (m, n) for m, n in zip(a, b)):
        raise fault(layer, f"cannot broadcast batches {left} and {right}")
    return tuple(n if m == 1 else m for m, n in zip(a, b))


def _repeated(matrix: Blob, batch: Shape) -> Blob:
    missing = len(batch) + 2 - len(matrix.shape)
    return broadcast(matrix.reshaped((1,) * missing + matrix.shape), (*batch, *matrix.shape[-2:]))


FORWARD = {"MatMul": forward}
