"""The fast twin of `spec.calibration.eq`: the same search, the same choices, without repeating what does not change.

A weight scale touches the outputs of its own group only. So all candidates of a scale are the columns of one matrix
product; the sums of the cosine go on from where the groups before left them, and the groups behind add the same terms
to all candidates (`fastpath.calibration.chains`). For the activation scale the candidates lie side by side in a last
axis, from the codes to the sums. Every number is the one that the literal search computes.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from fastpath.calibration.chains import Terms, last_sums, total_of
from fastpath.calibration.statistics import Floats
from fastpath.calibration.weight_scales import weight_groups
from fastpath.layers import PREPARE
from fastpath.layers.activation import Activation
from fastpath.layers.convolution import padding_value
from fastpath.layers.epilogue import descales, read_bias
from fastpath.layers.window import Window, resolve_pads, window_of
from fastpath.quantization.arithmetic import NUMPY_ARITHMETIC
from fastpath.rounding import round_in_place
from spec.graph import Layer, float_weight, int8_weight

MOST_SAMPLES = 50
"""The search looks at no more samples than this."""

CANDIDATES = 100
"""Candidates for each scale, from 0.5 to just below 2 times its value; the value itself is not among them."""

Pair = tuple[Floats, Floats]
"""A sample as a layer sees it: its float bottom blob, and its float top blob, the reference."""

TILE = 1 << 17
"""Numbers that are worked on at a time, so that they stay in cache."""

SIDE_BY_SIDE = 1 << 25
"""Numbers of all candidates of an activation scale that are in memory at once."""

KEPT_COLUMNS = 1 << 26
"""Numbers of unrolled codes that are kept from one weight scale to the next."""

EXACT = 2**24
"""binary32 holds every integer up to this magnitude."""

LARGEST_CODE = 128


def search_scales(
    layer: Layer,
    pairs: Sequence[Pair],
    weight_scales: Sequence[float],
    bottom_scale: float,
    *,
    report: Callable[[str], None],
) -> tuple[list[float], float]:
    """The weight scales and the activation scale that the search ends with. Infinite scales are left alone."""
    scales = list(weight_scales)
    with np.errstate(all="ignore"):
        form = _Form.of(layer)
        outputs = [_Output(form, bottom, top, scales, bottom_scale, len(pairs)) for bottom, top in pairs]
        for j, start in enumerate(weight_scales):
            best = None
            if math.isfinite(start) and math.isfinite(bottom_scale):
                tries = candidates(start)
                group = _Candidates.of(form, j, tries, bottom_scale)
                totals = [0.0] * CANDIDATES
                for output in outputs:
                    totals = [sum_ + value for sum_, value in zip(totals, output.cosines(group), strict=True)]
                best = best_candidate(totals)
                scales[j] = start if best is None else tries[best]
            for output in outputs:
                output.choose(j, best)
            report(f"{layer.name} w {j}  = {start:f} -> {scales[j]:f}")
        bottom = bottom_scale
        if math.isfinite(bottom_scale):
            tries = candidates(bottom_scale)
            best = best_candidate(bottom_totals(form, pairs, scales, tries))
            bottom = bottom_scale if best is None else tries[best]
    report(f"{layer.name} b 0  = {bottom_scale:f} -> {bottom:f}")
    return scales, bottom


def candidates(start: float) -> list[float]:
    """The scales to try around `start`."""
    low = np.float32(start) * np.float32(0.5)
    with np.errstate(over="ignore", invalid="ignore"):
        step = (np.float32(start) * np.float32(2) - low) / np.float32(CANDIDATES)
        tries: list[float] = (low + np.arange(CANDIDATES, dtype=np.float32) * step).tolist()
    return tries


def best_candidate(totals: Sequence[float]) -> int | None:
    """The position of the largest positive total, the first of equals; None if there is none."""
    best, largest = None, 0.0
    for position, total in enumerate(totals):
        if total > largest:
            best, largest = position, total
    return best


def similarity(layer: Layer, pairs: Sequence[Pair], weight_scales: Sequence[float], bottom_scale: float) -> float:
    """The cosines between the float and the int8 outputs of one layer, added up over the samples in binary64."""
    operator = PREPARE[layer.type](quantized_layer(layer, weight_scales, bottom_scale))
    total = 0.0
    for bottom, top in pairs:
        (output,) = operator([bottom])
        total += cosine(top, output)
    return total


def cosine(a: Floats, b: Floats) -> float:
    """The cosine of the angle between two vectors, every step in binary32; NaN if one of them is zero."""
    x, y = a.ravel(), b.ravel()
    return float(_cosines(total_of(x * x), np.array([total_of(y * y)]), np.array([total_of(x * y)]))[0])


def quantized_layer(layer: Layer, weight_scales: Sequence[float], bottom_scale: float) -> Layer:
    """The int8 form of a float layer with float output."""
    values = layer.weight("weight_data").floats()
    codes = NUMPY_ARITHMETIC.quantize(values, weight_scales, upstream=False)
    bias = layer.weights["bias_data"].floats() if "bias_data" in layer.weights else array("f")
    weights = {"weight_data": int8_weight("weight_data", codes)}
    if bias:
        weights["bias_data"] = float_weight("bias_data", bias, "raw")
    for name, scales in (("weight_data_int8_scales", weight_scales), ("bottom_blob_int8_scales", [bottom_scale])):
        weights[name] = float_weight(name, array("f", scales), "raw")
    result = Layer(layer.type, layer.name, layer.bottoms, layer.tops, dict(layer.params), weights=weights)
    result.set("int8_scale_term", 1 if layer.type == "ConvolutionDepthWise" else 2)
    return result


@dataclass(frozen=True)
class _Form:
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
    def of(cls, layer: Layer) -> _Form:
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


def _quantized(values: Floats, scale: Floats | np.float32) -> Floats:
    """The codes of `values * scale` as whole float32 numbers; with several scales they lie in the last axis."""
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    column = values.reshape(-1, 1)
    codes = np.empty((len(column), len(scales)), np.float32)
    step = max(TILE // len(scales), 1)
    signs = np.empty(min(step, len(column)) * len(scales), np.int32)
    for start in range(0, len(column), step):
        part = codes[start : start + step]
        np.multiply(column[start : start + step], scales, out=part)
        flat = part.reshape(-1)
        round_in_place(flat, None if flat.min() >= 0 else signs[: flat.size])
        np.trunc(flat, out=flat)
    return codes.reshape(values.shape if np.ndim(scale) == 0 else (*values.shape, len(scales)))


def _product(a: Floats, b: Floats, exact: bool, out: Floats) -> None:
    """The product of matrices of whole numbers, each sum rounded once to binary32."""
    if exact:
        np.matmul(a, b, out=out)
    else:
        np.copyto(out, np.matmul(a.astype(np.float64), b.astype(np.float64)), casting="unsafe")


def _is_exact(codes: Floats) -> bool:
    """Whether no sum of products with these weights (outputs, k) can exceed what binary32 holds."""
    return bool(np.abs(codes).sum(axis=1).max() * LARGEST_CODE <= EXACT)


@dataclass(frozen=True)
class _Candidates:
    """The outputs of one weight scale for every candidate: for each output channel the weights (k, candidates)."""

    group: int
    codes: list[Floats]
    descales: Floats
    exact: bool

    @classmethod
    def of(cls, form: _Form, group: int, tries: Sequence[float], bottom_scale: float) -> _Candidates:
        """The candidates of the scale of one group."""
        scales = np.array(tries, np.float32)
        rows = form.weights[group * form.outputs : (group + 1) * form.outputs]
        codes = [_quantized(row, scales) for row in rows]
        exact = all(_is_exact(each.T) for each in codes)
        factors = descales(np.float32(bottom_scale), scales)
        return cls(group, codes, factors, exact)


class _Output:
    """The int8 output of a layer for one sample under the scales of the moment, beside its float reference."""

    def __init__(
        self,
        form: _Form,
        bottom: Floats,
        top: Floats,
        weight_scales: Sequence[float],
        bottom_scale: float,
        samples: int,
    ) -> None:
        self._form = form
        self._codes = _quantized(form.image(bottom), np.float32(bottom_scale))
        self._in_rows = form.in_rows(bottom)
        (current,) = PREPARE[form.layer.type](quantized_layer(form.layer, weight_scales, bottom_scale))([bottom])
        self._x = np.ascontiguousarray(top, np.float32).ravel()
        self._y = np.array(current, np.float32).ravel()
        self._xx = total_of(self._x * self._x)
        self._yy, self._xy = (Terms(terms, self._pixels) for terms in (self._y * self._y, self._x * self._y))
        self._sums = np.float32(0), np.float32(0)
        self._ends: tuple[Floats, Floats] = (np.zeros(0, np.float32),) * 2
        self._columns: Floats | None = None
        self._keeps = form.groups == 1 and form.weights.shape[1] * self._pixels * samples <= KEPT_COLUMNS

    @property
    def _pixels(self) -> int:
        return len(self._y) // len(self._form.weights)

    def cosines(self, candidates: _Candidates) -> list[float]:
        """The cosine with the reference for each candidate."""
        if self._in_rows:
            yy, xy = self._sums_in_rows(candidates)
        else:
            yy, xy = (np.full(CANDIDATES, each) for each in self._sums)
            first = candidates.group * self._form.outputs
            for channel, codes in enumerate(candidates.codes, start=first):
                for start, y in self._tiles(candidates, channel, codes):
                    x = self._x[channel * self._pixels + start :][: len(y)]
                    yy, xy = _continued(yy, xy, x[:, None], y)
            self._ends = yy, xy
            behind = (first + self._form.outputs) * self._pixels
            yy, xy = self._yy.add(yy, behind), self._xy.add(xy, behind)
        cosines: list[float] = _cosines(self._xx, yy, xy).tolist()
        return cosines

    def choose(self, group: int, best: int | None) -> None:
        """Take over a candidate's outputs of one group; None leaves them as they are."""
        if self._in_rows:
            if best is not None:
                self._y.reshape(-1, self._form.scales)[:, group] = self._rows[:, best]
        elif best is not None:
            self._sums = self._ends[0][best], self._ends[1][best]
        else:
            size = self._form.outputs * self._pixels
            part = slice(group * size, (group + 1) * size)
            yy, xy = self._sums
            self._sums = total_of(self._yy.terms[part], yy), total_of(self._xy.terms[part], xy)

    def _tiles(self, candidates: _Candidates, channel: int, codes: Floats) -> Iterator[tuple[int, Floats]]:
        """One output channel for all candidates (pixels, candidates), some pixels at a time."""
        columns = self._unrolled(candidates.group)
        step = max(TILE // CANDIDATES, 1)
        bias = self._form.bias
        for start in range(0, len(columns), step):
            part = columns[start : start + step]
            y = np.empty((len(part), CANDIDATES), np.float32)
            _product(part, codes, candidates.exact, y)
            y *= candidates.descales
            if bias is not None:
                y += bias[channel]
            self._form.activation(y)
            yield start, y

    def _unrolled(self, group: int) -> Floats:
        """The codes that each pixel of a group's outputs reads: (pixels, k)."""
        if self._columns is not None:
            return self._columns
        form = self._form
        windows = form.windows(self._codes, group * form.groups // form.scales if form.groups > 1 else None)
        columns = np.ascontiguousarray(np.moveaxis(windows, (3, 4), (0, 1))).reshape(self._pixels, -1)
        if self._keeps:
            self._columns = columns
        return columns

    def _sums_in_rows(self, candidates: _Candidates) -> tuple[Floats, Floats]:
        """The sums where the outputs of a group are scattered over the whole sequence."""
        self._rows = np.concatenate([y for _, y in self._tiles(candidates, candidates.group, candidates.codes[0])])
        yy, xy = np.zeros(CANDIDATES, np.float32), np.zeros(CANDIDATES, np.float32)
        groups = self._form.scales
        step = max(TILE // CANDIDATES // groups, 1)
        for start in range(0, self._pixels, step):
            rows = slice(start * groups, (start + step) * groups)
            y = np.repeat(self._y[rows, None], CANDIDATES, axis=1)
            y[candidates.group :: groups] = self._rows[start : start + step]
            yy, xy = _continued(yy, xy, self._x[rows, None], y)
        return yy, xy


def bottom_totals(
    form: _Form, pairs: Sequence[Pair], weight_scales: Sequence[float], tries: Sequence[float]
) -> list[float]:
    """The cosines between the float and the int8 outputs for each activation scale, added up over the samples."""
    codes = form.codes(weight_scales)
    exact = _is_exact(codes)
    scales = np.array(weight_scales, np.float32).repeat(form.outputs)
    totals = [0.0] * len(tries)
    for bottom, top in pairs:
        image = form.image(bottom)
        x = np.ascontiguousarray(top, np.float32).ravel()
        xx = total_of(x * x)
        step = min(max(SIDE_BY_SIDE // (image.size + x.size), 1), len(tries))
        for first in range(0, len(tries), step):
            some = np.array(tries[first : first + step], np.float32)
            y = _side_by_side(form, image, codes, exact, scales, some)
            if form.in_rows(bottom):
                y = y.swapaxes(0, 1)
            y = np.ascontiguousarray(y).reshape(-1, len(some))
            yy, xy = np.zeros(len(some), np.float32), np.zeros(len(some), np.float32)
            rows = max(TILE // len(some), 1)
            for start in range(0, len(y), rows):
                part = slice(start, start + rows)
                yy, xy = _continued(yy, xy, x[part, None], y[part])
            for k, value in enumerate(_cosines(xx, yy, xy).tolist(), start=first):
                totals[k] += value
    return totals


def _side_by_side(
    form: _Form, image: Floats, codes: Floats, exact: bool, weight_scales: Floats, tries: Floats
) -> Floats:
    """The int8 outputs (num_output, pixels, tries) for each activation scale."""
    windows = form.windows(_quantized(image, tries))
    k, outputs, (h, w) = codes.shape[1], len(codes), windows.shape[3:5]
    factors = np.stack([descales(scale, weight_scales) for scale in tries], axis=1)[:, None, :]
    matrix = codes.reshape(form.groups, -1, k)
    top = np.empty((outputs, h, w, len(tries)), np.float32)
    step = max(TILE // (k * form.groups * w * len(tries)), 1)
    for start in range(0, h, step):
        part = windows[:, :, :, start : start + step]
        columns = np.ascontiguousarray(part).reshape(form.groups, k, -1)
        sums = np.empty((form.groups, matrix.shape[1], columns.shape[2]), np.float32)
        _product(matrix, columns, exact, sums)
        y = sums.reshape(outputs, -1, len(tries))
        y *= factors
        if form.bias is not None:
            y += form.bias[:, None, None]
        form.activation(y)
        top[:, start : start + step] = y.reshape(outputs, -1, w, len(tries))
    return top.reshape(outputs, h * w, len(tries))


def _continued(yy: Floats, xy: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The sums of y * y and x * y, with these rows of y added to them, one after the other."""
    rows = np.empty((len(y) + 1, y.shape[1]), np.float32)
    rows[0] = yy
    np.multiply(y, y, out=rows[1:])
    squares = last_sums(rows)
    rows[0] = xy
    np.multiply(x, y, out=rows[1:])
    return squares, last_sums(rows)


def _cosines(xx: np.float32, yy: Floats, xy: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = xy / np.sqrt(xx) / np.sqrt(yy)
    cosines[(yy == 0) | (xx == 0)] = np.nan
    return np.asarray(cosines, np.float32)
