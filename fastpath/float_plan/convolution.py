"""Convolutions of a float plan: BLAS products of weights, which have the biases as a column, and columns of pixels.

A tile of columns stays in the second-level cache until its product is done, and the product until it is activated. The
last bits of the sums differ from the spec's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from fastpath import kernels
from fastpath.float_plan.calls import Call, activated, activates_zero, copied, filled, product
from fastpath.float_plan.places import VECTOR, Cells, Place
from fastpath.layers.activation import Activation
from fastpath.layers.common import Floats, weights
from fastpath.layers.epilogue import read_bias
from fastpath.layers.window import Pads, Window
from spec.graph import Layer

COLUMN_TILE = 192 * 1024
"""Numbers of one tile of columns, about."""

MOST_COLUMNS = 512 * 1024
"""Numbers of one tile of columns, at most."""

SHORTEST_TILE = 192
"""Pixels that one product covers at least, where that fits: below this BLAS spends its time on packing weights."""

SMALL_PRODUCT = 10**6
"""Multiplications up to which BLAS neither packs its matrices nor clears its result first."""

FEW_WEIGHTS = 2400
"""Weights up to which it pays to keep products that small."""


@dataclass(frozen=True)
class Filter:
    """A convolution: weights (num_output, 1 + taps * channels), with the biases first, and what belongs to them."""

    matrix: Floats
    window: Window
    activation: Activation

    @classmethod
    def of(cls, layer: Layer, window: Window, channels: int) -> Filter:
        """From the records of a float layer."""
        num_output, taps = layer.get.integer("num_output"), window.kernel[0] * window.kernel[1]
        weight = weights(layer, "weight_data", num_output * channels * taps).reshape(num_output, channels, taps)
        matrix = np.zeros((num_output, 1 + taps * channels), np.float32)
        matrix[:, 1:] = weight.swapaxes(1, 2).reshape(num_output, -1)
        bias = read_bias(layer)
        if bias is not None:
            matrix[:, 0] = bias
        return cls(matrix, window, Activation(layer))

    @property
    def depth(self) -> int:
        """Rows of the columns."""
        return int(self.matrix.shape[1])

    @property
    def keeps_zeros(self) -> bool:
        """Whether a column of zeros, with a zero for the bias, becomes zeros."""
        return bool(np.isfinite(self.matrix).all()) and activates_zero(self.activation)


class Scratch:
    """Room for the columns of one tile, below a row of ones."""

    def __init__(self, cells: Cells, widest: int) -> None:
        """For tiles of up to `widest` pixels."""
        self.cells = cells
        self.ones = cells.reserve(widest)
        self.start = cells.reserve(MOST_COLUMNS)
        cells.numbers[self.ones : self.start] = 1.0

    def columns(self, depth: int, length: int) -> Floats:
        """The columns of a tile, (depth, length), of which the first row is ones."""
        first = self.start - length
        return self.cells.numbers[first : first + depth * length].reshape(depth, length)


def pointwise(filter: Filter, columns: Floats, top: Floats) -> list[Call]:
    """A 1 by 1 kernel with stride 1: `columns` (1 + channels, run) to (num_output, run). Zeros may remain zeros."""
    run, size = top.shape[1], filter.matrix.size
    length = SMALL_PRODUCT // size // VECTOR * VECTOR if size <= FEW_WEIGHTS else run
    calls: list[Call] = []
    for first in range(0, run, length):
        part = slice(first, min(first + length, run))
        calls.append(product(filter.matrix, columns[:, part], top[:, part]))
        calls += activated(filter.activation, top[:, part])
    return calls


def rows_at_once(filter: Filter, top: Place) -> int:
    """The output rows of one tile: tiles of about the same size."""
    h, pitch, size = top.geometry.h, top.geometry.pitch, filter.matrix.size
    if size <= FEW_WEIGHTS:
        return max(SMALL_PRODUCT // (size * pitch), 1)
    most = min(MOST_COLUMNS // (filter.depth * pitch), h)
    wanted = max(COLUMN_TILE // filter.depth, SHORTEST_TILE)
    tiles = max(round(top.geometry.run / wanted), -(-h // most))
    return -(-h // tiles)


def convolution(filter: Filter, scratch: Scratch, bottom: Place, pads: Pads, top: Place) -> list[Call]:
    """A kernel of any size, some rows at a time; the borders of `bottom` are at least as wide as the pads."""
    pitch, h = top.geometry.pitch, top.geometry.h
    step = rows_at_once(filter, top)
    same = (bottom.geometry.h, bottom.geometry.w, bottom.geometry.pitch) == (h, top.geometry.w, pitch)
    calls: list[Call] = []
    for y in range(0, h, step):
        rows = min(step, h - y)
        part = slice(y * pitch, (y + rows) * pitch)
        columns = scratch.columns(filter.depth, rows * pitch)
        if filter.window.stride == (1, 1) and same:
            calls += shifted(filter, bottom, pads, part, columns)
        else:
            calls.append(gathered(filter, scratch, bottom, pads, y, rows, top))
        calls.append(product(filter.matrix, columns, top.runs[:, part]))
        calls += activated(filter.activation, top.runs[:, part])
    return calls


def shifted(filter: Filter, bottom: Place, pads: Pads, part: slice, columns: Floats) -> list[Call]:
    """Fill columns with what each tap sees of a run: the same run, shifted."""
    window, geometry, channels = filter.window, bottom.geometry, bottom.channels
    calls: list[Call] = []
    row = 1
    for ky in range(window.kernel[0]):
        for kx in range(window.kernel[1]):
            down, right = ky * window.dilation[0] - pads[0], kx * window.dilation[1] - pads[2]
            start = geometry.origin + down * geometry.pitch + right
            seen = bottom.planes[:, start + part.start : start + part.stop]
            calls.append(copied(seen, columns[row : row + channels]))
            row += channels
    return calls


def gathered(filter: Filter, scratch: Scratch, bottom: Place, pads: Pads, y: int, rows: int, top: Place) -> Call:
    """Fill columns with what each tap sees of some rows, by a kernel."""
    window, cells, pitch = filter.window, scratch.cells, top.geometry.pitch
    return partial(
        kernels.wide().cells.columns,
        cells.buffer.data,
        cells.buffer.start + bottom.tap(y * window.stride[0] - pads[0], -pads[2]),
        bottom.geometry.plane,
        bottom.geometry.pitch,
        bottom.channels,
        *window.kernel,
        *window.dilation,
        *window.stride,
        cells.buffer.start + scratch.start,
        rows * pitch,
        rows,
        pitch,
        top.geometry.w,
    )


def bordered_pointwise(filter: Filter, bottom: Place, pads: Pads, inner: Place, top: Place) -> list[Call]:
    """A 1 by 1 kernel with borders of zeros, whose sums are the biases: only the pixels inside are computed."""
    h, w = bottom.geometry.h, bottom.geometry.w
    border = filter.matrix[:, :1].copy()
    filter.activation(border)
    frame, inside = border[:, :, np.newaxis], top.image[:, pads[0] : pads[0] + h, pads[2] : pads[2] + w]
    sides = [
        top.image[:, : pads[0]],
        top.image[:, pads[0] + h :],
        top.image[:, pads[0] : pads[0] + h, : pads[2]],
        top.image[:, pads[0] : pads[0] + h, pads[2] + w :],
    ]
    framed = [partial(np.copyto, side, frame) for side in sides if side.size]
    return [*pointwise(filter, bottom.runs_and_ones, inner.runs), copied(inner.image, inside), *framed]


def cleared(top: Place) -> list[Call]:
    """The borders between rows set to zero, for those who read them."""
    return [filled(top.gaps, 0.0)] if top.geometry.pad else []
