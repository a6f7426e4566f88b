"""The fast twin of `spec.calibration.eq`: the same search, the same choices, without repeating what does not change.

A weight scale touches the outputs of its own group only. So all candidates of a scale are the columns of one matrix
product, for all samples at once; the sums of the cosine go on from where the groups before left them, and the groups
behind add the same terms to all candidates (`fastpath.calibration.chains`). For the activation scale the candidates lie
side by side in a last axis, from the codes to the sums. Compiled kernels do the same in binary64 where no number comes
near the ends of binary32 (`fastpath.calibration.eq_bench`). Every number is the one that the literal search computes.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from fastpath.calibration.chains import total_of
from fastpath.calibration.eq_bottom import bottom_totals
from fastpath.calibration.eq_form import Candidates, Form, Pair, cosines
from fastpath.calibration.eq_weights import batches
from fastpath.calibration.statistics import Floats
from fastpath.layers import PREPARE
from fastpath.quantization.arithmetic import NUMPY_ARITHMETIC
from spec.graph import Layer, float_weight, int8_weight

MOST_SAMPLES = 50
"""The search looks at no more samples than this."""

CANDIDATES = 100
"""Candidates for each scale, from 0.5 to just below 2 times its value; the value itself is not among them."""


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
        form = Form.of(layer)
        current = PREPARE[layer.type](quantized_layer(layer, weight_scales, bottom_scale))
        samples = batches(form, pairs, current, bottom_scale)
        for j, start in enumerate(weight_scales):
            best = None
            if math.isfinite(start) and math.isfinite(bottom_scale):
                tries = candidates(start)
                group = Candidates.of(form, j, tries, bottom_scale)
                best = best_candidate(summed(row for batch in samples for row in batch.cosines(group)))
                scales[j] = start if best is None else tries[best]
            for batch in samples:
                batch.choose(j, best)
            report(f"{layer.name} w {j}  = {start:f} -> {scales[j]:f}")
        bottom = bottom_scale
        if math.isfinite(bottom_scale):
            tries = candidates(bottom_scale)
            best = best_candidate(summed(bottom_totals(form, pairs, scales, tries)))
            bottom = bottom_scale if best is None else tries[best]
    report(f"{layer.name} b 0  = {bottom_scale:f} -> {bottom:f}")
    return scales, bottom


def summed(rows: Iterable[Floats]) -> list[float]:
    """The sums of the columns in binary64, row after row."""
    totals = np.zeros(CANDIDATES)
    for row in rows:
        totals += row
    sums: list[float] = totals.tolist()
    return sums


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
    return float(cosines(total_of(x * x), np.array([total_of(y * y)]), np.array([total_of(x * y)]))[0])


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
