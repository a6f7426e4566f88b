"""LRN across channels by compiled kernels: as many pixels at a time as stay in cache. The bits are those of numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from librt.vecs import vec

from fastpath import kernels
from fastpath.arena import Buffer
from fastpath.kernels import Kernels
from fastpath.kernels.source.capacity import NUMBERS
from fastpath.kernels.source.lrn import BELOW, LIMITS, RESULTS, ROOM, TERMS, Law
from fastpath.layers.common import Floats

BIASES = (2.0**-20, 2.0**20)

FACTORS = (2.0**-60, 2.0**10)
"""Between these, and biases between those, bases leave the range of the kernels before sums leave that of binary32, and
sums below binary32's normal numbers change no base."""


@dataclass(frozen=True)
class Numbers:
    """Those of y = x * (bias + factor * S)**-beta; S sums the squares of a pixel's channels q - side to q + side."""

    side: int
    factor: np.float32
    bias: np.float32
    beta: np.float32

    @property
    def largest_power(self) -> float:
        """What a value is multiplied by at most; infinite where that is not known."""
        rises = self.factor >= 0 and self.bias > 0 and self.beta >= 0
        return float(self.bias) ** -float(self.beta) if rises else math.inf

    @property
    def suit_kernels(self) -> bool:
        """Whether the kernels are made for these."""
        factor_fits = self.factor == 0 or FACTORS[0] <= self.factor <= FACTORS[1]
        return bool(factor_fits and BIASES[0] <= self.bias <= BIASES[1] and 0 < self.beta <= 1)

    def law(self, level: Kernels) -> Law:
        """The same as a record of one level."""
        bias, exponent = float(self.bias), -float(self.beta)
        ratios = [2.0 ** (2**k / 16) for k in range(LIMITS)]
        middle = bias * (1.0 + ratios[0]) / 2.0
        series = [middle**exponent]
        for k in range(1, TERMS):
            series.append(series[-1] * (exponent - k + 1) / k / middle)
        law: Law = level.lrn.Law(
            2 * self.side + 1,
            float(self.factor),
            bias,
            exponent,
            middle,
            vec[float](series),
            vec[float]([bias * ratio for ratio in ratios]),
            vec[float]([1.0 / ratio for ratio in ratios]),
            vec[float]([ratio**exponent for ratio in ratios]),
            BELOW,
            bias * ratios[-1] ** 2,
        )
        return law


class CompiledLrn:
    """LRN of blobs of one shape, by at most `step` pixels at a time.

    Rows of the blob are those of a pixel's channels, or of a channel's pixels. In the room of the kernels zeros stand
    wherever a sum reaches past the first or the last channel.
    """

    def __init__(self, numbers: Numbers, channels: int, pixels: int, *, by_pixel: bool) -> None:
        """Of pixels that have their channels together, if `by_pixel`; else of channels with their pixels together."""
        side, self.by_pixel = numbers.side, by_pixel
        if by_pixel:
            self.step = min((NUMBERS - 2 * side) // (channels + side), pixels)
            rows, length, pitch, self.distance = self.step, channels, channels + side, 1
        else:
            self.step = -(-pixels // -(-pixels // (NUMBERS // (channels + 2 * side))))
            rows, length, pitch, self.distance = channels, self.step, self.step, self.step
        level = kernels.wide()
        self.run, self.law = level.lrn.normalize, numbers.law(level)
        self.room = Buffer(vec[float](np.zeros(ROOM, np.float64)), np.float64, ROOM - 64)
        first, self.pitch, self.count = side * self.distance, pitch, rows * pitch
        self.values, self.results = (
            self.room.items[place : place + self.count].reshape(rows, pitch)[:, :length] for place in (first, RESULTS)
        )

    def __call__(self, source: Floats, top: Floats) -> bool:
        """Write `top` from a part of a blob, both of the same rows; False, and nothing done, where kernels cannot."""
        if self.by_pixel:
            values, results, count = self.values[: len(source)], self.results[: len(source)], len(source) * self.pitch
        else:
            width, count = source.shape[1], self.count
            values, results = self.values[:, :width], self.results[:, :width]
        np.copyto(values, source)
        if not self.run(self.room.data, self.room.start, count, self.distance, self.law):
            return False
        np.copyto(top, results, casting="same_kind")
        return True


def compiled_lrn(numbers: Numbers, channels: int, pixels: int, *, by_pixel: bool) -> CompiledLrn | None:
    """The compiled form of a layer; None where there are no kernels, or none for such numbers."""
    fits = channels + 3 * numbers.side <= NUMBERS and pixels > 0
    if not (kernels.COMPILED and fits and numbers.suit_kernels):
        return None
    return CompiledLrn(numbers, channels, pixels, by_pixel=by_pixel)
