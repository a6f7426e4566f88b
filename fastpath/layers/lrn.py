"""LRN: each value divided by a power of the squares around it."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, float_bottom, require_rank
from fastpath.layers.functions import pow
from spec.graph import Layer

ACROSS_CHANNELS, WITHIN_CHANNEL = 0, 1
"""Values of `region_type`."""


def prepare_lrn(layer: Layer) -> Operator:
    """LRN: y = x * pow(bias + alpha / N * S, -beta), S over channels q - n // 2 to q + n // 2 or over an n by n window.

    Follows: ncnn src/layer/lrn.cpp @ a4d2ea1d. (Later versions sum exactly n channels for an even n.)
    """
    region, n = layer.get.integer("region_type"), layer.get.integer("local_size")
    if region not in (ACROSS_CHANNELS, WITHIN_CHANNEL):
        raise fault(layer, f"has region_type {region}, but knows 0 and 1")
    alpha, beta, bias = (np.float32(layer.get.number(name)) for name in ("alpha", "beta", "bias"))

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        require_rank(layer, blob, 3)
        if n < 1:
            raise fault(layer, f"needs a local_size above 0, not {n}")
        squares = blob * blob
        if region == ACROSS_CHANNELS:
            sums, factor = _across(squares, n), alpha / np.float32(n)
        else:
            sums, factor = _within(squares, n), alpha / np.float32(n * n)
        return [blob * pow(bias + factor * sums, -beta)]

    return operator


def _across(squares: Floats, n: int) -> Floats:
    """The sums over n // 2 channels on either side, from the first to the last."""
    padded = np.pad(squares, ((n // 2, n // 2), (0, 0), (0, 0)))
    sums = np.zeros_like(squares)
    for offset in range(2 * (n // 2) + 1):
        sums += padded[offset : offset + squares.shape[0]]
    return sums


def _within(squares: Floats, n: int) -> Floats:
    """The sums over n by n windows, row by row; n // 2 cells lie before the place."""
    _, h, w = squares.shape
    borders = (n // 2, n - n // 2 - 1)
    padded = np.pad(squares, ((0, 0), borders, borders))
    sums = np.zeros_like(squares)
    for y in range(n):
        for x in range(n):
            sums += padded[:, y : y + h, x : x + w]
    return sums


PREPARE: dict[str, Prepare] = {"LRN": prepare_lrn}
