"""LRN: each value divided by a power of the squares around it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastpath.layers import recycle
from fastpath.layers.common import Array, Floats, Operator, Prepare, Scratch, fault, float_bottom, require_rank
from spec.graph import Layer

ACROSS_CHANNELS, WITHIN_CHANNEL = 0, 1
"""Values of `region_type`."""

BLOCK = 16384
"""Elements that all steps handle before the next ones, so that they stay in cache."""


def prepare_lrn(layer: Layer) -> Operator:
    """LRN: y = x * pow(bias + alpha / N * S, -beta), S over channels q - n // 2 to q + n // 2 or over an n by n window.

    Follows: ncnn src/layer/lrn.cpp @ a4d2ea1d. (Later versions sum exactly n channels for an even n.)
    """
    region, n = layer.get.integer("region_type"), layer.get.integer("local_size")
    if region not in (ACROSS_CHANNELS, WITHIN_CHANNEL):
        raise fault(layer, f"has region_type {region}, but knows 0 and 1")
    alpha, beta, bias = (np.float32(layer.get.number(name)) for name in ("alpha", "beta", "bias"))

    scratch = Scratch()

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        require_rank(layer, blob, 3)
        if n < 1:
            raise fault(layer, f"needs a local_size above 0, not {n}")
        top = recycle.blob(blob.shape)
        source, target = blob.reshape(blob.shape[0], -1), top.reshape(blob.shape[0], -1)
        sums = None if region == ACROSS_CHANNELS else _within(blob * blob, n).reshape(source.shape)
        factor = alpha / np.float32(n if region == ACROSS_CHANNELS else n * n)
        step = max(BLOCK // blob.shape[0], 1)
        for first in range(0, source.shape[1], step):
            part = slice(first, first + step)
            values = source[:, part]
            total = _across(values, n, scratch) if sums is None else np.ascontiguousarray(sums[:, part])
            np.multiply(values, _power(total, bias, factor, -beta, scratch), out=target[:, part])
        return [top]

    return operator


def _across(values: Floats, n: int, scratch: Scratch) -> Floats:
    """The sums of the squares (channels, n) over n // 2 channels on either side, from the first to the last."""
    side, (channels, count) = n // 2, values.shape
    padded = scratch.array("squares", (channels + 2 * side, count))
    padded[:side] = padded[side + channels :] = 0
    np.multiply(values, values, out=padded[side : side + channels])
    sums = scratch.array("sums", values.shape)
    np.copyto(sums, padded[:channels])
    for offset in range(1, 2 * side + 1):
        np.add(sums, padded[offset : offset + channels], out=sums)
    return sums


def normalize_pixels(layer: Layer, source: Floats, top: Floats) -> Callable[[], None]:
    """What writes LRN across channels of `source` (pixels, channels) into `top`, whatever it then holds."""
    n = layer.get.integer("local_size")
    alpha, beta, bias = (np.float32(layer.get.number(name)) for name in ("alpha", "beta", "bias"))
    pixels, channels = source.shape
    side, step = n // 2, max(BLOCK // channels, 1)
    scratch = Scratch()

    def normalize() -> None:
        for first in range(0, pixels, step):
            values = source[first : first + step]
            squares = scratch.array("squares", (values.shape[0], channels + 2 * side))
            squares[:, :side] = squares[:, side + channels :] = 0
            np.multiply(values, values, out=squares[:, side : side + channels])
            sums = scratch.array("sums", values.shape)
            np.copyto(sums, squares[:, :channels])
            for offset in range(1, 2 * side + 1):
                np.add(sums, squares[:, offset : offset + channels], out=sums)
            np.multiply(
                values, _power(sums, bias, alpha / np.float32(n), -beta, scratch), out=top[first : first + step]
            )

    return normalize


def _power(sums: Floats, bias: np.float32, factor: np.float32, exponent: np.float32, scratch: Scratch) -> Floats:
    """The powers of bias + factor * sum, in place of the sums: computed in binary64 and rounded once."""
    np.multiply(sums, factor, out=sums)
    np.add(bias, sums, out=sums)
    bases = scratch.array("bases", sums.shape, np.float64)
    np.copyto(bases, sums)
    # A full array of exponents: for some single ones numpy takes another function, whose special cases are not C's.
    exponents = scratch.array("exponents", sums.shape, np.float64)
    exponents.fill(exponent)
    np.copyto(sums, np.power(bases, exponents, out=bases), casting="same_kind")
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
