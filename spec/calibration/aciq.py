"""The aciq method: the best place to clip a Gaussian, whose spread is guessed from the largest of its values.

Follows: ncnn tools/quantize/ncnn2table.cpp @ a4d2ea1d.
"""

from __future__ import annotations

import math

from spec.binary32 import f32

CLIPPING_FACTORS = {6: f32(3.28691474), 8: f32(3.92403714)}
"""The best clipping value of a Gaussian, in standard deviations, by the number of bits."""

_SPREAD = (0.5 * 0.35) * (1.0 + math.sqrt(math.pi * math.log(4.0)))


def gaussian_clip(absmax: float, count: int, bits: int) -> float:
    """The clipping threshold for `count` values of magnitude up to `absmax`. binary64 inside, rounded once at the end.

    Unspecified: a single value has no spread; its threshold is infinite, or NaN if it is zero.

    >>> gaussian_clip(8.0, 10000, 8)
    7.902446746826172
    """
    deviations = math.sqrt(2.0 * math.log(count)) if count > 0 else math.nan
    spread = f32(absmax * 2.0) * _SPREAD
    if deviations == 0.0:
        return math.inf if spread > 0.0 else math.nan
    return f32(CLIPPING_FACTORS[bits] * (spread / deviations))
