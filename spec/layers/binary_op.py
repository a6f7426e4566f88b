"""BinaryOp: arithmetic of two blobs, or of a blob and a number."""

from __future__ import annotations

import math
from collections.abc import Callable

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.functions import divide, exp, log1p, pow
from spec.graph import Layer, Shape
from spec.layers.common import fault, float_bottom, floats
from spec.layers.strided import broadcast

Operation = Callable[[float, float], float]


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """op(x, b) with the number b, or op(x, y) of two blobs whose shapes are broadcast to one.

    Follows: ncnn src/layer/binaryop.cpp @ a4d2ea1d.

    >>> layer = Layer("BinaryOp", "b", [], [], {0: 1})
    >>> forward(layer, [float_blob((2, 2), [5.0, 6.0, 7.0, 8.0]), float_blob((2,), [1.0, 2.0])])[0].tolist()
    [[4.0, 5.0], [5.0, 6.0]]
    """
    operation = OPERATIONS[layer.get.integer("op_type")]
    if layer.get.integer("with_scalar"):
        blob = float_bottom(layer, bottoms)
        b = f32(layer.get.number("b"))
        return [float_blob(blob.shape, [operation(x, b) for x in blob.floats()])]
    if len(bottoms) != 2:
        raise fault(layer, f"takes two bottom blobs, not {len(bottoms)}")
    left, right = bottoms
    shape = common_shape(layer, left.shape, right.shape)
    xs, ys = (floats(layer, broadcast(aligned(blob, shape), shape)) for blob in (left, right))
    return [float_blob(shape, list(map(operation, xs, ys)))]


def common_shape(layer: Layer, left: Shape, right: Shape) -> Shape:
    """The shape of the result: on each axis the extents agree or one of them is 1. GraphError otherwise."""
    larger = left if len(left) >= len(right) else right
    a, b = aligned_shape(left, larger), aligned_shape(right, larger)
    if any(m != n and 1 not in (m, n) for m, n in zip(a, b)):
        raise fault(layer, f"cannot combine shapes {left} and {right}")
    return tuple(n if m == 1 else m for m, n in zip(a, b))


def aligned_shape(shape: Shape, larger: Shape) -> Shape:
    """A shape of fewer dims among those of a larger one: aligned with the outermost axes, not the innermost.

    A 1-D blob lies along the outermost axis if it has that extent, else along w.

    >>> aligned_shape((3,), (3, 4, 5)), aligned_shape((5,), (3, 4, 5)), aligned_shape((3, 4), (3, 4, 5))
    ((3, 1, 1), (1, 1, 5), (3, 4, 1))
    """
    missing = (1,) * (len(larger) - len(shape))
    if len(shape) == 1 and shape[0] != larger[0]:
        return missing + shape
    return shape + missing


def aligned(blob: Blob, larger: Shape) -> Blob:
    """The blob under its `aligned_shape`."""
    return blob.reshaped(aligned_shape(blob.shape, larger))


def fmod(x: float, y: float) -> float:
    """The remainder of x / y with the sign of x; NaN for y = 0."""
    try:
        return f32(math.fmod(x, y))
    except ValueError:
        return math.nan


def remainder(x: float, y: float) -> float:
    """The rest x - n * y for the whole number n nearest to x / y, halves to even; NaN for y = 0."""
    try:
        return f32(math.remainder(x, y))
    except ValueError:
        return math.nan


def floor_divide(x: float, y: float) -> float:
    """The floor of the binary32 quotient."""
    quotient = divide(x, y)
    return float(math.floor(quotient)) if math.isfinite(quotient) else quotient


def logaddexp(x: float, y: float) -> float:
    """log(exp(x) + exp(y)), as max + log1p(exp(min - max))."""
    low, high = min(x, y), max(x, y)
    return f32(high + log1p(exp(f32(low - high))))


def _reversed(operation: Operation) -> Operation:
    return lambda x, y: operation(y, x)


def _atan2(x: float, y: float) -> float:
    return f32(math.atan2(x, y))


OPERATIONS: tuple[Operation, ...] = (
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    divide,
    max,
    min,
    pow,
    lambda x, y: y - x,
    _reversed(divide),
    _reversed(pow),
    _atan2,
    _reversed(_atan2),
    fmod,
    _reversed(fmod),
    logaddexp,
    floor_divide,
    _reversed(floor_divide),
    remainder,
    _reversed(remainder),
)
"""By op_type: add, sub, mul, div, max, min, pow, the reversed sub, div, pow, then atan2, fmod, logaddexp, floor_divide
and remainder, each but logaddexp followed by its reverse. Results are rounded by the caller."""


def check(layer: Layer) -> None:
    """GraphError for an unknown operation."""
    if not 0 <= layer.get.integer("op_type") < len(OPERATIONS):
        raise fault(layer, f"has op_type {layer.get.integer('op_type')}, but knows 0 to {len(OPERATIONS) - 1}")


FORWARD = {"BinaryOp": forward}
CHECK = {"BinaryOp": check}
