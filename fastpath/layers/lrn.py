"""LRN: each value divided by a power of the squares around it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from fastpath.layers import recycle
from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, float_bottom, require_rank
from fastpath.layers.compiled_lrn import CompiledLrn, Numbers, compiled_lrn
from fastpath.layers.functions import pow
from spec.graph import Layer

ACROSS_CHANNELS, WITHIN_CHANNEL = 0, 1
"""Values of `region_type`."""

BLOCK = 16384
"""Elements that all steps handle before the next ones in numpy, so that they stay in cache."""


class _Compiled(threading.local):
    """What runs the shape (channels, pixels) that a thread had last."""

    def __init__(self) -> None:
        self.shape: tuple[int, int] | None = None
        self.lrn: CompiledLrn | None = None

    def find(self, numbers: Numbers, shape: tuple[int, int]) -> CompiledLrn | None:
        """None where kernels cannot."""
        if shape != self.shape:
            self.shape, self.lrn = shape, compiled_lrn(numbers, *shape, by_pixel=False)
        return self.lrn


def prepare_lrn(layer: Layer) -> Operator:
    """LRN: y = x * pow(bias + alpha / N * S, -beta), S over channels q - n // 2 to q + n // 2 or over an n by n window.

    Follows: ncnn src/layer/lrn.cpp @ a4d2ea1d. (Later versions sum exactly n channels for an even n.)
    """
    region, n = layer.get.integer("region_type"), layer.get.integer("local_size")
    if region not in (ACROSS_CHANNELS, WITHIN_CHANNEL):
        raise fault(layer, f"has region_type {region}, but knows 0 and 1")
    compiled = _Compiled()

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        require_rank(layer, blob, 3)
        if n < 1:
            raise fault(layer, f"needs a local_size above 0, not {n}")
        numbers, top = numbers_of(layer), recycle.blob(blob.shape)
        if region == WITHIN_CHANNEL:
            np.multiply(blob, _power(_within(blob * blob, n), numbers), out=top)
            return [top]
        channels, pixels = blob.shape[0], blob[0].size
        source, target = blob.reshape(channels, pixels), top.reshape(channels, pixels)
        kernel = compiled.find(numbers, (channels, pixels))
        step = max(BLOCK // channels, 1) if kernel is None else kernel.step
        for first in range(0, pixels, step):
            values, out = source[:, first : first + step], target[:, first : first + step]
            if kernel is None or not kernel(values, out):
                np.multiply(values, _power(_across(values, numbers.side), numbers), out=out)
        return [top]

    return operator


def pixel_normalizer(layer: Layer, pixels: int, channels: int) -> Callable[[Floats, Floats], None]:
    """What writes LRN across channels of a part of a map (pixels, channels) into another, which may be the same."""
    numbers = numbers_of(layer)
    kernel = compiled_lrn(numbers, channels, pixels, by_pixel=True)
    step = max(BLOCK // channels, 1) if kernel is None else kernel.step

    def normalize(source: Floats, top: Floats) -> None:
        for first in range(0, len(source), step):
            values, out = source[first : first + step], top[first : first + step]
            if kernel is None or not kernel(values, out):
                np.multiply(values, _power(_across(values.T, numbers.side), numbers).T, out=out)

    return normalize


def numbers_of(layer: Layer) -> Numbers:
    """The numbers of a layer."""
    get = layer.get
    region, n = get.integer("region_type"), get.integer("local_size")
    alpha, beta, bias = (np.float32(get.number(name)) for name in ("alpha", "beta", "bias"))
    factor = alpha / np.float32(n if region == ACROSS_CHANNELS else n * n)
    return Numbers(n // 2, factor, bias, beta)


def _across(values: Floats, side: int) -> Floats:
    """The sums of the squares (channels, n) over `side` channels on either side, from the first to the last."""
    channels, count = values.shape
    padded = np.zeros((channels + 2 * side, count), np.float32)
    np.multiply(values, values, out=padded[side : side + channels])
    sums = padded[:channels].copy()
    for offset in range(1, 2 * side + 1):
        np.add(sums, padded[offset : offset + channels], out=sums)
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


def _power(sums: Floats, numbers: Numbers) -> Floats:
    """The powers of bias + factor * sum."""
    np.multiply(sums, numbers.factor, out=sums)
    np.add(numbers.bias, sums, out=sums)
    return pow(sums, -numbers.beta)


PREPARE: dict[str, Prepare] = {"LRN": prepare_lrn}
