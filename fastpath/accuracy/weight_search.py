"""Weight scales that lose least: each output channel tries many, and its output error on real patches decides.

What a layer computes from quantized weights w' and its quantized input x' is to be near W x. Over all patches the error
of one channel is a quadratic form of w', so that the patches themselves are needed only once:

    sum (w x - w' x')^2  =  sum (w x)^2 - 2 w' (x' (w x)^T) + w' (x' x'^T) w'^T

Few patches say little of how two weights' errors act together. So a share K / (K + patches) of the decision goes to the
sum of squares of each weight's own error.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastpath.accuracy.tables import as_written
from fastpath.calibration.weight_scales import INT8_MAX, SIX_BIT_MAX, is_six_bit, weight_groups
from fastpath.layers.common import Array, Floats
from fastpath.layers.convolution import padding_value
from fastpath.layers.window import output_size, resolve_pads, window_of
from fastpath.quantization.arithmetic import NUMPY_ARITHMETIC
from spec.graph import Layer

TRIES = np.linspace(0.75, 1.5, 61)
"""Scales tried, as multiples of the largest that clips nothing: below 1 codes are wasted, above 1 weights are clipped.

Where codes must stay below 127 nothing clips them, so nothing above 1 is tried.
"""

MOST_PATCHES = 2048
"""Patches taken from one sample, spread evenly."""

LONGEST_PATCH = 1600
"""Patches up to this length are searched with their correlations; longer ones by each weight's own error."""

WINOGRAD_LIMIT = 1_864_136
"""3x3 convolutions of stride 1 run by Winograd F(4,3) in the real runtime, which is exact for sums up to this."""

WINOGRAD_MARGIN = 4
"""How many times the largest sum seen must fit, where the weights alone do not promise it."""

Matrix = NDArray[np.float64]


def weight_matrix(layer: Layer) -> Floats:
    """The weights as (groups, outputs of a group, weights of an output)."""
    groups = layer.get.integer("group") if layer.type == "ConvolutionDepthWise" else 1
    values = np.frombuffer(layer.weight("weight_data").floats(), np.float32)
    return values.reshape(groups, layer.get.integer("num_output") // groups, -1)


def patches(layer: Layer, blob: Array, most: int = MOST_PATCHES) -> Floats:
    """What each output position sees of a bottom blob: (groups, weights of an output, positions)."""
    matrix = weight_matrix(layer)
    if layer.type == "InnerProduct" or blob.ndim == 1:
        rows = np.asarray(blob, np.float32).reshape(-1, matrix.shape[2])
        return np.ascontiguousarray(rows[_spread(len(rows), most)].T)[np.newaxis]
    window = window_of(layer)
    h, w = blob.shape[1:]
    pads = resolve_pads(layer, window, h, w, int8=False)
    out_h, out_w = output_size(layer, window, h, w, pads)
    fill = padding_value(layer, int8=False)
    padded = np.pad(blob, ((0, 0), pads[:2], pads[2:]), constant_values=fill)
    step_h, step_w = window.dilation
    views = sliding_window_view(padded, window.extent, axis=(1, 2))[:, :, :, ::step_h, ::step_w]
    rows, columns = np.divmod(_spread(out_h * out_w, most), out_w)
    seen = views[:, rows * window.stride[0], columns * window.stride[1]]
    return np.ascontiguousarray(seen.transpose(0, 2, 3, 1)).reshape(matrix.shape[0], matrix.shape[2], -1)


def _spread(count: int, most: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.intp))


@dataclass
class Form:
    """The quadratic form of a layer, added up over samples."""

    second: Matrix
    """x' x'^T: (groups, K, K), or (groups, K) with its diagonal alone."""
    cross: Matrix
    """x' (w x)^T: (groups, K, outputs of a group)."""
    target: Matrix
    """(w x)^2: (groups, outputs of a group)."""
    positions: int
    largest_input: float

    def error(self, exact: Matrix, tried: Matrix) -> Matrix:
        """The error of each output for weights (groups, outputs, K), the cautious share included."""
        length = exact.shape[2]
        diagonal = self.second if self.second.ndim == 2 else np.einsum("gkk->gk", self.second)
        own: Matrix = ((exact - tried) ** 2 * diagonal[:, np.newaxis]).sum(axis=2)
        if self.second.ndim == 2:
            return own
        joint: Matrix = self.target - 2 * (tried * self.cross.transpose(0, 2, 1)).sum(axis=2)
        joint += (np.matmul(tried, self.second) * tried).sum(axis=2)
        share = length / (length + self.positions)
        total: Matrix = (1 - share) * np.maximum(joint, 0) + share * own
        return total


