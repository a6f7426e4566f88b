"""The activations that convolutions, InnerProduct and Requantize carry inside (`activation_type`, `activation_params`).

Follows: ncnn src/layer/fused_activation.h @ a4d2ea1d.
"""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Floats, choose, fault
from fastpath.layers.functions import ONE, exp, log, sigmoid, tanh
from spec.graph import Layer

NONE, RELU, LEAKY_RELU, CLIP, SIGMOID, MISH, HARD_SWISH = range(7)

PARAM_COUNTS = {NONE: 0, RELU: 0, LEAKY_RELU: 1, CLIP: 2, SIGMOID: 0, MISH: 0, HARD_SWISH: 2}
"""How many numbers of `activation_params` each type reads."""


BLOCK = 16 * 1024
"""Numbers that are computed at a time, so that what lies between two operations stays in cache."""

ZERO = np.float32(0)
INFINITY = np.float32(np.inf)


class Activation:
    """A fused activation of one layer, ready to run in place. GraphError for unknown types and missing numbers."""

    def __init__(self, layer: Layer) -> None:
        self.type = layer.get.integer("activation_type")
        self.params = np.array(layer.get.numbers("activation_params"), np.float32)
        if self.type not in PARAM_COUNTS:
            raise fault(layer, f"has activation_type {self.type}, but only 0 to {HARD_SWISH} exist")
        if self.type == HARD_SWISH and self.params[:1] == 0:
            raise fault(layer, "has a hard swish of slope 0")
        if self.params.size < PARAM_COUNTS[self.type]:
            raise fault(
                layer,
                f"has activation_type {self.type}, which needs {PARAM_COUNTS[self.type]} activation_params, "
                f"but has {self.params.size}",
            )
        self._hard_swish = HardSwish(*self.params[:2]) if self.type == HARD_SWISH else None

    @property
    def never_negative(self) -> bool:
        """Whether no result is below zero."""
        return self.type in (RELU, SIGMOID)

    def keeps_finite(self, largest: float) -> bool:
        """Whether finite values of magnitude up to `largest` certainly have finite activations."""
        used = np.abs(self.params[: PARAM_COUNTS[self.type]]).astype(np.float64)
        if self.type == HARD_SWISH:
            return bool(used.min() > 1e-3 and used.max() < 1e3) and largest < 1e30
        return bool(largest * (1.0 + used.max(initial=0.0)) < 1e30)

    def __call__(self, v: Floats) -> None:
        """Replace every value of `v` by its activation."""
        if self.type == RELU:
            np.fmax(v, np.float32(0), out=v)
        elif self.type == LEAKY_RELU:
            leaky_relu(v, self.params[0])
        elif self.type == CLIP:
            np.maximum(self.params[0], v, out=v)
            np.minimum(self.params[1], v, out=v)
        elif self.type == SIGMOID:
            np.copyto(v, sigmoid(v))
        elif self.type == MISH:
            np.multiply(v, tanh(log(exp(v) + ONE)), out=v)
        elif self._hard_swish is not None:
            self._hard_swish(v)

    def before_rounding(self, v: Floats) -> None:
        """The same for finite values that become codes: zeros may have any sign."""
        if self._hard_swish is not None:
            self._hard_swish.but_for_signs(v)
        else:
            self(v)


def leaky_relu(v: Floats, slope: np.float32) -> None:
    """V where v > 0, elsewhere v * slope; in place."""
    if 0 < slope <= 1:
        np.maximum(v, v * slope, out=v)
    else:
        choose(~(v > 0), v * slope, v)


class HardSwish:
    """0 below -beta / alpha, v from there on by 1 / alpha, between them v * (v * alpha + beta)."""

    def __init__(self, alpha: np.float32, beta: np.float32) -> None:
        self.alpha, self.beta = alpha, beta
        with np.errstate(all="ignore"):
            self.lower = -beta / alpha
            self.upper = ONE / alpha + self.lower
            self.below, above = np.nextafter(self.lower, -INFINITY), np.nextafter(self.upper, INFINITY)
            line = [v * alpha + beta for v in (self.below, self.lower, self.upper, above)]
        self.clips = bool(alpha > 0 and line[0] <= 0 <= line[1] and line[2] <= 1 <= line[3])
        """Whether the line leaves [0, 1] just where v passes the two ends, so that a clipped line is enough."""

    def __call__(self, v: Floats) -> None:
        """Replace every value."""
        by_rows = v.ndim == 2 and v.strides[1] == v.itemsize
        if self.clips and self.beta > 0 and v.size and (by_rows or v.flags.c_contiguous):
            rows = v if by_rows else v.reshape(1, -1)
            step = max(BLOCK // rows.shape[1], 1)
            for first in range(0, len(rows), step):
                self._clipped(rows[first : first + step])
            return
        inside = v * self.alpha
        inside += self.beta
        inside *= v
        choose(v > self.upper, v, inside)
        choose(v < self.lower, ZERO, inside)
        np.copyto(v, inside)

    def _clipped(self, rows: Floats) -> None:
        """The same where a clipped line is enough, and zero has no sign: not on it, nor for what is below `lower`."""
        import cv2

        inside = rows * self.alpha
        inside += self.beta
        np.clip(inside, ZERO, ONE, out=inside)
        cv2.threshold(rows, float(self.below), 0.0, cv2.THRESH_TOZERO, dst=rows)
        rows *= inside

    def but_for_signs(self, v: Floats) -> None:
        """The same for finite values, where zeros may have any sign."""
        if not self.clips:
            self(v)
            return
        inside = v * self.alpha
        inside += self.beta
        np.clip(inside, ZERO, ONE, out=inside)
        v *= inside
