"""What the layers with calibrated scales share: Convolution, ConvolutionDepthWise and InnerProduct.

Their records are the int8 weights, one scale for each output (or group), one scale for the input, and, for int8 output,
one scale for that.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TypeVar

from spec.binary32 import Profile, f32, multiply_add
from spec.blob import Blob
from spec.functions import divide
from spec.graph import Layer, Shape
from spec.layers.common import fault, floats, require_weights
from spec.layers.quantize import int8_codes, require_finite
from spec.rounding import MAX_TERMS

INT8_OUTPUT_TERM = 100
"""An int8_scale_term above this means int8 output."""

Number = TypeVar("Number", int, float)


def split(values: list[Number], rows: int) -> list[list[Number]]:
    """Equal parts, one for each output.

    >>> split([1, 2, 3, 4, 5, 6], 2)
    [[1, 2, 3], [4, 5, 6]]
    """
    size = len(values) // rows
    return [values[row * size : (row + 1) * size] for row in range(rows)]


def bias_of(layer: Layer, num_output: int) -> list[float]:
    """The bias of each output, 0 where the layer has none."""
    return require_weights(layer, "bias_data", num_output) if layer.get["bias_term"] else [0.0] * num_output


def optional_bias_of(layer: Layer, num_output: int) -> Sequence[float | None]:
    """The bias of each output, None where the layer has none: nothing is added then, and -0 stays -0."""
    return bias_of(layer, num_output) if layer.get["bias_term"] else [None] * num_output


def int8_weights(layer: Layer, weight_scales: Sequence[float]) -> list[list[int]]:
    """The int8 weights of each output; a float record is quantized, each output with its scale."""
    record = layer.weight("weight_data")
    if record.dtype == "int8":
        return split(record.int8().tolist(), len(weight_scales))
    rows = split(record.floats().tolist(), len(weight_scales))
    return [int8_codes(layer, row, scale) for row, scale in zip(rows, weight_scales, strict=True)]


def quantize_input(layer: Layer, blob: Blob, bottom_scale: float, profile: Profile) -> list[int]:
    """The codes of a float32 blob, or an int8 blob as it is."""
    if blob.dtype == "int8":
        return blob.ints()
    return int8_codes(layer, floats(layer, blob), bottom_scale, profile)


def descale_of(bottom_scale: float, weight_scale: float) -> float:
    """1 / (bottom_scale * weight_scale), one multiplication and one division; 0 for weight_scale 0.

    >>> descale_of(4.0, 0.5), descale_of(4.0, 0.0)
    (0.5, 0.0)
    """
    if weight_scale == 0.0:
        return 0.0
    return divide(1.0, f32(bottom_scale * weight_scale))


def descaled(sums: Sequence[int], descale: float, bias: float | None, profile: Profile) -> list[float]:
    """Each sum in binary32, times the descale, plus the bias if there is one."""
    if bias is None:
        return [f32(f32(total) * descale) for total in sums]
    return [multiply_add(f32(total), descale, bias, profile) for total in sums]


def requantized(layer: Layer, shape: Shape, values: list[float], profile: Profile) -> Blob:
    """The output blob: int8 codes by the top scale for an int8_scale_term above 100, else float32."""
    if layer.get.integer("int8_scale_term") <= INT8_OUTPUT_TERM:
        return Blob(shape, "float32", values)
    top_scale = layer.weight("top_blob_int8_scales").floats()[0]
    return Blob(shape, "int8", int8_codes(layer, values, top_scale, profile))


def check_int8(layer: Layer) -> None:
    """GraphError for int8 weights without scales, for scales that give NaN, and for sums that may overflow."""
    weights = layer.weight("weight_data")
    term = layer.get.integer("int8_scale_term")
    if term == 0:
        if weights.dtype == "int8":
            raise fault(layer, "has int8 weights, but no int8_scale_term")
        return
    terms = len(weights) // layer.get.integer("num_output")
    if terms > MAX_TERMS:
        raise fault(layer, f"sums {terms} products, but an int32 accumulator is only safe for {MAX_TERMS}")
    bottom_scale = layer.weight("bottom_blob_int8_scales").floats()[0]
    if bottom_scale == 0.0 or math.isnan(bottom_scale):
        raise fault(layer, f"has the bottom scale {bottom_scale}, which makes every output NaN")
    if math.isinf(bottom_scale):
        warnings.warn(f"layer {layer.name}: its bottom scale is infinite, so its input counts as zeros", stacklevel=2)
    if any(map(math.isnan, layer.weight("weight_data_int8_scales").floats())):
        raise fault(layer, "has a weight scale that is not a number")
    if "top_blob_int8_scales" in layer.weights:
        require_finite(layer, "top_blob_int8_scales")
