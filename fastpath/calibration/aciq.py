"""The twin of `spec.calibration.aciq`: a handful of operations per layer, so the same ones."""

from __future__ import annotations

import math

import numpy as np

CLIPPING_FACTORS = {6: float(np.float32(3.28691474)), 8: float(np.float32(3.92403714))}
"""The best clipping value of a Gaussian, in standard deviations, by the number of bits."""

_SPREAD = (0.5 * 0.35) * (1.0 + math.sqrt(math.pi * math.log(4.0)))


def gaussian_clip(absmax: float, count: int, bits: int) -> float:
    """The clipping threshold for `count` values of magnitude up to `absmax`."""
    deviations = math.sqrt(2.0 * math.log(count)) if count > 0 else math.nan
    with np.errstate(over="ignore"):
        spread = float(np.float32(absmax * 2.0)) * _SPREAD
        if deviations == 0.0:
            return math.inf if spread > 0.0 else math.nan
        return float(np.float32(CLIPPING_FACTORS[bits] * (spread / deviations)))
