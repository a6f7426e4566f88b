"""A layer as the eq search sees it: whole numbers, matrices of them, and the cosines of what comes out."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from fastpath.calibration.chains import last_sums
from fastpath.calibration.statistics import Floats
from fastpath.calibration.weight_scales import weight_groups
from fastpath.layers.activation import Activation
from fastpath.layers.common import Scratch
from fastpath.layers.convolution import padding_value
from fastpath.layers.epilogue import descales, read_bias
from fastpath.layers.window import Window, resolve_pads, window_of
from fastpath.quantization.arithmetic import NUMPY_ARITHMETIC
from fastpath.rounding import BELOW_HALF, INT8_MAX
from spec.graph import Layer

Pair = tuple[Floats, Floats]
"""A sample as a layer sees it: its float bottom blob, and its float top blob, the reference."""

TILE = 1 << 16
"""Numbers that are worked on at a time, so that they stay in cache."""

EXACT = 2**24
"""binary32 holds every integer up to this magnitude."""

LARGEST_CODE = 128


@dataclass(frozen=True)
class Form:
    """A layer as the search sees it: a convolution, of which InnerProduct is one with a kernel of one pixel."""

    layer: Layer
    window: Window
    groups: int
    scales: int
    weights: Floats
    bias: Floats | None
    activation: Activation
    fill: float

    @classmethod
    def of(cls, layer: Layer) -> Form:
        """The form of a layer; `weights` are (num_output, weights of an output)."""
        inner_product = layer.type == "InnerProduct"
        window = Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 0)) if inner_product else window_of(layer)
        groups = layer.get.integer("group") if layer.type == "ConvolutionDepthWise" else 1
        weights = np.array(layer.weight("weight_data").floats(), np.float32)
        fill = 0.0 if inner_product else padding_value(layer, int8=True)
        return cls(
            layer,
            window,
            groups,
            weight_groups(layer),
            weights.reshape(layer.get.integer("num_output"), -1),
            read_bias(layer),
            Activation(layer),
            fill,
        )

    @property
    def outputs(self) -> int:
        """Output channels of one weight scale."""
        return len(self.weights) // self.scales

    def image(self, bottom: Floats) -> Floats:
        """The bottom blob as (channels, h, w); for InnerProduct the rows of a matrix are pixels."""
        if self.layer.type != "InnerProduct":
            return bottom
        return np.ascontiguousarray(bottom.reshape(-1, self.weights.shape[1]).T)[:, None, :]

    def in_rows(self, bottom: Floats) -> bool:
        """Whether the outputs of one pixel lie together in the top blob."""
        return self.layer.type == "InnerProduct" and bottom.size > self.weights.shape[1]

    def codes(self, weight_scales: Sequence[float]) -> Floats:
        """The weights as whole numbers."""
        values = array("f", self.weights.tobytes())
        codes = NUMPY_ARITHMETIC.quantize(values, weight_scales, upstream=False)
        return np.frombuffer(codes, np.int8).astype(np.float32).reshape(self.weights.shape)

    def windows(self, image: Floats, group: int | None = None) -> NDArray[np.float32]:
        """All windows of codes (channels, h, w, ...), with borders: (channels, kernel_h, kernel_w, h, w, ...)."""
        pads = resolve_pads(self.layer, self.window, *image.shape[1:3], int8=True)
        if any(pads):
            borders = [(0, 0), pads[:2], pads[2:], *[(0, 0)] * (image.ndim - 3)]
            image = np.pad(image, borders, constant_values=self.fill)
        if group is not None:
            channels = len(image) // self.groups
            image = image[group * channels : (group + 1) * channels]
        channel, row, pixel, *rest = image.strides
        (down, right), (step_y, step_x) = self.window.dilation, self.window.stride
        rows, columns = (image.shape[i + 1] - self.window.extent[i] for i in (0, 1))
        size = (rows // step_y + 1, columns // step_x + 1)
        shape = (len(image), *self.window.kernel, *size, *image.shape[3:])
        strides = (channel, row * down, pixel * right, row * step_y, pixel * step_x, *rest)
        return as_strided(image, shape, strides, writeable=False)


def quantized(values: Floats, scales: Floats, scratch: Scratch | None = None) -> Floats:
    """The codes of `values * scale` as whole float32 numbers, (..., scales): those of all scales in the last axis.

    With `scratch` the next call uses the same memory.
    """
    column = values.reshape(-1, 1)
    halves = np.copysign(BELOW_HALF, column)
    codes = (scratch or Scratch()).array("codes", (len(column), len(scales)))
    step = max(TILE // len(scales), 1)
    for start in range(0, len(column), step):
        rows = slice(start, start + step)
        part = codes[rows]
        np.multiply(column[rows], scales, out=part)
        np.clip(part, -INT8_MAX, INT8_MAX, out=part)
        part += halves[rows]
        np.trunc(part, out=part)
    return codes.reshape(*values.shape, len(scales))


def multiply(a: Floats, b: Floats, exact: bool, out: Floats) -> None:
    """The product of matrices of whole numbers, each sum rounded once to binary32."""
    if exact:
        np.matmul(a, b, out=out)
    else:
        np.copyto(out, np.matmul(a.astype(np.float64), b.astype(np.float64)), casting="unsafe")


def is_exact(codes: Floats) -> bool:
    """Whether no sum of products with these weights (outputs, k) can exceed what binary32 holds."""
    return bool(np.abs(codes).sum(axis=1).max() * LARGEST_CODE <= EXACT)


@dataclass(frozen=True)
class Candidates:
    """The outputs of one weight scale for every candidate: for each output channel the weights (k, candidates)."""

    group: int
    codes: list[Floats]
    descales: Floats
    exact: bool

    @classmethod
    def of(cls, form: Form, group: int, tries: Sequence[float], bottom_scale: float) -> Candidates:
        """The candidates of the scale of one group."""
        scales = np.array(tries, np.float32)
        rows = form.weights[group * form.outputs : (group + 1) * form.outputs]
        codes = [quantized(row, scales) for row in rows]
        exact = all(is_exact(each.T) for each in codes)
        return cls(group, codes, descales(np.float32(bottom_scale), scales), exact)


class Sums:
    """The sums of y * y and x * y, from some beginning on, one row after the other, for columns of y side by side.

    The columns are as many for each sample as there are candidates.
    """

    def __init__(self, start: Floats, rows: int) -> None:
        """`start` has both sums, (2, samples, candidates); no more than `rows` are added at a time."""
        self.yy, self.xy = start
        self._terms = np.empty((rows + 1, *self.yy.shape), np.float32)

    def add(self, x: Floats, y: Floats) -> None:
        """Go on with some rows of x (rows, samples) and y (rows, samples, candidates)."""
        terms = self._terms[: len(y) + 1]
        flat = terms.reshape(len(terms), -1)
        terms[0] = self.yy
        np.multiply(y, y, out=terms[1:])
        self.yy = last_sums(flat).reshape(self.yy.shape)
        terms[0] = self.xy
        np.multiply(y, x[:, :, None], out=terms[1:])
        self.xy = last_sums(flat).reshape(self.xy.shape)


def cosines(xx: Floats | np.float32, yy: Floats, xy: Floats) -> Floats:
    """The cosines from the sums of x * x, y * y and x * y; NaN where a vector is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = xy / np.sqrt(xx) / np.sqrt(yy)
    found[(yy == 0) | (xx == 0)] = np.nan
    return np.asarray(found, np.float32)
