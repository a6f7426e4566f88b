"""Layers that multiply matrices: InnerProduct, Gemm, MatMul, Embed, attention, recurrent layers.

Follows: ncnn src/layer/*.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from collections.abc import Sequence

from spec.graph import Layer, Shape
from spec.optimize.shape_rules.common import Rule, ShapeUnknown, first, of_rank, positive, quotient


def inner_product(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """InnerProduct: row by row where a 2-D blob has as many columns as inputs, else one vector."""
    get, shape = layer.get, first(bottoms)
    num_output = get.integer("num_output")
    inputs = quotient(get.integer("weight_data_size"), num_output, "weights")
    return [(shape[0], num_output) if len(shape) == 2 and shape[1] == inputs else (num_output,)]


def embed(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Embed: one row for each word."""
    return [(of_rank(first(bottoms), 1)[0], layer.get.integer("num_output"))]


def recurrent(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """RNN, LSTM, GRU: the outputs of both directions side by side; further tops are the final states."""
    get = layer.get
    steps, _ = of_rank(first(bottoms), 2)
    directions = 2 if get.integer("direction") == 2 else 1
    num_output = get.integer("num_output")
    cells = get.integer("hidden_size") if "hidden_size" in get else num_output
    states: list[Shape] = [(directions, num_output), (directions, cells)]
    return [(steps, directions * num_output), *states][: len(layer.tops)]


def gemm(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Gemm: rows of A and columns of B; perhaps transposed, perhaps with an axis of 1 between."""
    get = layer.get
    operands = iter(bottoms)
    if get.integer("constantA"):
        rows = get.integer("constantM")
    else:
        left = _matrix(next(operands, None))
        rows = left[1] if get.integer("transA") else left[0]
    if get.integer("constantB"):
        columns = get.integer("constantN")
    else:
        right = _matrix(next(operands, None))
        columns = right[0] if get.integer("transB") else right[1]
    extents = (columns, rows) if get.integer("output_transpose") else (rows, columns)
    return [positive((extents[0], 1, extents[1]) if get.integer("output_N1M") else extents)]


def _matrix(shape: Shape | None) -> tuple[int, int]:
    if shape is None:
        raise ShapeUnknown("a matrix is missing among its bottoms")
    of_rank(shape, 1, 2, 3)
    return (1 if len(shape) == 1 else shape[0], shape[-1])


def mat_mul(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """MatMul: as numpy.matmul, with the last two axes of B swapped for transB."""
    if len(bottoms) != 2:
        raise ShapeUnknown(f"it wants two bottoms, but has {len(bottoms)}")
    left, right = bottoms
    if len(right) > 1 and layer.get.integer("transB"):
        right = (*right[:-2], right[-1], right[-2])
    if len(left) == 1 and len(right) == 1:
        return [(1,)]
    batch_left, batch_right = left[:-2], right[:-2]
    rank = max(len(batch_left), len(batch_right))
    batches = zip(
        (1,) * (rank - len(batch_left)) + batch_left, (1,) * (rank - len(batch_right)) + batch_right, strict=True
    )
    rows = left[-2:-1] if len(left) > 1 else ()
    columns = right[-1:] if len(right) > 1 else ()
    return [(*(max(pair) for pair in batches), *rows, *columns)]


def multi_head_attention(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """MultiHeadAttention: one row for each query; with a cache, then keys and values, transposed."""
    get = layer.get
    embed_dim = get.integer("embed_dim")
    rows, _ = of_rank(first(bottoms), 2)
    result: list[Shape] = [(rows, quotient(get.integer("weight_data_size"), embed_dim, "weights"))]
    if len(layer.tops) == 1:
        return result
    if len(layer.tops) != 3 or not get.integer("kv_cache") or len(bottoms) < 3:
        raise ShapeUnknown(f"it has {len(layer.tops)} tops and {len(bottoms)} bottoms")
    past_key, past_value = bottoms[-2:]
    is_self = len(bottoms) - (1 if get.integer("attn_mask") else 0) == 3
    new = rows if is_self else 0
    return [*result, *((embed_dim, of_rank(past, 2)[1] + new) for past in (past_key, past_value))]


def scaled_dot_product(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """SDPA: queries by value width; with a cache, then all keys and values, past ones first."""
    if len(bottoms) < 3:
        raise ShapeUnknown(f"it wants query, key and value, but has {len(bottoms)} bottoms")
    query, key, value = (of_rank(shape, 3) for shape in bottoms[:3])
    result: list[Shape] = [(query[0], query[1], value[2])]
    if len(layer.tops) == 1:
        return result
    past = bottoms[-2:] if len(bottoms) >= 5 else ((0, 0, 0), (0, 0, 0))
    caches = [(new[0], old[1] + new[1], new[2]) for new, old in zip((key, value), past, strict=True)]
    return [*result, *caches][: len(layer.tops)]


RULES: dict[str, Rule] = {
    "Embed": embed,
    "GRU": recurrent,
    "Gemm": gemm,
    "InnerProduct": inner_product,
    "LSTM": recurrent,
    "MatMul": mat_mul,
    "MultiHeadAttention": multi_head_attention,
    "RNN": recurrent,
    "SDPA": scaled_dot_product,
}
