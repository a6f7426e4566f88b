"""SDPA: scaled dot product attention of queries, keys and values that all come at run time."""

from __future__ import annotations

import math

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob
from spec.graph import Layer
from spec.layers.attention import add_mask, masks, softmax_rows
from spec.layers.common import fault, floats, require_rank
from spec.layers.dynamic_scales import float_product, int8_product, quantize_matrix, quantize_rows, transposed
from spec.layers.static_scales import split

Rows = list[list[float]]
"""One row for each position: a query, key or value."""


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """For each query, mix the values by how well their keys fit; in int8 if the layer has an int8_scale_term.

    y = softmax(scale * Q K^T + mask) V. The bottoms are the query (heads, S, E), the key (groups, L, E), the value
    (groups, L, Ev), with attn_mask the mask (S, L), (1, S, L) or (heads, S, L), and with kv_cache the past key and
    value, which go before the new ones; an empty blob is no past. Head i reads group i div (heads / groups). The result
    is float32 (heads, S, Ev), and with kv_cache the keys and values to keep. Scale 0 means 1 / sqrt(E).

    Follows: ncnn src/layer/sdpa.cpp @ a4d2ea1d.
    Unspecified: see `forward_float` and `forward_int8`. Raises GraphError for shapes that do not fit.

    >>> from spec.blob import float_blob
    >>> layer = Layer("SDPA", "s", ["q", "k", "v"], ["y"], {})
    >>> query, key = float_blob((1, 1, 1), [0.0]), float_blob((1, 2, 1), [1.0, 2.0])
    >>> forward(layer, [query, key, float_blob((1, 2, 1), [3.0, 5.0])])[0].tolist()
    [[[4.0]]]
    """
    get = layer.get
    with_mask, with_cache = get["attn_mask"] != 0, get["kv_cache"] != 0
    expected = 3 + with_mask + 2 * with_cache
    if len(bottoms) != expected:
        raise fault(layer, f"takes {expected} bottom blobs, not {len(bottoms)}")
    query, key, value = bottoms[:3]
    if with_cache:
        key, value = _extended(layer, bottoms[-2], key), _extended(layer, bottoms[-1], value)
    for blob in (query, key, value):
        require_rank(layer, blob, 3)
    heads, queries, width = query.shape
    groups, keys, out_width = value.shape
    if key.shape != (groups, keys, width) or heads % groups or not keys:
        raise fault(layer, f"cannot attend with {query.shape} queries to {key.shape} keys and {value.shape} values")
    mask = masks(layer, bottoms[3], heads, queries, keys, shared=True) if with_mask else None
    scale = f32(get.number("scale")) or f32(1.0 / math.sqrt(width))

    values: list[float] = []
    for head in range(heads):
        group = head // (heads // groups)
        q, k, v = _rows(layer, query, head), _rows(layer, key, group), _rows(layer, value, group)
        hidden = mask[head] if mask else None
        if get["int8_scale_term"]:
            rows = forward_int8(layer, q, k, v, hidden, scale, profile)
        else:
            rows = forward_float(q, k, v, hidden, scale)
        values.extend(number for row in rows for number in row)
    tops = [Blob((heads, queries, out_width), "float32", values)]
    return [*tops, key, value] if with_cache else tops


def forward_float(query: Rows, key: Rows, value: Rows, mask: Rows | None, scale: float) -> Rows:
    """One head in binary32: softmax(scale * Q K^T + mask) V, every sum from 0 in the order of the rows.

    Follows: ncnn src/layer/sdpa.cpp (forward) @ a4d2ea1d.
    Unspecified: where the mask hides every key from a query, the result is NaN.
    """
    scores = [[f32(score * scale) for score in row] for row in float_product(query, key)]
    return float_product(softmax_rows(add_mask(scores, mask)), transposed(value))


def forward_int8(
    layer: Layer, query: Rows, key: Rows, value: Rows, mask: Rows | None, scale: float, profile: Profile
) -> Rows:
    """One head in int8: softmax(scale * Q K^T + mask) V, both products of codes.

    Every query and every row of weights has its own scale 127 / absmax; the keys share one, and so do the values. The
    product of two codes counts 1 / (left scale * right scale).

    Follows: ncnn src/layer/sdpa.cpp (forward_int8) @ a4d2ea1d.
    Unspecified: raises GraphError where the mask hides every key from a query, and for NaN and infinities.

    >>> forward_int8(Layer("SDPA", "s", [], []), [[0.0]], [[1.0], [2.0]], [[1.0], [127.0]], None, 1.0, REFERENCE)
    [[64.0]]
    """
    # quantize input
    query_codes = quantize_rows(layer, query, profile)
    key_codes = quantize_matrix(layer, key, profile)

    # accumulate
    # descale
    scores = int8_product(layer, query_codes, key_codes, profile)
    scores = [[f32(score * scale) for score in row] for row in scores]

    # bias
    scores = add_mask(scores, mask)

    # activation
    weights = softmax_rows(scores)

    # requantize
    weight_codes = quantize_rows(layer, weights, profile)
    value_codes = quantize_matrix(layer, transposed(value), profile)
    return int8_product(layer, weight_codes, value_codes, profile)


def _rows(layer: Layer, blob: Blob, channel: int) -> list[list[float]]:
    channels, rows, _ = blob.shape
    return split(split(floats(layer, blob), channels)[channel], rows)


def _extended(layer: Layer, past: Blob, new: Blob) -> Blob:
    """Past rows before new ones, group by group; an empty blob is no past."""
    if not past.values:
        return new
    if len(past.shape) != 3 or len(new.shape) != 3 or (past.shape[0], past.shape[2]) != (new.shape[0], new.shape[2]):
        raise fault(layer, f"cannot extend a cache of shape {past.shape} by {new.shape}")
    groups = new.shape[0]
    pairs = zip(split(floats(layer, past), groups), split(floats(layer, new), groups), strict=True)
    values = [number for old, fresh in pairs for number in old + fresh]
    return Blob((groups, past.shape[1] + new.shape[1], new.shape[2]), "float32", values)


FORWARD = {"SDPA": forward}
