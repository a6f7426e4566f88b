"""The fast twin of `spec.calibration.eq`: the same search, the same choices, without repeating what does not change.

A weight scale only touches the outputs of its own group. So the 100 candidates of a scale run as one layer with 100
times the outputs of that group, and only the sums from the first touched output on are added up again, in order.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fastpath.calibration.statistics import Floats
from fastpath.calibration.weight_scales import weight_groups
from fastpath.layers import PREPARE
from fastpath.quantization.arithmetic import NUMPY_ARITHMETIC
from spec.graph import Layer, float_weight, int8_weight

MOST_SAMPLES = 50
"""The search looks at no more samples than this."""

CANDIDATES = 100
"""Candidates for each scale, from 0.5 to just below 2 times its value; the value itself is not among them."""

Pair = tuple[Floats, Floats]
"""A sample as a layer sees it: its float bottom blob, and its float top blob, the reference."""

_CHUNK = 4096  # outputs whose sums are added up at a time, for all candidates


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
    outputs = [_Output(layer, bottom, top, scales, bottom_scale) for bottom, top in pairs]
    for j, start in enumerate(weight_scales):
        if math.isfinite(start):
            tries = candidates(start)
            operator = PREPARE["InnerProduct" if layer.type == "InnerProduct" else "Convolution"](
                _candidate_layer(layer, j, tries, bottom_scale)
            )
            totals = [0.0] * CANDIDATES
            changes = []
            for output in outputs:
                (result,) = operator([_group_bottom(layer, j, output.bottom)])
                changes.append(output.changes(result))
                totals = [total + value for total, value in zip(totals, output.cosines(j, changes[-1]), strict=True)]
            best = best_candidate(totals)
            if best is not None:
                scales[j] = tries[best]
                for output, change in zip(outputs, changes, strict=True):
                    output.replace(j, change[best])
        report(f"{layer.name} w {j}  = {start:f} -> {scales[j]:f}")
    bottom = bottom_scale
    if math.isfinite(bottom_scale):
        tries = candidates(bottom_scale)
        best = best_candidate([similarity(layer, pairs, scales, candidate) for candidate in tries])
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
    return float(_cosines(_added(x * x), np.array([_added(y * y)]), np.array([_added(x * y)]))[0])


def quantized_layer(layer: Layer, weight_scales: Sequence[float], bottom_scale: float) -> Layer:
    """The int8 form of a float layer with float output."""
    values = layer.weight("weight_data").floats()
    codes = NUMPY_ARITHMETIC.quantize(values, weight_scales, upstream=False)
    bias = layer.weights["bias_data"].floats() if "bias_data" in layer.weights else array("f")
    return _int8_layer(layer, layer.type, codes, bias, weight_scales, bottom_scale)


def _candidate_layer(layer: Layer, group: int, tries: Sequence[float], bottom_scale: float) -> Layer:
    """A layer that computes the outputs of one weight group for every candidate of its scale, one after the other."""
    groups = weight_groups(layer)
    values = layer.weight("weight_data").floats()
    size = len(values) // groups
    outputs = layer.get.integer("num_output") // groups
    bias = layer.weights["bias_data"].floats() if "bias_data" in layer.weights else array("f")
    codes = NUMPY_ARITHMETIC.quantize(values[group * size : (group + 1) * size] * len(tries), tries, upstream=False)
    repeated = [scale for scale in tries for _ in range(outputs)]
    layer_type = "InnerProduct" if layer.type == "InnerProduct" else "Convolution"
    group_bias = bias[group * outputs : (group + 1) * outputs] * len(tries)
    candidate_layer = _int8_layer(layer, layer_type, codes, group_bias, repeated, bottom_scale)
    candidate_layer.set("num_output", len(repeated))
    candidate_layer.set("weight_data_size", len(codes))
    return candidate_layer


def _int8_layer(
    layer: Layer,
    layer_type: str,
    codes: array[int],
    bias: array[float],
    weight_scales: Sequence[float],
    bottom_scale: float,
) -> Layer:
    weights = {"weight_data": int8_weight("weight_data", codes)}
    if bias:
        weights["bias_data"] = float_weight("bias_data", bias, "raw")
    for name, values in (("weight_data_int8_scales", weight_scales), ("bottom_blob_int8_scales", [bottom_scale])):
        weights[name] = float_weight(name, array("f", values), "raw")
    result = Layer(layer.type, layer.name, layer.bottoms, layer.tops, dict(layer.params), weights=weights)
    if layer.type != layer_type:
        result.unset("group")
        result.type = layer_type
    result.set("int8_scale_term", 1 if layer_type == "ConvolutionDepthWise" else 2)
    return result


def _group_bottom(layer: Layer, group: int, bottom: Floats) -> Floats:
    """The part of the bottom blob that a weight group reads."""
    if layer.type != "ConvolutionDepthWise":
        return bottom
    channels = bottom.shape[0] // weight_groups(layer)
    return np.ascontiguousarray(bottom[group * channels : (group + 1) * channels])


class _Output:
    """The int8 output of a layer for one sample under the scales of the moment, beside its float reference."""

    def __init__(
        self, layer: Layer, bottom: Floats, top: Floats, weight_scales: Sequence[float], bottom_scale: float
    ) -> None:
        self.bottom = bottom
        self._groups = weight_groups(layer)
        self._reference = np.ascontiguousarray(top, np.float32).ravel()
        (current,) = PREPARE[layer.type](quantized_layer(layer, weight_scales, bottom_scale))([bottom])
        self._current = np.array(current, np.float32).ravel()
        self._rows = current.shape[0] if current.ndim == 2 else 0  # InnerProduct of a matrix: outputs lie in columns
        self._reference_sum = _added(self._reference * self._reference)

    def changes(self, result: Floats) -> Floats:
        """The output of the candidate layer, one row per candidate."""
        if self._rows:
            result = np.ascontiguousarray(result.T)
        return result.reshape(CANDIDATES, -1)

    def cosines(self, group: int, changes: Floats) -> list[float]:
        """The cosine with the reference for each candidate's outputs of one group."""
        places = self._places(group)
        first = int(places[0])
        x, y = self._reference, self._current
        yy = np.full(CANDIDATES, _added(y[:first] * y[:first]), np.float32)
        xy = np.full(CANDIDATES, _added(x[:first] * y[:first]), np.float32)
        for start in range(first, len(y), _CHUNK):
            stop = min(start + _CHUNK, len(y))
            outputs = np.repeat(y[None, start:stop], CANDIDATES, axis=0)
            low, high = np.searchsorted(places, (start, stop))
            outputs[:, places[low:high] - start] = changes[:, low:high]
            yy = _continued(yy, outputs * outputs)
            xy = _continued(xy, x[start:stop] * outputs)
        cosines: list[float] = _cosines(self._reference_sum, yy, xy).tolist()
        return cosines

    def replace(self, group: int, values: Floats) -> None:
        """Take over a candidate's outputs of one group."""
        self._current[self._places(group)] = values

    def _places(self, group: int) -> NDArray[np.intp]:
        if self._rows:
            return np.arange(group, len(self._current), self._groups)
        size = len(self._current) // self._groups
        return np.arange(group * size, (group + 1) * size)


def _added(terms: Floats) -> np.float32:
    """The sum of the terms, one after the other."""
    return np.float32(np.add.accumulate(terms, dtype=np.float32)[-1]) if terms.size else np.float32(0)


def _continued(sums: Floats, terms: Floats) -> Floats:
    """Each of `sums` with a row of terms added to it, one after the other."""
    running: Floats = np.add.accumulate(np.concatenate([sums[:, None], terms], axis=1), axis=1, dtype=np.float32)
    return running[:, -1]


def _cosines(xx: np.float32, yy: Floats, xy: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = xy / np.sqrt(xx) / np.sqrt(yy)
    cosines[(yy == 0) | (xx == 0)] = np.nan
    return np.asarray(cosines, np.float32)
