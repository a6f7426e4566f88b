"""Scales of weights: they need no samples.

Follows: ncnn tools/quantize/ncnn2table.cpp @ a4d2ea1d.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from typing import Literal

from spec.binary32 import f32
from spec.calibration.aciq import gaussian_clip
from spec.errors import GraphError, UnsupportedError
from spec.graph import Graph, Layer
from spec.rounding import INT8_MAX, absmax, dynamic_scale

Method = Literal["kl", "aciq", "eq"]
"""How thresholds are chosen; eq starts from kl."""

Row = tuple[str, list[float]]
"""A row of the table: its key and its scales."""

CONVOLUTION_TYPES = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
"""Types with calibrated activations."""

STATIC_TYPES = ("Embed", "MultiHeadAttention", "RNN", "LSTM", "GRU")
"""Types that get weight scales only, in the order of the table."""

SIX_BIT_MAX = 31
"""Weights of convolutions that may run as int8 Winograd keep to six bits, which leaves room for its sums."""

_GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


def convolution_layers(graph: Graph) -> list[Layer]:
    """The layers with calibrated activations, in file order.

    Those whose weights arrive at run time have nothing to scale and are left out. UnsupportedError for a layer that is
    int8 already.
    """
    layers = [layer for layer in graph if layer.type in CONVOLUTION_TYPES]
    for layer in layers:
        _check_float(layer, "int8_scale_term", "weight_data")
    return [layer for layer in layers if layer.type == "InnerProduct" or not layer.get.integer("dynamic_weight")]


def is_six_bit(layer: Layer) -> bool:
    """Whether this is a Convolution with a 3x3 kernel, stride 1 and dilation 1."""
    if layer.type != "Convolution":
        return False
    get = layer.get.integer
    kernel = (get("kernel_w"), get("kernel_h"))
    steps = (get("stride_w"), get("stride_h"), get("dilation_w"), get("dilation_h"))
    return kernel == (3, 3) and steps == (1, 1, 1, 1)


def weight_groups(layer: Layer) -> int:
    """How many weight scales a layer of `CONVOLUTION_TYPES` has: one per output, or per group if depthwise."""
    return layer.get.integer("group" if layer.type == "ConvolutionDepthWise" else "num_output")


def weight_scales(
    layer: Layer, method: Method, *, upstream: bool = False, report: Callable[[str], None]
) -> list[float]:
    """The weight scales of a layer of `CONVOLUTION_TYPES`: largest code / threshold, for each group of weights.

    The threshold is the largest magnitude, or for aciq the Gaussian clipping value. A group of zeros has an infinite
    scale. aciq cannot judge the spread of a single weight: such groups keep their magnitude, unless `upstream`, whose
    scale 0 makes all those weights zero.
    """
    largest_code, bits = (SIX_BIT_MAX, 6) if is_six_bit(layer) else (INT8_MAX, 8)
    values = layer.weight("weight_data").floats()
    groups = weight_groups(layer)
    if groups < 1:
        raise GraphError(layer.name, f"{groups} weight groups cannot be calibrated")
    size = len(values) // groups
    clip = method == "aciq" and (size > 1 or upstream)
    if method == "aciq" and size == 1 and not upstream:
        report(f"{layer.name}: each weight group has one value, which aciq cannot judge: its magnitude is kept")
    scales = []
    for group in range(groups):
        threshold = absmax(values[group * size : (group + 1) * size])
        if clip:
            threshold = gaussian_clip(threshold, size, bits)
        scales.append(_divided(largest_code, threshold))
    return scales


def static_rows(graph: Graph) -> list[Row]:
    """The rows of all layers of `STATIC_TYPES`, type by type. A row of zeros has scale 1.

    UnsupportedError for a layer that is int8 already.
    """
    rows: list[Row] = []
    for layer_type in STATIC_TYPES:
        for layer in graph:
            if layer.type == layer_type:
                matrices = _static_matrices(layer)
                rows.extend(
                    (f"{layer.name}_param_{index}", static_scales(values, count))
                    for index, (values, count) in enumerate(matrices)
                )
    return rows


def static_scales(values: Sequence[float], count: int) -> list[float]:
    """127 / absmax of each of `count` equal groups; 1 for a group of zeros.

    >>> static_scales([0.5, -2.0, 0.0, 0.0], 2)
    [63.5, 1.0]
    """
    size = len(values) // count
    return [dynamic_scale(absmax(values[group * size : (group + 1) * size])) for group in range(count)]


def _static_matrices(layer: Layer) -> list[tuple[array[float], int]]:
    """The weight matrices of a layer of `STATIC_TYPES`, each with its number of scales."""
    get = layer.get.integer
    if layer.type == "Embed":
        _check_float(layer, "int8_scale_term", "weight_data")
        return [(layer.weight("weight_data").floats(), 1)]
    if layer.type == "MultiHeadAttention":
        _check_float(layer, "quantize_term", "q_weight_data")
        counts = {"q": get("embed_dim"), "k": get("embed_dim"), "v": get("embed_dim"), "out": 1}
        return [(layer.weight(f"{name}_weight_data").floats(), count) for name, count in counts.items()]
    _check_float(layer, "int8_scale_term", "weight_xc_data")
    directions = 2 if get("direction") == 2 else 1
    hidden = get("hidden_size" if layer.type == "LSTM" else "num_output")
    rows = directions * _GATES[layer.type] * hidden
    return [(layer.weight(name).floats(), rows) for name in ("weight_xc_data", "weight_hc_data")]


def _check_float(layer: Layer, term: str, record: str) -> None:
    weight = layer.weights.get(record)
    if layer.get.integer(term) != 0 or (weight is not None and weight.dtype == "int8"):
        raise UnsupportedError(layer.name, "the weights are quantized already: calibrate the float model")


def _divided(largest_code: int, threshold: float) -> float:
    """f32(largest_code / threshold), with the infinities and NaN of binary32 division."""
    if math.isnan(threshold):
        return math.nan
    return f32(largest_code / threshold) if threshold > 0.0 else math.inf
