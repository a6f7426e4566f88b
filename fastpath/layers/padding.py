"""Padding: borders around a blob, of float32 or of int8 codes."""

from __future__ import annotations

import numpy as np

from fastpath.layers import recycle
from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, only_bottom, weights
from spec.graph import Layer

CONSTANT, REPLICATE, REFLECT = 0, 1, 2
"""The values of the parameter `type`."""


def prepare_padding(layer: Layer) -> Operator:
    """Padding: a constant, the nearest cell, or the mirror image without the edge, around a blob of 1 to 4 dims.

    Follows: ncnn src/layer/padding.cpp @ a4d2ea1d.
    """
    get = layer.get.integer
    kind = get("type")
    if kind not in (CONSTANT, REPLICATE, REFLECT):
        raise fault(layer, f"has type {kind}, but there are only 0, 1 and 2")
    innermost = [(get("left"), get("right")), (get("top"), get("bottom")), (get("front"), get("behind")), (0, 0)]
    if any(min(pair) < 0 for pair in innermost):
        raise fault(layer, "has a negative border")
    value = np.array([layer.get.number("value")], np.float32)
    count = get("per_channel_pad_data_size")
    per_channel = weights(layer, "per_channel_pad_data", count) if count else None

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        if blob.dtype == np.int32:
            raise fault(layer, "pads float32 and int8, but its bottom blob is int32")
        borders = innermost[: blob.ndim][::-1]
        if kind == REFLECT:
            for extent, pair in zip(blob.shape, borders, strict=True):
                if max(pair) >= extent:
                    raise fault(
                        layer, f"mirrors {max(pair)} cells of an axis of {extent}, but at most {extent - 1} fit"
                    )
        shape = [before + extent + after for extent, (before, after) in zip(blob.shape, borders, strict=True)]
        fills = value if per_channel is None or blob.ndim < 3 else per_channel
        if fills.size not in (1, shape[0]) or (fills is per_channel and fills.size != shape[0]):
            raise fault(layer, f"has constants for {fills.size} channels, but its result has {shape[0]}")
        constants = _as(layer, fills, blob.dtype)
        if kind == REPLICATE:
            return [np.pad(blob, borders, mode="edge")]
        if kind == REFLECT:
            return [np.pad(blob, borders, mode="reflect")]
        padded = recycle.blob(tuple(shape), blob.dtype.type)
        padded[:] = constants.reshape(-1, *(1,) * (blob.ndim - 1))
        padded[tuple(slice(before, before + n) for n, (before, _) in zip(blob.shape, borders, strict=True))] = blob
        return [padded]

    return operator


def _as(layer: Layer, fills: Floats, dtype: np.dtype[np.generic]) -> Array:
    """The constants in the blob's type: for int8 without their fractions, not scaled."""
    if dtype == np.float32:
        return fills
    if not ((fills > -129) & (fills < 128)).all():
        raise fault(layer, "has a constant that is no int8 code")
    return fills.astype(np.int8)


PREPARE: dict[str, Prepare] = {"Padding": prepare_padding}
