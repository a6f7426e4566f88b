"""Reduction and CumulativeSum: sums, means, products and extremes along axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spec.binary32 import FLT_MAX, REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.functions import divide, exp, log, sqrt
from spec.graph import Layer
from spec.layers.common import fault, float_bottom, resolve_axis, rounded
from spec.layers.strided import positions, strides_of

FLT_MIN = 2.0**-126
"""The smallest normal binary32 number."""


@dataclass(frozen=True)
class Operation:
    """total = neutral; total = f32(combine(total, term(x))) for every x; finish(total)."""

    neutral: float
    combine: Callable[[float, float], float]
    term: Callable[[float], float] = float
    finish: Callable[[float], float] = float


def reduction(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each line along the reduced axes becomes one number, times `coeff`.

    The reduced axes are `axes`, or all of them with `reduce_all`; a 1-D blob is always reduced. With `keepdims` they
    stay with extent 1, else the others close up, and nothing left is (1,). The mean multiplies by coeff / count. Sums
    run in memory order; only where everything is reduced, each channel (of a 2-D blob each row) is summed first, and
    then the sums.

    Follows: ncnn src/layer/reduction.cpp @ a4d2ea1d.

    >>> layer = Layer("Reduction", "r", [], [], {0: 3, 1: 0, 3: [1], 5: 1})
    >>> reduction(layer, [float_blob((2, 2), [1.0, 2.0, 5.0, 7.0])])[0].tolist()
    [1.5, 6.0]
    """
    blob = float_bottom(layer, bottoms)
    rank = len(blob.shape)
    axes = _reduced_axes(layer, rank)
    operation = OPERATIONS[layer.get.integer("operation")]
    terms = [operation.term(x) for x in blob.floats()]
    kept = [axis for axis in range(rank) if axis not in axes]
    if not kept and rank > 1:
        parts = _totals(Blob(blob.shape, "float32", terms), [0], operation)
        totals = _totals(Blob((len(parts),), "float32", parts), [], operation)
    else:
        totals = _totals(Blob(blob.shape, "float32", terms), kept, operation)

    coeff = f32(layer.get.number("coeff"))
    if layer.get.integer("operation") == MEAN:
        coeff = divide(coeff, float(len(blob.values) // len(totals)))
    finished = [operation.finish(total) for total in totals]
    if layer.get.integer("keepdims"):
        shape = tuple(1 if axis in axes else extent for axis, extent in enumerate(blob.shape))
    else:
        shape = tuple(blob.shape[axis] for axis in kept) or (1,)
    return [float_blob(shape, [value * coeff for value in finished])]


def cumulative_sum(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each value plus all before it along an axis, rounded after every addition.

    Follows: ncnn src/layer/cumulativesum.cpp @ a4d2ea1d.

    >>> cumulative_sum(Layer("CumulativeSum", "c", [], []), [float_blob((3,), [1.0, 2.0, 3.0])])[0].tolist()
    [1.0, 3.0, 6.0]
    """
    blob = float_bottom(layer, bottoms)
    axis = resolve_axis(layer, layer.get.integer("axis"), len(blob.shape))
    inner = strides_of(blob.shape)[axis]
    block = inner * blob.shape[axis]
    result = list(blob.floats())
    for start in range(0, len(result), block):
        for position in range(start + inner, start + block, inner):
            before, here = result[position - inner : position], result[position : position + inner]
            result[position : position + inner] = rounded(a + b for a, b in zip(before, here))
    return [float_blob(blob.shape, result)]


def _reduced_axes(layer: Layer, rank: int) -> set[int]:
    axes = layer.get.integers("axes")
    if layer.get.integer("reduce_all") or rank == 1:
        return set(range(rank))
    return {resolve_axis(layer, axis, rank) for axis in axes}


def _totals(terms: Blob, kept: list[int], operation: Operation) -> list[float]:
    """One total for each position on the kept axes, of the terms in memory order."""
    strides = strides_of(terms.shape)
    gone = [axis for axis in range(len(terms.shape)) if axis not in kept]
    offsets = positions([terms.shape[axis] for axis in gone], [strides[axis] for axis in gone])
    starts = positions([terms.shape[axis] for axis in kept], [strides[axis] for axis in kept])
    totals = [operation.neutral] * len(starts)
    for offset in offsets:
        totals = rounded(operation.combine(total, terms.values[start + offset]) for total, start in zip(totals, starts))
    return totals


def _square(x: float) -> float:
    return f32(x * x)


def _add(total: float, term: float) -> float:
    return total + term


def _norm(total: float) -> float:
    """The square root, where sums too small for a normal number count as 0."""
    return 0.0 if total < FLT_MIN else sqrt(total)


MEAN = 3
"""The operation whose coefficient is divided by the number of terms."""

OPERATIONS = (
    Operation(0.0, _add),
    Operation(0.0, _add, term=abs),
    Operation(0.0, _add, term=_square),
    Operation(0.0, _add),
    Operation(-FLT_MAX, max),
    Operation(FLT_MAX, min),
    Operation(1.0, lambda total, term: total * term),
    Operation(0.0, _add, term=abs),
    Operation(0.0, _add, term=_square, finish=_norm),
    Operation(0.0, _add, finish=log),
    Operation(0.0, _add, term=exp, finish=log),
)
"""By number: sum, sum of magnitudes, sum of squares, mean, max, min, product, L1, L2, log of sum, log of sum of exp."""


def check_reduction(layer: Layer) -> None:
    """GraphError for an unknown operation, or axes without the mark that they count as they do now (5=1)."""
    if not 0 <= layer.get.integer("operation") < len(OPERATIONS):
        raise fault(layer, f"has operation {layer.get.integer('operation')}, but knows 0 to {len(OPERATIONS) - 1}")
    if layer.get.integers("axes") and layer.get.integer("fixbug0") == 0:
        raise fault(layer, "has axes, but lacks 5=1: the file is too old for ncnn to read")


FORWARD = {"Reduction": reduction, "CumulativeSum": cumulative_sum}
CHECK = {"Reduction": check_reduction}
