"""The vectorised twin of `spec.calibration.weight_scales`."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Literal

import numpy as np

from fastpath.calibration.aciq import gaussian_clip
from fastpath.calibration.statistics import Floats
from spec.errors import GraphError, UnsupportedError
from spec.graph import Graph, Layer

Method = Literal["kl", "aciq", "eq"]
"""How thresholds are chosen; eq starts from kl."""

Row = tuple[str, list[float]]
"""A row of the table: its key and its scales."""

CONVOLUTION_TYPES = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
"""Types with calibrated activations."""

STATIC_TYPES = ("Embed", "MultiHeadAttention", "RNN", "LSTM", "GRU")
"""Types that get weight scales only, in the order of the table."""

INT8_MAX = 127
SIX_BIT_MAX = 31

_GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


def convolution_layers(graph: Graph) -> list[Layer]:
    """The layers with calibrated activations, in file order, without those whose weights arrive at run time."""
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
    """The weight scales of a layer of `CONVOLUTION_TYPES`: largest code / threshold, for each group of weights."""
    largest_code, bits = (SIX_BIT_MAX, 6) if is_six_bit(layer) else (INT8_MAX, 8)
    groups = weight_groups(layer)
    if groups < 1:
        raise GraphError(layer.name, f"{groups} weight groups cannot be calibrated")
    largest, size = _absmax(layer.weight("weight_data").floats(), groups)
    if method == "aciq" and size == 1 and not upstream:
        report(f"{layer.name}: each weight group has one value, which aciq cannot judge: its magnitude is kept")
    elif method == "aciq":
        largest = np.array([gaussian_clip(float(value), size, bits) for value in largest], np.float32)
    return _divided(largest_code, largest)


def static_rows(graph: Graph) -> list[Row]:
    """The rows of all layers of `STATIC_TYPES`, type by type. A row of zeros has scale 1."""
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


def static_scales(values: array[float], count: int) -> list[float]:
    """127 / absmax of each of `count` equal groups; 1 for a group of zeros."""
    largest, _ = _absmax(values, count)
    return [1.0 if zero else scale for scale, zero in zip(_divided(INT8_MAX, largest), largest == 0, strict=True)]


def _absmax(values: array[float], groups: int) -> tuple[Floats, int]:
    """The largest magnitude of each group, and the size of a group."""
    size = len(values) // groups
    matrix = np.frombuffer(values, np.float32)[: groups * size].reshape(groups, size)
    if size == 0:
        return np.zeros(groups, np.float32), 0
    return np.maximum(matrix.max(axis=1), -matrix.min(axis=1)), size


def _divided(largest_code: int, thresholds: Floats) -> list[float]:
    """largest_code / threshold in binary32, with its infinities and NaN."""
    with np.errstate(divide="ignore", over="ignore"):
        scales: list[float] = (np.float32(largest_code) / np.abs(thresholds)).tolist()
    return scales


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
