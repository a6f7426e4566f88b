"""What an int8 or float matrix layer does with its sums: descale, bias, activation, requantize.

Each step is one binary32 operation for every element, in this order, in place. The array stays in cache between the
steps, because callers hand over one tile at a time.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from fastpath.layers.activation import RELU, Activation
from fastpath.layers.common import Floats, fault, weights
from fastpath.rounding import BELOW_HALF, INT8_MAX, finite, quantize, round_in_place
from spec.graph import Layer

ZERO = np.float32(0)

MAX_TERMS = (2**31 - 1) // 2**14
"""So many products of two int8 codes always fit the int32 accumulator: 131071 times (-128) * (-128)."""


class Epilogue:
    """The steps of one layer. `descale`, `bias` and the rows of the array that is passed in are output channels."""

    def __init__(
        self,
        layer: Layer,
        activation: Activation,
        bias: Floats | None,
        descale: Floats | None = None,
        top_scale: np.float32 | None = None,
        largest_sum: float = np.inf,
        *,
        for_codes: bool = False,
    ) -> None:
        """`largest_sum` bounds the magnitude of the sums; where it allows, a check for overflow is left out.

        `for_codes` says that somebody else makes codes of the floats, and nothing but codes.
        """
        self.layer = layer
        self.activation = activation
        self.bias = None if bias is None else bias.reshape(-1, 1)
        self.descale = None if descale is None else descale.reshape(-1, 1)
        self.top_scale = top_scale
        largest = largest_sum
        if descale is not None:
            largest *= float(np.abs(descale).max())
        if bias is not None:
            largest += float(np.abs(bias).max())
        self.must_check = not activation.keeps_finite(largest)
        self.activate = activation.before_rounding if for_codes and not self.must_check else activation
        self.rectifies_codes = (
            top_scale is not None and top_scale > 0 and activation.type == RELU and not self.must_check
        )
        """Whether ReLU and the clamp of the codes are one step: scaling by a positive number keeps signs."""

    def __call__(self, sums: Floats, channels: slice = slice(None), *, biased: bool = False) -> None:
        """Run the steps on `sums` (channels, n). With a top scale, truncation to int8 is left to the caller's copy.

        `biased` says that the bias is part of the sums already. GraphError if a value to be requantized is not finite.
        """
        # descale
        if self.descale is not None:
            np.multiply(sums, self.descale[channels], out=sums)
        # bias
        if self.bias is not None and not biased:
            np.add(sums, self.bias[channels], out=sums)
        # activation
        if self.rectifies_codes and self.top_scale is not None:
            np.multiply(sums, self.top_scale, out=sums)
            np.clip(sums, ZERO, INT8_MAX, out=sums)
            np.add(sums, BELOW_HALF, out=sums)
            return
        if self.top_scale is None:
            self.activate(sums)
            return
        if self.must_check:
            self.activation(sums)
        else:
            self.activation.before_rounding(sums)
        # requantize
        if self.must_check and not np.isfinite(sums).all():
            raise fault(self.layer, "cannot quantize: NaN and infinities have no int8 codes")
        np.multiply(sums, self.top_scale, out=sums)
        signed = not (self.activation.never_negative and self.top_scale > 0)
        round_in_place(sums, np.empty(sums.shape, np.int32) if signed else None)


def descales(bottom_scale: np.float32, weight_scales: Floats) -> Floats:
    """From integer sums to floats, per channel: 1 / (bottom_scale * weight_scale), or 0 where one of the two is 0."""
    factors = np.reciprocal(bottom_scale * weight_scales)
    return np.where((weight_scales == 0) | (bottom_scale == 0), np.float32(0), factors)


def read_bias(layer: Layer) -> Floats | None:
    """The bias record of a layer whose `bias_term` says that it has one."""
    if layer.get.integer("bias_term") == 0:
        return None
    return weights(layer, "bias_data", layer.get.integer("num_output"))


def read_scale(layer: Layer, name: str) -> np.float32:
    """A record of one scale. GraphError unless it is finite."""
    scale: np.float32 = weights(layer, name, 1)[0]
    if not np.isfinite(scale):
        raise fault(layer, f"needs finite numbers in {name}")
    return scale


def read_bottom_scale(layer: Layer) -> np.float32:
    """The scale of the input; 0 stands for an infinite one, which makes all codes and descales 0.

    GraphError for 0 and NaN in the record.
    """
    scale: np.float32 = weights(layer, "bottom_blob_int8_scales", 1)[0]
    if scale == 0 or np.isnan(scale):
        raise fault(layer, f"has the bottom scale {scale}, which makes every output NaN")
    if np.isinf(scale):
        warnings.warn(f"layer {layer.name}: its bottom scale is infinite, so its input counts as zeros", stacklevel=2)
        return ZERO
    return scale


def read_weight_scales(layer: Layer, count: int) -> Floats:
    """The scales of the weights, which may be 0 or infinite. GraphError for NaN."""
    scales = weights(layer, "weight_data_int8_scales", count)
    if np.isnan(scales).any():
        raise fault(layer, "has a weight scale that is not a number")
    return scales


def read_int8_weights(layer: Layer, weight_scales: Floats, count: int) -> NDArray[np.int8]:
    """The int8 codes of `weight_data`, one row a weight scale; a float record is quantized with these scales.

    GraphError for other numbers of weights than `count`, for so many that int32 sums might overflow, and for float
    weights that are not finite. An infinite scale gives codes of 0.
    """
    record = layer.weight("weight_data")
    if len(record) != count:
        raise fault(layer, f"needs {count} numbers in weight_data, but has {len(record)}")
    terms = count // layer.get.integer("num_output")
    if terms > MAX_TERMS:
        raise fault(layer, f"sums {terms} products, but an int32 accumulator is only safe for {MAX_TERMS}")
    if record.dtype == "int8":
        return np.frombuffer(record.int8(), np.int8).reshape(weight_scales.size, -1)
    rows = np.array(record.floats(), np.float32).reshape(weight_scales.size, -1)
    if not finite(rows):
        raise fault(layer, "cannot quantize: NaN and infinities have no int8 codes")
    finite_scales = np.where(np.isinf(weight_scales), np.float32(0), weight_scales)
    return quantize(rows, finite_scales[:, np.newaxis])
