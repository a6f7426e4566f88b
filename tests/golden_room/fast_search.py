"""The spec with the kl search of the fast path: the same bits (tests/calibration/test_kl.py); much faster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import spec.calibration.calibrate as spec_calibrate
from fastpath.calibration import kl, statistics
from spec.calibration.kl import KlThreshold
from spec.calibration.statistics import Histogram


def kl_threshold(histogram: Histogram) -> KlThreshold:
    counts = np.asarray(histogram.counts, np.int64)
    found = kl.kl_threshold(statistics.Histogram(histogram.absmax, counts, histogram.zeros))
    return KlThreshold(found.length, found.threshold, found.divergence)


@contextmanager
def fast_search() -> Iterator[None]:
    """Make the spec search by the fast path's function."""
    module: Any = spec_calibrate
    original = module.kl_threshold
    module.kl_threshold = kl_threshold
    try:
        yield
    finally:
        module.kl_threshold = original
