"""BinaryOp: arithmetic of two blobs, or of a blob and a number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, float_bottom, floats
from fastpath.layers.functions import exp, log1p, pow
from spec.graph import Layer, Shape

Operation = Callable[[Floats, Floats], Floats]


def remainder(x: Floats, y: Floats) -> Floats:
    """The rest x - n * y for the whole number n nearest to x / y, halves to even."""
    wide, step = x.astype(np.float64), np.abs(y.astype(np.float64))
    rest = np.fmod(wide, 2 * step)
    size = np.abs(rest)
    folded = np.where(size + size > step, size - step, size)
    folded = np.where((size + size > step) & (folded + folded >= step), folded - step, folded)
    rest = np.where(np.isinf(step) & np.isfinite(wide), wide, np.copysign(1.0, wide) * folded)
    return rest.astype(np.float32)


def floor_divide(x: Floats, y: Floats) -> Floats:
    """The floor of the binary32 quotient, never -0."""
    return np.asarray(np.floor(x / y) + np.float32(0))


def logaddexp(x: Floats, y: Floats) -> Floats:
    """log(exp(x) + exp(y)), as max + log1p(exp(min - max))."""
    low, high = minimum(x, y), maximum(x, y)
    return high + log1p(exp(low - high))


def atan2(x: Floats, y: Floats) -> Floats:
    """The angle of the point (y, x)."""
    return np.arctan2(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)


def maximum(x: Floats, y: Floats) -> Floats:
    """Y where it is greater, else x."""
    return np.where(y > x, y, x)


def minimum(x: Floats, y: Floats) -> Floats:
    """Y where it is less, else x."""
    return np.where(y < x, y, x)


OPERATIONS: tuple[Operation, ...] = (
    np.add,
    np.subtract,
    np.multiply,
    np.divide,
    maximum,
    minimum,
    pow,
    lambda x, y: np.subtract(y, x),
    lambda x, y: np.divide(y, x),
    lambda x, y: pow(y, x),
    atan2,
    lambda x, y: atan2(y, x),
    np.fmod,
    lambda x, y: np.fmod(y, x),
    logaddexp,
    floor_divide,
    lambda x, y: floor_divide(y, x),
    remainder,
    lambda x, y: remainder(y, x),
)
"""By op_type: add, sub, mul, div, max, min, pow, the reversed sub, div, pow, then atan2, fmod, logaddexp, floor_divide
and remainder, each but logaddexp followed by its reverse."""


def prepare_binary_op(layer: Layer) -> Operator:
    """BinaryOp: op(x, b) with the number b, or op(x, y) of two blobs whose shapes are broadcast to one.

    Follows: ncnn src/layer/binaryop.cpp @ a4d2ea1d.
    """
    op_type = layer.get.integer("op_type")
    if not 0 <= op_type < len(OPERATIONS):
        raise fault(layer, f"has op_type {op_type}, but knows 0 to {len(OPERATIONS) - 1}")
    operation = OPERATIONS[op_type]
    if layer.get.integer("with_scalar"):
        number = np.array(layer.get.number("b"), np.float32)
        return lambda bottoms: [operation(float_bottom(layer, bottoms), number)]

    def operator(bottoms: list[Array]) -> list[Array]:
        if len(bottoms) != 2:
            raise fault(layer, f"takes two bottom blobs, not {len(bottoms)}")
        left, right = floats(layer, bottoms[0]), floats(layer, bottoms[1])
        larger = left.shape if left.ndim >= right.ndim else right.shape
        a, b = left.reshape(aligned(left.shape, larger)), right.reshape(aligned(right.shape, larger))
        if any(m != n and 1 not in (m, n) for m, n in zip(a.shape, b.shape, strict=True)):
            raise fault(layer, f"cannot combine shapes {left.shape} and {right.shape}")
        return [operation(a, b)]

    return operator


def aligned(shape: Shape, larger: Shape) -> Shape:
    """A shape of fewer dims among those of a larger one: aligned with the outermost axes, not the innermost.

    A 1-D blob lies along the outermost axis if it has that extent, else along w.

    >>> aligned((3,), (3, 4, 5)), aligned((5,), (3, 4, 5)), aligned((3, 4), (3, 4, 5))
    ((3, 1, 1), (1, 1, 5), (3, 4, 1))
    """
    missing = (1,) * (len(larger) - len(shape))
    if len(shape) == 1 and shape[0] != larger[0]:
        return missing + shape
    return shape + missing


PREPARE: dict[str, Prepare] = {"BinaryOp": prepare_binary_op}
