"""What the layers share that choose their int8 scales while the network runs.

Codes are kept as whole numbers in float32 arrays, so that BLAS multiplies them: as long as no partial sum can leave
the integers that the format holds exactly, the products are the exact integer sums, in whatever order BLAS adds.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastpath.layers.common import Array, Doubles, Floats, fault, floats, require_rank, weights
from fastpath.layers.functions import exp
from fastpath.rounding import BELOW_HALF
from spec.graph import Layer

CODE_MAX = np.float32(127.0)
EXACT_FLOAT32 = 2**24
"""Sums of magnitude up to this are exact in binary32; beyond it the products go through binary64."""
ACCUMULATOR_MAX = 2**31 - 1
"""The largest sum that the int32 accumulator holds."""


def round_half_away(values: Floats, scratch: Floats) -> None:
    """Round `values` in place to the nearest integers, halves away from zero; no clamp, |values| < 2**22."""
    np.copysign(BELOW_HALF, values, out=scratch)
    np.add(values, scratch, out=values)
    np.trunc(values, out=values)


def quantize_by(values: Floats, scales: Floats) -> Floats:
    """Codes of `values` for scales 127 / absmax that broadcast against them; where a scale is infinite, zeros.

    The product cannot pass 127.5, so there is nothing to clamp.
    """
    codes: Floats = values * np.where(np.isinf(scales), np.float32(0.0), scales)
    round_half_away(codes, np.empty_like(codes))
    return codes


def dynamic_scales(layer: Layer, values: Floats, axis: int | None) -> Floats:
    """127 / absmax along `axis` (kept as extent 1; None: of everything), or 1 where all values are zero."""
    largest = np.max(np.abs(values), axis=axis, keepdims=True, initial=np.float32(0.0))
    check_finite(layer, largest)
    with np.errstate(over="ignore", divide="ignore"):
        return np.where(largest > 0.0, CODE_MAX / largest, np.float32(1.0))


def check_finite(layer: Layer, largest: Floats) -> None:
    """GraphError unless every magnitude is a finite number."""
    if not np.isfinite(largest).all():
        raise fault(layer, "int8 needs finite values, but its input holds NaN or infinity")


def float_blob(layer: Layer, blob: Array, *dims: int) -> Floats:
    """The float32 bottom `blob`; GraphError for another dtype or a number of dims that is not listed."""
    require_rank(layer, blob, *dims)
    return np.ascontiguousarray(floats(layer, blob))


def exact_dtype(layer: Layer, codes: Array) -> type[np.float32] | type[np.float64]:
    """The narrowest float type in which every dot product of a row of `codes` with int8 codes is exact.

    `codes` are weights, one output a row. GraphError where such a product may leave the int32 accumulator.
    """
    rows = np.abs(codes.astype(np.int64)).sum(axis=-1)
    bound = 127 * int(rows.max(initial=0))
    if bound > ACCUMULATOR_MAX:
        raise fault(layer, "sums of int8 products may not fit the int32 accumulator")
    return np.float32 if bound < EXACT_FLOAT32 else np.float64


def exact_product(layer: Layer, a: Floats, b: Floats) -> Floats:
    """A @ b of int8 codes, summed exactly and rounded once to binary32."""
    bound = 128 * 128 * a.shape[-1]
    if bound < EXACT_FLOAT32:
        narrow: Floats = np.matmul(a, b)
        return narrow
    total: Doubles = np.matmul(a.astype(np.float64), b.astype(np.float64))
    if total.size and np.abs(total).max() > ACCUMULATOR_MAX:
        raise fault(layer, "a sum of int8 products does not fit the int32 accumulator")
    return total.astype(np.float32)


def softmax_rows(scores: Floats) -> Floats:
    """Softmax along the last axis; the sum runs left to right in binary32."""
    largest = np.max(scores, axis=-1, keepdims=True, initial=np.finfo(np.float32).min)
    powers = exp(scores - largest)
    total: Floats = np.add.accumulate(powers, axis=-1)[..., -1:]
    shares: Floats = powers / total
    return shares


def float_records(layer: Layer, name: str, *shape: int) -> Floats:
    """The float record `name` as an array of `shape`; GraphError where the number of values differs."""
    return weights(layer, name, math.prod(shape)).reshape(shape)


def int8_records(layer: Layer, name: str, *shape: int) -> NDArray[np.int8]:
    """The int8 record `name` as an array of `shape`; GraphError for a float record or another number of values."""
    weight = layer.weight(name)
    if weight.dtype != "int8":
        raise fault(layer, f"int8 expects int8 codes in {name}, but the record is {weight.dtype}")
    codes = np.array(weight.int8(), dtype=np.int8)
    if codes.size != math.prod(shape):
        raise fault(layer, f"needs {math.prod(shape)} codes in {name}, but has {codes.size}")
    return codes.reshape(shape)


def positive_scales(layer: Layer, name: str, *shape: int) -> Floats:
    """The scales `name` as an array of `shape`; GraphError where one is zero or not finite."""
    scales = float_records(layer, name, *shape)
    if not (np.isfinite(scales).all() and (scales != 0.0).all()):
        raise fault(layer, f"{name} holds a scale that is zero or not finite")
    return scales
