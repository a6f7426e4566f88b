"""The eq method: search the scales, layer by layer, that keep the int8 output most similar to the float output.

It starts from the kl scales. Every weight scale of a layer, one after the other, and then its activation scale is
replaced by the best of 100 candidates around it. Layers are judged alone, each on the activations of the float network.

Follows: ncnn tools/quantize/ncnn2table.cpp @ 20240820. (Later versions mix up their indexes while loading samples.)
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob
from spec.calibration.weight_scales import weight_groups
from spec.graph import Layer, float_weight, int8_weight
from spec.layers import FORWARD
from spec.quantization.arithmetic import SPEC_ARITHMETIC

MOST_SAMPLES = 50
"""The search looks at no more samples than this."""

CANDIDATES = 100
"""Candidates for each scale, from 0.5 to just below 2 times its value; the value itself is not among them."""

Pair = tuple[Blob, Blob]
"""A sample as a layer sees it: its float bottom blob, and its float top blob, the reference."""


def search_scales(
    layer: Layer,
    pairs: Sequence[Pair],
    weight_scales: Sequence[float],
    bottom_scale: float,
    *,
    profile: Profile = REFERENCE,
    report: Callable[[str], None],
) -> tuple[list[float], float]:
    """The weight scales and the activation scale that the search ends with. Infinite scales are left alone."""
    scales = list(weight_scales)
    for j, start in enumerate(weight_scales):
        if math.isfinite(start):
            tries = [(candidate, [*scales[:j], candidate, *scales[j + 1 :]]) for candidate in candidates(start)]
            totals = [similarity(layer, pairs, weights, bottom_scale, profile) for _, weights in tries]
            scales[j] = best_candidate(start, totals)
        report(f"{layer.name} w {j}  = {start:f} -> {scales[j]:f}")
    bottom = bottom_scale
    if math.isfinite(bottom_scale):
        totals = [similarity(layer, pairs, scales, candidate, profile) for candidate in candidates(bottom_scale)]
        bottom = best_candidate(bottom_scale, totals)
    report(f"{layer.name} b 0  = {bottom_scale:f} -> {bottom:f}")
    return scales, bottom


def candidates(start: float) -> list[float]:
    """The scales to try around `start`.

    >>> tries = candidates(1.0)
    >>> len(tries), tries[0], tries[99]
    (100, 0.5, 1.9850000143051147)
    """
    low = f32(start * 0.5)
    step = f32(f32(f32(start * 2.0) - low) / CANDIDATES)
    return [f32(low + f32(k * step)) for k in range(CANDIDATES)]


def best_candidate(start: float, totals: Sequence[float]) -> float:
    """The candidate with the largest positive total, the first of equals; `start` if there is none."""
    best, largest = start, 0.0
    for candidate, total in zip(candidates(start), totals, strict=True):
        if total > largest:
            best, largest = candidate, total
    return best


def similarity(
    layer: Layer, pairs: Sequence[Pair], weight_scales: Sequence[float], bottom_scale: float, profile: Profile
) -> float:
    """The cosines between the float and the int8 outputs of one layer, added up over the samples in binary64."""
    quantized = quantized_layer(layer, weight_scales, bottom_scale)
    total = 0.0
    for bottom, top in pairs:
        (output,) = FORWARD[layer.type](quantized, [bottom], profile)
        total += cosine(top.floats(), output.floats())
    return total


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """The cosine of the angle between two vectors, every step in binary32; NaN if one of them is zero.

    >>> cosine([3.0, 4.0], [3.0, 4.0])
    1.0
    """
    aa = bb = ab = 0.0
    for x, y in zip(a, b, strict=True):
        aa = f32(aa + f32(x * x))
        bb = f32(bb + f32(y * y))
        ab = f32(ab + f32(x * y))
    if aa == 0.0 or bb == 0.0:
        return math.nan
    return f32(f32(ab / f32(math.sqrt(aa))) / f32(math.sqrt(bb)))


def quantized_layer(layer: Layer, weight_scales: Sequence[float], bottom_scale: float) -> Layer:
    """The int8 form of a float layer with float output."""
    values = layer.weight("weight_data").floats()
    codes = SPEC_ARITHMETIC.quantize(values, weight_scales, upstream=False)
    weights = {
        **layer.weights,
        "weight_data": int8_weight("weight_data", codes),
        "weight_data_int8_scales": float_weight("weight_data_int8_scales", array("f", weight_scales), "raw"),
        "bottom_blob_int8_scales": float_weight("bottom_blob_int8_scales", array("f", [bottom_scale]), "raw"),
    }
    quantized = Layer(layer.type, layer.name, layer.bottoms, layer.tops, dict(layer.params), weights=weights)
    quantized.set("int8_scale_term", 1 if layer.type == "ConvolutionDepthWise" else 2)
    assert len(weight_scales) == weight_groups(layer)
    return quantized
