"""Run one layer both ways and compare, and build layers with weights for that."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastpath.layers import PREPARE
from fastpath.layers.common import Array
from spec.binary32 import REFERENCE
from spec.blob import as_blob
from spec.errors import AssayError
from spec.graph import Layer, float_weight, int8_weight
from spec.layers import CHECK, FORWARD


def layer_of(
    type: str, params: dict[int, Any] | None = None, weights: dict[str, NDArray[Any]] | None = None, *, tops: int = 1
) -> Layer:
    """A layer with these records, int8 or float by their dtype; raw or tagged does not matter here."""
    layer = Layer(type, "subject", ["x"], [f"y{index}" for index in range(tops)], dict(params or {}))
    for name, values in (weights or {}).items():
        if values.dtype == np.int8:
            layer.weights[name] = int8_weight(name, array("b", values.reshape(-1).tolist()))
        else:
            layer.weights[name] = float_weight(name, array("f", values.reshape(-1).tolist()), "raw")
    return layer


def spec_results(layer: Layer, bottoms: list[Array]) -> list[Array]:
    """What the spec computes."""
    if layer.type in CHECK:
        CHECK[layer.type](layer)
    return [np.array(blob) for blob in FORWARD[layer.type](layer, [as_blob(bottom) for bottom in bottoms], REFERENCE)]


def fast_results(layer: Layer, bottoms: list[Array]) -> list[Array]:
    """What the fast path computes."""
    with np.errstate(all="ignore"):
        return PREPARE[layer.type](layer)([np.ascontiguousarray(bottom) for bottom in bottoms])


def assert_same_bits(left: list[Array], right: list[Array]) -> None:
    """Equal shapes, dtypes and bits; any NaN equals any other."""
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if a.dtype == np.float32:
            both_nan = np.isnan(a) & np.isnan(b)
            a, b = np.where(both_nan, np.float32(0), a), np.where(both_nan, np.float32(0), b)
        different = np.flatnonzero(_bits(a) != _bits(b))
        assert different.size == 0, f"{different.size} differ; the first: {a.flat[different[0]]} {b.flat[different[0]]}"


def assert_agree(layer: Layer, bottoms: list[Array]) -> None:
    """Both raise the same kind of error, or both give the same bits."""
    kept = [bottom.copy() for bottom in bottoms]
    try:
        expected = spec_results(layer, bottoms)
    except AssayError as error:
        with pytest.raises(type(error)):
            fast_results(layer, bottoms)
        return
    assert_same_bits(expected, fast_results(layer, bottoms))
    assert_same_bits(kept, bottoms)


def _bits(values: Array) -> Array:
    contiguous = np.ascontiguousarray(values).reshape(-1)
    return contiguous.view(np.int32) if values.dtype == np.float32 else contiguous
