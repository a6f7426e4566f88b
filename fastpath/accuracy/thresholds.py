"""Candidates for the threshold of a blob: the magnitude that becomes the code 127."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fastpath.calibration.aciq import gaussian_clip
from fastpath.calibration.kl import kl_threshold
from fastpath.calibration.statistics import BINS, Histogram, Range
from fastpath.calibration.summary import expected_snr

PERCENTILES = (99.9, 99.99, 99.999)

STEPS = np.linspace(0.05, 1.0, 96)
"""Thresholds that the search for the least expected noise looks at, as shares of absmax."""

NEAR = (0.8, 0.87, 0.93, 1.07, 1.15, 1.25)
"""Thresholds tried around the best candidate."""


def percentile(histogram: Histogram, percent: float) -> float:
    """The magnitude that so many percent of the values other than zero do not exceed, at the resolution of a bin."""
    total = np.cumsum(histogram.counts)
    place = int(np.searchsorted(total, total[-1] * percent / 100.0))
    return (min(place, BINS - 1) + 1) * histogram.absmax / BINS


def least_noise(histogram: Histogram) -> float:
    """The threshold at which rounding and clipping together are expected to add the least noise."""
    tried = [float(share) * histogram.absmax for share in STEPS]
    return max(tried, key=lambda threshold: expected_snr(histogram, threshold))


def candidates(extent: Range, histogram: Histogram) -> dict[str, float]:
    """Thresholds by the name of their method. Those above absmax, which waste codes, are left to absmax."""
    if extent.absmax == 0.0:
        return {}
    found = {"absmax": extent.absmax, "kl": kl_threshold(histogram).threshold}
    found["aciq"] = gaussian_clip(extent.absmax, extent.count, bits=8) if extent.count > 1 else extent.absmax
    found["mse"] = least_noise(histogram)
    for percent in PERCENTILES:
        found[f"p{percent}"] = percentile(histogram, percent)
    return distinct((name, min(value, extent.absmax)) for name, value in found.items())


def around(name: str, threshold: float, absmax: float) -> dict[str, float]:
    """Thresholds near one of them, none beyond absmax."""
    return distinct((f"{name}*{factor:g}", threshold * factor) for factor in NEAR if threshold * factor <= absmax)


def distinct(named: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The first name for each value above zero."""
    values: dict[float, str] = {}
    for name, value in named:
        if value > 0.0:
            values.setdefault(round(value, 9), name)
    return {name: value for value, name in values.items()}
