"""MultiHeadAttention: projections, attention head by head, output projection."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Floats, Operator, fault
from fastpath.layers.dynamic import (
    dynamic_scales,
    exact_product,
    float_blob,
    float_records,
    int8_records,
    positive_scales,
    quantize_by,
    softmax_rows,
)
from fastpath.layers.gemm import check_quantize_term
from fastpath.layers.sdpa import head_mask, int8_product
from spec.graph import Layer

ONE = np.float32(1.0)


class Projection:
    """x to x·Wᵀ + b; in the int8 form through codes of x with one scale, or with one scale a row."""

    def __init__(self, layer: Layer, name: str, outputs: int, inputs: int, scale_count: int, int8: bool) -> None:
        self.layer = layer
        self.inputs = inputs
        self.bias = float_records(layer, f"{name}_bias_data", outputs)
        self.scales: Floats | None = None
        if int8:
            codes = int8_records(layer, f"{name}_weight_data", outputs, inputs)
            self.weights: Floats = np.ascontiguousarray(codes.T.astype(np.float32))
            self.scales = positive_scales(layer, scale_name(name), scale_count)
        else:
            self.weights = np.ascontiguousarray(float_records(layer, f"{name}_weight_data", outputs, inputs).T)

    def __call__(self, values: Floats, axis: int | None) -> Floats:
        """(rows, inputs) to (rows, outputs); `axis` 1 for a scale a row, None for one."""
        if values.shape[1] != self.inputs:
            raise fault(
                self.layer,
                f"expects rows of {self.inputs} values, but got {values.shape[1]}",
            )
        if self.scales is None:
            return values @ self.weights + self.bias
        scales = dynamic_scales(self.layer, values, axis)
        totals = exact_product(self.layer, quantize_by(values, scales), self.weights)
        return totals * (ONE / (self.scales * scales)) + self.bias


def scale_name(name: str) -> str:
    """The record with the weight scales of a projection; the output projection has one scale only."""
    return f"{name}_weight_data_int8_scale{'' if name == 'out' else 's'}"


class MultiHeadAttention:
    """A prepared MultiHeadAttention."""

    def __init__(self, layer: Layer) -> None:
        get = layer.get
        self.layer = layer
        self.int8 = check_quantize_term(layer)
        self.embed_dim = embed_dim = get.integer("embed_dim")
        self.heads = get.integer("num_heads")
        if embed_dim < 1 or self.heads < 1 or embed_dim % self.heads:
            raise fault(layer, f"{self.heads} heads do not divide embed_dim {embed_dim}")
        self.qdim, rest = divmod(get.integer("weight_data_size"), embed_dim)
        if rest or self.qdim < 1:
            raise fault(layer, f"weight_data_size is a positive multiple of {embed_dim}")
        self.has_mask = get.integer("attn_mask") != 0
        self.has_cache = get.integer("kv_cache") != 0
        self.scale = np.float32(get.number("scale"))
        self.q = Projection(layer, "q", embed_dim, self.qdim, embed_dim, self.int8)
        self.k = Projection(layer, "k", embed_dim, get.integer("kdim"), embed_dim, self.int8)
        self.v = Projection(layer, "v", embed_dim, get.integer("vdim"), embed_dim, self.int8)
        self.out = Projection(layer, "out", self.qdim, embed_dim, 1, self.int8)

    def __call__(self, bottoms: list[Array]) -> list[Array]:
        """q, [k, [v]], [mask], [cached k, cached v] to y (S, qdim) and, with kv_cache, the caches."""
        layer = self.layer
        blobs = list(bottoms)
        caches = [blobs.pop(), blobs.pop()][::-1] if self.has_cache and len(blobs) >= 3 else []
        mask = float_blob(layer, blobs.pop(), 2, 3) if self.has_mask and len(blobs) >= 2 else None
        if not 1 <= len(blobs) <= 3 or (self.has_mask and mask is None):
            raise fault(layer, f"cannot read {len(bottoms)} bottoms with its parameters")
        inputs = [float_blob(layer, blob, 2) for blob in blobs]
        query = inputs[0]
        past = self._past(caches)
        with np.errstate(all="ignore"):
            q = self.q(query, None) * self.scale
            if past is not None and len(inputs) > 1:
                k, v = past
            else:
                k, v = self.k(inputs[min(1, len(inputs) - 1)], None), self.v(inputs[-1], None)
                if len(k) != len(v):
                    raise fault(layer, f"{len(k)} keys do not go with {len(v)} values")
                if past is not None:
                    k, v = np.concatenate([past[0], k]), np.concatenate([past[1], v])
            mixed = np.empty((len(query), self.embed_dim), np.float32)
            width = self.embed_dim // self.heads
            for head in range(self.heads):
                part = slice(head * width, (head + 1) * width)
                scores = self._product(q[:, part], k[:, part].T)
                if mask is not None:
                    scores = scores + head_mask(layer, mask, head, (len(query), len(k)))
                mixed[:, part] = self._product(softmax_rows(scores), v[:, part])
            output = self.out(mixed, 1)
        if not self.has_cache:
            return [output]
        return [output, *(self._cache(rows, caches) for rows in (k, v))]

    def _product(self, rows: Floats, columns: Floats) -> Floats:
        return int8_product(self.layer, rows, columns) if self.int8 else np.matmul(rows, columns)

    def _past(self, caches: list[Array]) -> tuple[Floats, Floats] | None:
        """The cached rows (length, E) of keys and values from (E, length) or (heads, length, E / heads)."""
        if not caches or not caches[0].size:
            return None
        k, v = (float_blob(self.layer, cache, 2, 3) for cache in caches)
        rows = [
            cache.T if cache.ndim == 2 else cache.transpose(1, 0, 2).reshape(cache.shape[1], -1) for cache in (k, v)
        ]
        if any(part.shape != (len(rows[0]), self.embed_dim) for part in rows):
            raise fault(
                self.layer,
                f"caches of shape {k.shape} and {v.shape} do not fit {self.heads} heads"
                f" of {self.embed_dim // self.heads}",
            )
        return np.ascontiguousarray(rows[0]), np.ascontiguousarray(rows[1])

    def _cache(self, rows: Floats, caches: list[Array]) -> Floats:
        """Rows (length, E) in the layout in which the cache was given; (E, length) where there was none."""
        if caches and caches[0].ndim == 3:
            return np.ascontiguousarray(rows.reshape(len(rows), self.heads, -1).transpose(1, 0, 2))
        return np.ascontiguousarray(rows.T)


def prepare(layer: Layer) -> Operator:
    """MultiHeadAttention. The int8 form quantizes every matrix product's operands at run time.

    Follows: ncnn src/layer/multiheadattention.cpp @ a4d2ea1d.
    """
    return MultiHeadAttention(layer)


PREPARE = {"MultiHeadAttention": prepare}
