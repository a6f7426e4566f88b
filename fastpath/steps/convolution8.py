"""An int8 convolution as the steps need it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastpath.kernels import Kernels
from fastpath.kernels.source.capacity import CHANNELS
from fastpath.kernels.staircase import Stairs, find_steps, fit, fit_bent
from fastpath.layers.activation import CLIP, HARD_SWISH, NONE, RELU, Activation
from fastpath.layers.common import Floats
from fastpath.layers.epilogue import Epilogue
from fastpath.layers.window import Pads, Window, resolve_pads
from fastpath.layers.window import Window as LayerWindow
from fastpath.rounding import quantize
from spec.graph import Layer, Shape

STEEPEST = np.float32(1000)
"""The steepest slope of a leaky ReLU that integers stand for."""


@dataclass
class Convolution8:
    """An int8 Convolution or ConvolutionDepthWise: weights (num_output, channels a group, kernel_h, kernel_w)."""

    layer: Layer
    window: LayerWindow
    weight: NDArray[np.int8]
    depthwise: bool
    activation: Activation
    bias: Floats | None
    descale: Floats
    bottom_scale: np.float32
    top_scale: np.float32 | None
    slopes: Floats | None = None
    """What negative values are multiplied by behind all other steps, per channel: the layer behind is leaky."""
    becomes_codes: bool = False
    """Whether its floats become codes and nothing else, so that zeros may have any sign."""

    @property
    def num_output(self) -> int:
        """Output channels."""
        return int(self.weight.shape[0])

    @property
    def bounds(self) -> NDArray[np.int64]:
        """What the magnitude of the sums of each output channel cannot exceed."""
        # The magnitude of -128 fits an unsigned byte.
        magnitudes = np.abs(self.weight).view(np.uint8)
        bounds: NDArray[np.int64] = magnitudes.sum(axis=(1, 2, 3), dtype=np.int64) * 128
        return bounds

    @property
    def largest(self) -> float:
        """What the magnitude of the floats cannot exceed; infinite behind most activations."""
        largest = float(self.bounds.max()) * float(np.abs(self.descale).max())
        largest += 0.0 if self.bias is None else float(np.abs(self.bias).max())
        if self.activation.type == HARD_SWISH:
            alpha, beta = map(float, np.abs(self.activation.params[:2]))
            return max(largest, largest * (largest * alpha + beta))
        return largest if self.activation.type in (NONE, RELU) else math.inf

    def pads(self, shape: Shape) -> Pads:
        """The borders (above, below, left, right) that a bottom blob of this shape gets."""
        return resolve_pads(self.layer, self.window, shape[1], shape[2], int8=True)

    def epilogue(self, top_scale: np.float32 | None, repeat: int = 1) -> Epilogue:
        """The float steps, with requantization where there is a top scale, for `repeat` times the channels."""
        bias = None if self.bias is None else np.tile(self.bias, repeat)
        descale = np.tile(self.descale, repeat)
        largest = float(self.bounds.max())
        return Epilogue(self.layer, self.activation, bias, descale, top_scale, largest, for_codes=self.becomes_codes)

    def of_channels(self, channels: NDArray[np.int64]) -> Convolution8:
        """A dense convolution that computes these output channels, of which one may come several times."""
        bias = None if self.bias is None else self.bias[channels]
        slopes = None if self.slopes is None else self.slopes[channels]
        weight, descale = self.weight[channels], self.descale[channels]
        return replace(self, weight=weight, bias=bias, descale=descale, slopes=slopes)

    def reading(self, order: NDArray[np.int64]) -> Convolution8:
        """The same dense convolution of a bottom blob whose channel i is what channel `order[i]` was."""
        return replace(self, weight=np.ascontiguousarray(self.weight[:, order]))

    def stairs(self, top_scale: np.float32 | Floats) -> Stairs | None:
        """Integers for all float steps, or None where there are none. One scale, or one for each output channel."""
        scales = np.broadcast_to(np.asarray(top_scale, np.float32), self.num_output)
        if self.activation.type not in (NONE, RELU, CLIP) or not (scales > 0).all():
            return None
        if self.activation.type == CLIP and not self.activation.params[0] <= self.activation.params[1]:
            return None
        if not np.isfinite(self.descale).all() or self.descale.min() < 0:
            return None
        float_steps = self.epilogue(None)
        if float_steps.must_check:
            return None
        if self.slopes is not None:
            return self._bent_stairs(scales, self.slopes)

        def chain(sums: NDArray[np.float32]) -> NDArray[np.int8]:
            float_steps(sums)
            return quantize(sums, scales[:, np.newaxis])

        bounds = self.bounds
        extremes = chain(np.stack([-bounds, bounds], axis=1).astype(np.float32))
        low, high = int(extremes.min()), int(extremes.max())
        if low == high:
            return None
        return fit(find_steps(chain, bounds, low, high), self._codes_per_sum(scales), bounds, low, high)

    def _codes_per_sum(self, scales: Floats) -> NDArray[np.float64]:
        return self.descale.astype(np.float64) * scales.astype(np.float64)

    def _bent_stairs(self, scales: Floats, slopes: Floats) -> Stairs | None:
        """The same with a leaky ReLU behind bias and activation."""
        if not (np.abs(slopes) <= STEEPEST).all() or self.num_output > CHANNELS // 2:
            return None
        float_steps = self.epilogue(None)

        def positive(sums: NDArray[np.float32]) -> NDArray[np.int8]:
            float_steps(sums)
            return (sums > 0).astype(np.int8)

        def chain(sums: NDArray[np.float32]) -> NDArray[np.int8]:
            float_steps(sums)
            return quantize(np.where(sums < 0, sums * slopes[:, np.newaxis], sums), scales[:, np.newaxis])

        bounds = self.bounds
        bend = find_steps(positive, bounds, 0, 1)[:, 0]
        turns = np.stack([-bounds, np.maximum(bend - 1, -bounds), np.minimum(bend, bounds), bounds], axis=1)
        extremes = chain(turns.astype(np.float32))
        low, high = int(extremes.min()), int(extremes.max())
        if low == high:
            return None
        per_sum = self._codes_per_sum(scales)
        return fit_bent(chain, bend, per_sum, per_sum * slopes, bounds, low, high)


def window_record(kernels: Kernels, window: LayerWindow, out_h: int, out_w: int) -> Window:
    """The record of a layer's window."""
    record: Window = kernels.records.Window(*window.kernel, *window.dilation, *window.stride, out_h, out_w)
    return record
