"""MultiHeadAttention: projections of queries, keys and values, attention head by head, and a projection back."""

from __future__ import annotations

from dataclasses import dataclass

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob
from spec.graph import Layer
from spec.layers.attention import add_mask, masks, softmax_rows
from spec.layers.common import fault, floats, require_weights
from spec.layers.dynamic_scales import (
    Quantized,
    check_quantize_term,
    check_weight,
    float_product,
    int8_product,
    quantize_matrix,
    quantize_rows,
    transposed,
)
from spec.layers.static_scales import split

Rows = list[list[float]]
"""One row for each position: a query, key or value."""


@dataclass(frozen=True)
class Roles:
    """The bottoms by what they are for. `crossed` says that keys do not come from the queries' blob."""

    query: Blob
    key: Blob
    value: Blob
    mask: Blob | None
    past: tuple[Blob, Blob] | None
    crossed: bool


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Project, attend head by head, project back; in int8 if the layer has a quantize_term.

    Q = (x_q Wq^T + bq) * scale, K = x_k Wk^T + bk, V = x_v Wv^T + bv; every head takes its part of their columns, and
    y = (softmax(Q K^T + mask) V, head beside head) Wout^T + bout. The bottoms are q (S, qdim), then k (L, kdim) and
    v (L, vdim), or one blob for both, or none, and all three are q; then with attn_mask the mask (S, L) or
    (num_heads, S, L); then with kv_cache the cached K and V. The result is float32 (S, qdim), and with kv_cache K and V
    to keep.

    A cache is (embed_dim, length), or (num_heads, length, embed_dim / num_heads) as newer versions have it; the layout
    that comes in goes out, and the first where the cache is still empty. Self attention appends to its cache; cross
    attention, once it has one, uses the cache alone.

    Follows: ncnn src/layer/multiheadattention.cpp @ a4d2ea1d.
    Unspecified: see `forward_float` and `forward_int8`. Raises GraphError for shapes that do not fit, and in int8 for
    NaN and infinities.

    >>> from array import array
    >>> from spec.blob import float_blob
    >>> from spec.graph import float_weight
    >>> def record(name, value): return name, float_weight(name, array("f", [value]), "raw")
    >>> weights = dict(record(f"{part}_weight_data", 1.0) for part in ("q", "k", "v", "out"))
    >>> weights |= dict(record(f"{part}_bias_data", 0.5) for part in ("q", "k", "v", "out"))
    >>> layer = Layer("MultiHeadAttention", "m", ["x"], ["y"], {0: 1, 2: 1}, [], weights)
    >>> forward(layer, [float_blob((1, 1), [2.0])])[0].tolist()
    [[3.0]]
    """
    roles = assign_roles(layer, bottoms)
    heads, embed_dim = layer.get.integer("num_heads"), layer.get.integer("embed_dim")
    scale = f32(layer.get.number("scale"))
    query = [[f32(value * scale) for value in row] for row in project(layer, "q", roles.query, profile)]
    key, value = _keys_and_values(layer, roles, profile)
    if len(key) != len(value) or not key:
        raise fault(layer, f"has {len(key)} keys, but {len(value)} values")
    mask = masks(layer, roles.mask, heads, len(query), len(key), shared=False) if roles.mask else None
    width = embed_dim // heads
    parts: list[Rows] = []
    for head in range(heads):
        first, end = head * width, (head + 1) * width
        q, k, v = ([row[first:end] for row in rows] for rows in (query, key, value))
        hidden = mask[head] if mask else None
        if layer.get["quantize_term"]:
            parts.append(forward_int8(layer, q, k, v, hidden, profile))
        else:
            parts.append(forward_float(q, k, v, hidden))
    joined = [[number for part in parts for number in part[position]] for position in range(len(query))]
    out = project_back(layer, joined, profile)
    tops = [Blob((len(out), len(out[0])), "float32", [number for row in out for number in row])]
    if roles.past is None:
        return tops
    return [*tops, _cache(layer, key, roles.past[0]), _cache(layer, value, roles.past[1])]


def assign_roles(layer: Layer, bottoms: list[Blob]) -> Roles:
    """Which bottom is what. GraphError for another number of them than the parameters ask for."""
    with_mask, with_cache = layer.get["attn_mask"] != 0, layer.get["kv_cache"] != 0
    inputs = len(bottoms) - with_mask - 2 * with_cache
    if not 1 <= inputs <= 3:
        raise fault(layer, f"takes 1 to 3 inputs besides its mask and caches, not {inputs}")
    return Roles(
        bottoms[0],
        bottoms[min(inputs, 2) - 1],
        bottoms[inputs - 1],
        bottoms[inputs] if with_mask else None,
        (bottoms[-2], bottoms[-1]) if with_cache else None,
        crossed=inputs > 1,
    )


def project(layer: Layer, part: str, blob: Blob, profile: Profile) -> Rows:
    """X W^T + b for the part "q", "k" or "v", (positions, dim) to embed_dim columns.

    Float sums start from the bias. In int8, x has one scale for all of it, W one for each of its rows.

    Follows: ncnn src/layer/multiheadattention.cpp @ a4d2ea1d.
    """
    embed_dim = layer.get.integer("embed_dim")
    dim = len(layer.weight(f"{part}_weight_data")) // embed_dim
    if len(blob.shape) != 2 or blob.shape[1] != dim or not blob.values:
        raise fault(layer, f"takes rows (positions, {dim}) as {part}, not a blob of shape {blob.shape}")
    rows = split(floats(layer, blob), blob.shape[0])
    bias = [require_weights(layer, f"{part}_bias_data", embed_dim)] * len(rows)
    if not layer.get["quantize_term"]:
        return float_product(rows, split(layer.weight(f"{part}_weight_data").floats().tolist(), embed_dim), bias)

    # quantize input     one scale for all rows
    codes = quantize_matrix(layer, rows, profile)
    weights = split(layer.weight(f"{part}_weight_data").int8().tolist(), embed_dim)
    scales = require_weights(layer, f"{part}_weight_data_int8_scales", embed_dim)

    # accumulate
    # descale
    # bias
    # activation
    # requantize
    return int8_product(layer, codes, Quantized(weights, scales), profile, bias)


def forward_float(query: Rows, key: Rows, value: Rows, mask: Rows | None) -> Rows:
    """One head in binary32: softmax(Q K^T + mask) V, every sum from 0 in the order of the rows.

    Follows: ncnn src/layer/multiheadattention.cpp (forward) @ a4d2ea1d.
    Unspecified: where the mask hides every key from a query, the result is NaN.
    """
    scores = add_mask(float_product(query, key), mask)
    return float_product(softmax_rows(scores), transposed(value))


def forward_int8(layer: Layer, query: Rows, key: Rows, value: Rows, mask: Rows | None, profile: Profile) -> Rows:
    """One head in int8: softmax(Q K^T + mask) V, both products of codes.

    Every query and every row of weights has its own scale 127 / absmax; the head's keys share one, and so do its
    values. The product of two codes counts 1 / (left scale * right scale).

    Follows: ncnn src/layer/multiheadattention.cpp (forward_int8) @ a4d2ea1d.
    Unspecified: raises GraphError where the mask hides every key from a query, and for NaN and infinities.

    >>> layer = Layer("MultiHeadAttention", "m", [], [])
    >>> forward_int8(layer, [[0.0]], [[1.0], [2.0]], [[1.0], [127.0]], None, REFERENCE)
    [[64.0]]
    """
    # quantize input
    query_codes = quantize_rows(layer, query, profile)
    key_codes = quantize_matrix(layer, key, profile)

    # accumulate
    # descale
    scores = int8_product(layer, query_codes, key_codes, profile)

    # bias
    scores = add_mask(scores, mask)

    # activation
    weights = softmax_rows(scores)

    # requantize
    weight_codes = quantize_rows(layer, weights, profile)
    value_codes = quantize_matrix(layer, transposed(value), profile)
    return int8_product(layer, weight_codes, value_codes, profile)


def project_back(layer: Layer, rows: Rows, profile: Profile) -> Rows:
    """X Wout^T + bout, (positions, embed_dim) to qdim columns.

    In int8, every row of X has its own scale, and Wout has one for all of it.

    Follows: ncnn src/layer/multiheadattention.cpp @ a4d2ea1d.
    """
    record = layer.weight("out_weight_data")
    qdim = len(record) // layer.get.integer("embed_dim")
    bias = [require_weights(layer, "out_bias_data", qdim)] * len(rows)
    if not layer.get["quantize_term"]:
        return float_product(rows, split(record.floats().tolist(), qdim), bias)

    # quantize input     every row by its own scale
    codes = quantize_rows(layer, rows, profile)
    scales = layer.weight("out_weight_data_int8_scale").floats().tolist() * qdim

    # accumulate
    # descale
    # bias
    # activation
    # requantize
    return int8_product(layer, codes, Quantized(split(record.int8().tolist(), qdim), scales), profile, bias)


def _keys_and_values(layer: Layer, roles: Roles, profile: Profile) -> tuple[Rows, Rows]:
    past_keys, past_values = ([], []) if roles.past is None else (_cached(layer, blob) for blob in roles.past)
    if past_keys and roles.crossed:
        return past_keys, past_values
    key, value = project(layer, "k", roles.key, profile), project(layer, "v", roles.value, profile)
    return past_keys + key, past_values + value


def _cached(layer: Layer, blob: Blob) -> Rows:
    """The rows of a cache in either layout; none of an empty one."""
    heads, embed_dim = layer.get.integer("num_heads"), layer.get.integer("embed_dim")
    if not blob.values:
        return []
    if len(blob.shape) == 2 and blob.shape[0] == embed_dim:
        return transposed(split(floats(layer, blob), embed_dim))
    if len(blob.shape) == 3 and (blob.shape[0], blob.shape[2]) == (heads, embed_dim // heads):
        parts = [split(part, blob.shape[1]) for part in split(floats(layer, blob), heads)]
        return [[number for part in parts for number in part[position]] for position in range(blob.shape[1])]
    shapes = f"({embed_dim}, length) or ({heads}, length, {embed_dim // heads})"
    raise fault(layer, f"takes a cache of shape {shapes}, not {blob.shape}")


def _cache(layer: Layer, rows: Rows, past: Blob) -> Blob:
    """The rows to keep, in the layout of the cache that came in."""
    heads, embed_dim = layer.get.integer("num_heads"), layer.get.integer("embed_dim")
    if len(past.shape) == 3:
        width = embed_dim // heads
        values = [number for head in range(heads) for row in rows for number in row[head * width : (head + 1) * width]]
        return Blob((heads, len(rows), width), "float32", values)
    return Blob((embed_dim, len(rows)), "float32", [number for column in transposed(rows) for number in column])


def check(layer: Layer) -> None:
    """GraphError for heads that do not divide embed_dim, and for weights that are not what they should be."""
    check_quantize_term(layer)
    embed_dim, heads = layer.get.integer("embed_dim"), layer.get.integer("num_heads")
    if embed_dim < 1 or heads < 1 or embed_dim % heads:
        raise fault(layer, f"has {heads} heads, which do not divide embed_dim {embed_dim}")
    if layer.get.integer("weight_data_size") % embed_dim:
        raise fault(layer, f"has weight_data_size {layer.get.integer('weight_data_size')}, no multiple of {embed_dim}")
    for part in ("q", "k", "v"):
        check_weight(layer, f"{part}_weight_data", f"{part}_weight_data_int8_scales")
    check_weight(layer, "out_weight_data", "out_weight_data_int8_scale")


FORWARD = {"MultiHeadAttention": forward}
CHECK = {"MultiHeadAttention": check}