def gather(layer: Layer, pairs: list[tuple[Array, Array]]) -> Form:
    """The form of a layer from pairs of its float bottom blob and its bottom blob as int8 sees it."""
    matrix = weight_matrix(layer)
    groups, outputs, length = matrix.shape
    full = length <= LONGEST_PATCH
    second = np.zeros((groups, length, length) if full else (groups, length))
    cross, target = np.zeros((groups, length, outputs)), np.zeros((groups, outputs))
    positions, largest = 0, 0.0
    for exact, quantized in pairs:
        wanted = np.matmul(matrix, patches(layer, exact))
        seen = patches(layer, quantized)
        transposed = seen.transpose(0, 2, 1)
        second += np.matmul(seen, transposed) if full else (seen**2).sum(axis=2)
        cross += np.matmul(seen, wanted.transpose(0, 2, 1))
        target += (wanted.astype(np.float64) ** 2).sum(axis=2)
        positions += seen.shape[2]
        largest = max(largest, float(np.abs(np.matmul(matrix, seen)).max(initial=0.0)))
    return Form(second, cross, target, positions, largest)


@dataclass(frozen=True)
class WeightChoice:
    """Weight scales, and the largest code that they were made for."""

    scales: list[float]
    largest_code: int


def absmax_scales(layer: Layer, largest_code: int) -> list[float]:
    """Scales that clip nothing: `largest_code` / absmax of each group of weights, infinite for a group of zeros."""
    largest = np.abs(weight_matrix(layer).reshape(weight_groups(layer), -1)).max(axis=1)
    with np.errstate(divide="ignore", over="ignore"):
        scales: list[float] = (np.float32(largest_code) / largest).astype(np.float32).tolist()
    return [as_written(scale) for scale in scales]


def search(layer: Layer, form: Form, largest_code: int) -> list[float]:
    """The scale of least error for each group of weights that has one, among `TRIES`."""
    matrix = weight_matrix(layer)
    exact = matrix.astype(np.float64)
    count = weight_groups(layer)
    start = np.array(absmax_scales(layer, largest_code))
    best, least = start.copy(), np.full(count, np.inf)
    for factor in TRIES if largest_code == INT8_MAX else TRIES[TRIES <= 1.0]:
        scales = np.array([as_written(float(scale)) for scale in (start * factor).astype(np.float32)])
        codes = codes_of(layer, scales.tolist())
        with np.errstate(invalid="ignore"):
            tried = np.where(np.isinf(scales)[:, np.newaxis], 0.0, codes / scales[:, np.newaxis])
        error = form.error(exact, tried.reshape(exact.shape)).reshape(count, -1).sum(axis=1)
        better = error < least
        best[better], least[better] = scales[better], error[better]
    return [float(scale) for scale in best]


def codes_of(layer: Layer, scales: list[float]) -> NDArray[np.int64]:
    """The int8 codes of the weights, (groups with a scale, weights of each)."""
    values = array("f", weight_matrix(layer).tobytes())
    codes = np.frombuffer(NUMPY_ARITHMETIC.quantize(values, scales, upstream=False), np.int8)
    return codes.reshape(len(scales), -1).astype(np.int64)


def winograd_is_exact(layer: Layer, scales: list[float], bottom_scale: float, form: Form) -> bool:
    """Whether the real runtime's Winograd has room for the sums of a 3x3 layer with these scales.

    Either no input at all can exceed the limit, or the largest sum seen is far enough below it.
    """
    if int(np.abs(codes_of(layer, scales)).sum(axis=1).max()) * INT8_MAX <= WINOGRAD_LIMIT:
        return True
    finite = [scale for scale in scales if np.isfinite(scale)]
    return form.largest_input * max(finite, default=0.0) * bottom_scale * WINOGRAD_MARGIN <= WINOGRAD_LIMIT


def choose(layer: Layer, form: Form, bottom_scale: float, *, keep_six_bits: bool) -> WeightChoice:
    """The scales of least error within the largest codes that the layer may use."""
    if not is_six_bit(layer):
        return WeightChoice(search(layer, form, INT8_MAX), INT8_MAX)
    if not keep_six_bits:
        for largest_code in (INT8_MAX, (INT8_MAX + 1) // 2 - 1):
            scales = search(layer, form, largest_code)
            if winograd_is_exact(layer, scales, bottom_scale, form):
                return WeightChoice(scales, largest_code)
    return WeightChoice(search(layer, form, SIX_BIT_MAX), SIX_BIT_MAX)
