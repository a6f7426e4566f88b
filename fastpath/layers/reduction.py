"""Reduction and CumulativeSum: sums, means, products and extremes along axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, float_bottom, resolve_axis, running_sum
from fastpath.layers.functions import exp, log
from spec.graph import Layer

FLT_MAX = np.float32(np.finfo(np.float32).max)
FLT_MIN = np.float32(np.finfo(np.float32).tiny)

Step = Callable[[Floats, Floats], Floats]
Function = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Operation:
    """total = neutral; total = combine(total, term(x)) for every x; finish(total)."""

    neutral: np.float32
    combine: Step
    term: Function = lambda x: x
    finish: Function = lambda total: total


def _norm(total: Floats) -> Floats:
    """The square root, where sums too small for a normal number count as 0."""
    return np.where(total < FLT_MIN, np.float32(0), np.sqrt(total))


def _larger(total: Floats, term: Floats) -> Floats:
    return np.where(term > total, term, total)


def _smaller(total: Floats, term: Floats) -> Floats:
    return np.where(term < total, term, total)


ZERO, ONE = np.float32(0), np.float32(1)

OPERATIONS = (
    Operation(ZERO, np.add),
    Operation(ZERO, np.add, np.abs),
    Operation(ZERO, np.add, np.square),
    Operation(ZERO, np.add),
    Operation(-FLT_MAX, _larger),
    Operation(FLT_MAX, _smaller),
    Operation(ONE, np.multiply),
    Operation(ZERO, np.add, np.abs),
    Operation(ZERO, np.add, np.square, _norm),
    Operation(ZERO, np.add, finish=log),
    Operation(ZERO, np.add, exp, log),
)
"""By number: sum, sum of magnitudes, sum of squares, mean, max, min, product, L1, L2, log of sum, log of sum of exp."""

MEAN = 3
"""The operation whose coefficient is divided by the number of terms."""


def prepare_reduction(layer: Layer) -> Operator:
    """Reduction: each line along the reduced axes becomes one number, times `coeff`.

    Follows: ncnn src/layer/reduction.cpp @ a4d2ea1d.
    """
    number, axes = layer.get.integer("operation"), layer.get.integers("axes")
    if not 0 <= number < len(OPERATIONS):
        raise fault(layer, f"has operation {number}, but knows 0 to {len(OPERATIONS) - 1}")
    if axes and layer.get.integer("fixbug0") == 0:
        raise fault(layer, "has axes, but lacks 5=1: the file is too old for ncnn to read")
    operation, coeff = OPERATIONS[number], np.float32(layer.get.number("coeff"))
    reduce_all, keepdims = layer.get.integer("reduce_all") != 0, layer.get.integer("keepdims") != 0

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        if reduce_all or blob.ndim == 1:
            gone = set(range(blob.ndim))
        else:
            gone = {resolve_axis(layer, axis, blob.ndim) for axis in axes}
        kept = [axis for axis in range(blob.ndim) if axis not in gone]
        terms = operation.term(blob)
        if not kept and blob.ndim > 1:
            parts = _totals(operation, terms.reshape(blob.shape[0], -1))
            totals = _totals(operation, parts.reshape(1, -1))
        else:
            lines = np.ascontiguousarray(terms.transpose(*kept, *sorted(gone)))
            totals = _totals(operation, lines.reshape(int(np.prod([blob.shape[axis] for axis in kept])), -1))
        factor = coeff / np.float32(blob.size // totals.size) if number == MEAN else coeff
        if keepdims:
            shape = [1 if axis in gone else extent for axis, extent in enumerate(blob.shape)]
        else:
            shape = [blob.shape[axis] for axis in kept] or [1]
        return [(operation.finish(totals) * factor).reshape(shape)]

    return operator


def _totals(operation: Operation, lines: Floats) -> Floats:
    """One total for each line, of its terms in order."""
    if operation.combine is np.add:
        return running_sum(lines)
    totals = np.full(lines.shape[0], operation.neutral, np.float32)
    for terms in np.ascontiguousarray(lines.T):
        totals = operation.combine(totals, terms)
    return totals


def prepare_cumulative_sum(layer: Layer) -> Operator:
    """CumulativeSum: each value plus all before it along an axis.

    Follows: ncnn src/layer/cumulativesum.cpp @ a4d2ea1d.
    """

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        axis = resolve_axis(layer, layer.get.integer("axis"), blob.ndim)
        return [np.add.accumulate(blob, axis=axis, dtype=np.float32)]

    return operator


PREPARE: dict[str, Prepare] = {"Reduction": prepare_reduction, "CumulativeSum": prepare_cumulative_sum}
