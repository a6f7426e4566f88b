"""SDPA: scaled dot product attention of grouped heads."""

from __future__ import annotations

import math

import numpy as np

from fastpath.layers.common import Array, Floats, Operator, fault
from fastpath.layers.dynamic import (
    dynamic_scales,
    exact_product,
    float_blob,
    quantize_by,
    softmax_rows,
)
from spec.graph import Layer

ONE = np.float32(1.0)


def int8_product(layer: Layer, rows: Floats, columns: Floats) -> Floats:
    """Rows @ columns through int8: a scale for each row of the one, one scale for all of the other."""
    row_scales = dynamic_scales(layer, rows, 1)
    scale = dynamic_scales(layer, columns, None)
    totals = exact_product(layer, quantize_by(rows, row_scales), quantize_by(columns, scale))
    product: Floats = totals * (ONE / (row_scales * scale))
    return product


def head_mask(layer: Layer, mask: Floats, head: int, shape: tuple[int, int]) -> Floats:
    """The part of the mask for one head: a 2-D mask, or a 3-D mask of one channel, is shared."""
    part = mask if mask.ndim == 2 else mask[0] if len(mask) == 1 else mask[head] if head < len(mask) else mask[:0]
    if part.shape != shape:
        raise fault(layer, f"takes a mask of shape {shape}, but got {mask.shape}")
    return part


class Sdpa:
    """A prepared SDPA."""

    def __init__(self, layer: Layer) -> None:
        get = layer.get
        self.layer = layer
        self.has_mask = get.integer("attn_mask") != 0
        self.has_cache = get.integer("kv_cache") != 0
        self.scale = np.float32(get.number("scale"))
        self.int8 = get.integer("int8_scale_term") != 0

    def __call__(self, bottoms: list[Array]) -> list[Array]:
        """Query (heads, S, E), key (groups, L, E), value (groups, L, Ev), [mask], [past key, past value]."""
        layer = self.layer
        needed = 3 + self.has_mask
        if len(bottoms) != needed + 2 * self.has_cache:
            raise fault(layer, f"takes {needed + 2 * self.has_cache} bottom blobs, not {len(bottoms)}")
        query, key, value = (float_blob(layer, blob, 3) for blob in bottoms[:3])
        mask = float_blob(layer, bottoms[3], 2, 3) if self.has_mask else None
        past = bottoms[needed:]
        if past and past[0].size:
            key = np.concatenate([float_blob(layer, past[0], 3), key], axis=1)
            value = np.concatenate([float_blob(layer, past[1], 3), value], axis=1)
        heads, length, width = query.shape
        groups = len(key)
        if heads % groups or len(value) != groups or key.shape[2] != width or value.shape[1] != key.shape[1]:
            raise fault(layer, f"query {query.shape}, key {key.shape} and value {value.shape} do not fit together")
        scale = self.scale if self.scale != 0.0 else np.float32(1.0 / math.sqrt(width))
        output = np.empty((heads, length, value.shape[2]), np.float32)
        with np.errstate(all="ignore"):
            for head in range(heads):
                group = head // (heads // groups)
                part = None if mask is None else head_mask(layer, mask, head, (length, key.shape[1]))
                output[head] = self._attend(query[head], key[group], value[group], scale, part)
        return [output, key, value] if self.has_cache else [output]

    def _attend(self, query: Floats, key: Floats, value: Floats, scale: np.float32, mask: Floats | None) -> Floats:
        scores = self._product(query, key.T) * scale
        if mask is not None:
            scores = scores + mask
        return self._product(softmax_rows(scores), value)

    def _product(self, rows: Floats, columns: Floats) -> Floats:
        return int8_product(self.layer, rows, columns) if self.int8 else np.matmul(rows, columns)


def prepare(layer: Layer) -> Operator:
    """SDPA. The int8 form quantizes scores row by row and keys and values head by head, all at run time.

    Follows: ncnn src/layer/sdpa.cpp @ a4d2ea1d.
    """
    return Sdpa(layer)


PREPARE = {"SDPA": prepare}
