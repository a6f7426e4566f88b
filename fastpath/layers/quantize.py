"""Quantize: binary32 values become int8 codes."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Floats, Operator, Prepare, along_axis, fault, float_bottom
from fastpath.rounding import finite, quantize
from spec.graph import Layer


def prepare_quantize(layer: Layer) -> Operator:
    """Quantize: float32 of 1 to 4 dims to int8, by one scale or one an outermost slice.

    Follows: ncnn src/layer/quantize.cpp @ a4d2ea1d.
    """
    scales = record(layer, "scale_data")
    require_finite(layer, scales, "scale_data")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        chosen = outermost(layer, scales, blob, "scales")
        if not finite(blob):
            raise fault(layer, "cannot quantize: NaN and infinities have no int8 codes")
        return [quantize(blob, chosen)]

    return operator


def record(layer: Layer, name: str) -> Floats:
    """The binary32 numbers of a weight record."""
    weight = layer.weight(name)
    if weight.dtype == "int8":
        raise fault(layer, f"needs floats in {name}, but has int8 codes")
    return np.array(weight.floats(), np.float32)


def require_finite(layer: Layer, values: Floats, name: str) -> None:
    """GraphError unless every number is finite."""
    if not np.isfinite(values).all():
        raise fault(layer, f"needs finite numbers in {name}")


def outermost(layer: Layer, values: Floats, blob: Array, what: str) -> Floats:
    """The values shaped for broadcasting over a blob: one, or one for each slice along the outermost axis.

    A 1-D blob always uses the first. GraphError for any other number of values.
    """
    if values.size == 1 or (blob.ndim == 1 and values.size):
        return values[:1].reshape((1,) * blob.ndim)
    if values.size != blob.shape[0]:
        raise fault(
            layer, f"has {values.size} {what}, but the outermost extent of shape {blob.shape} is {blob.shape[0]}"
        )
    return along_axis(values, 0, blob.ndim)


PREPARE: dict[str, Prepare] = {"Quantize": prepare_quantize}
