"""LRN."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.functions import divide, pow
from spec.graph import Layer
from spec.layers.common import fault, float_bottom, require_rank, rounded, running_sum

ACROSS_CHANNELS, WITHIN_CHANNEL = 0, 1
"""Values of `region_type`."""


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each value divided by a power of the squares around it.

    y = x * pow(bias + alpha / N * S, -beta). Across channels S is the sum of the squares at the same place in channels
    q - n // 2 to q + n // 2, and N is n; so an even n sums one channel more than n. Within a channel S is that of the
    n by n window around the place, and N is n * n.

    Follows: ncnn src/layer/lrn.cpp @ a4d2ea1d. (Later versions sum exactly n channels for an even n.)

    >>> forward(Layer("LRN", "l", [], [], {1: 1, 2: 3.0, 3: 1.0}), [float_blob((1, 1, 1), [1.0])])[0].tolist()
    [[[0.25]]]
    """
    blob = float_bottom(layer, bottoms)
    require_rank(layer, blob, 3)
    n = layer.get.integer("local_size")
    if n < 1:
        raise fault(layer, f"needs a local_size above 0, not {n}")
    c, h, w = blob.shape
    size = h * w
    values = blob.floats()
    squares = rounded(x * x for x in values)
    planes = [squares[start : start + size] for start in range(0, c * size, size)]
    if layer.get.integer("region_type") == ACROSS_CHANNELS:
        count = n
        near = [planes[max(q - n // 2, 0) : q + n // 2 + 1] for q in range(c)]
        sums = [running_sum(column) for channels in near for column in zip(*channels)]
    else:
        count = n * n
        sums = [total for plane in planes for total in _window_sums(plane, w, n)]
    alpha, beta, bias = (f32(layer.get.number(name)) for name in ("alpha", "beta", "bias"))
    factor = divide(alpha, float(count))
    return [float_blob(blob.shape, [x * pow(f32(bias + f32(factor * s)), -beta) for x, s in zip(values, sums)])]


def _window_sums(plane: list[float], w: int, n: int) -> list[float]:
    """The sum over the n by n window around each place; n // 2 cells lie before it."""
    rows = [plane[start : start + w] for start in range(0, len(plane), w)]
    before, after = n // 2, n - n // 2
    return [
        running_sum(
            value for row in rows[max(y - before, 0) : y + after] for value in row[max(x - before, 0) : x + after]
        )
        for y in range(len(rows))
        for x in range(w)
    ]


def check(layer: Layer) -> None:
    """GraphError for an unknown region."""
    if layer.get.integer("region_type") not in (ACROSS_CHANNELS, WITHIN_CHANNEL):
        raise fault(layer, f"has region_type {layer.get.integer('region_type')}, but knows 0 and 1")


FORWARD = {"LRN": forward}
CHECK = {"LRN": check}
