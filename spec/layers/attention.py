"""What MultiHeadAttention and SDPA share: the mask and the softmax."""

from __future__ import annotations

from collections.abc import Sequence

from spec.binary32 import FLT_MAX, f32
from spec.blob import Blob
from spec.functions import divide, exp
from spec.graph import Layer
from spec.layers.common import fault, floats, running_sum
from spec.layers.dynamic_scales import Matrix
from spec.layers.static_scales import split


def softmax_rows(scores: Matrix) -> list[list[float]]:
    """Each row becomes weights that sum to 1: exp(s - max) / sum of all of them, added in order.

    Unspecified: a row of minus infinities has sum 0 and becomes NaN.

    >>> softmax_rows([[0.0, 0.0], [100.0, -100.0]])
    [[0.5, 0.5], [1.0, 0.0]]
    """
    return [_softmax(row) for row in scores]


def _softmax(scores: Sequence[float]) -> list[float]:
    largest = max(-FLT_MAX, *scores)
    powers = [exp(f32(score - largest)) for score in scores]
    total = running_sum(powers)
    return [divide(power, total) for power in powers]


def masks(layer: Layer, blob: Blob, heads: int, queries: int, keys: int, *, shared: bool) -> list[list[list[float]]]:
    """The mask of each head, as rows: (queries, keys) for all, or (heads, queries, keys).

    With `shared`, (1, queries, keys) is for all heads, too.
    """
    if blob.shape == (queries, keys) or (shared and blob.shape == (1, queries, keys)):
        return [split(floats(layer, blob), queries)] * heads
    if blob.shape != (heads, queries, keys):
        raise fault(layer, f"takes a mask {(queries, keys)} or {(heads, queries, keys)}, not {blob.shape}")
    return [split(head, queries) for head in split(floats(layer, blob), heads)]


def add_mask(scores: list[list[float]], mask: list[list[float]] | None) -> list[list[float]]:
    """Scores plus mask, or as they are where there is none."""
    if mask is None:
        return scores
    return [
        [f32(score + value) for score, value in zip(row, mask_row, strict=True)]
        for row, mask_row in zip(scores, mask, strict=True)
    ]
