"""What calibration is tested on."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastpath.calibration.statistics import BINS

binary32 = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)
"""Any finite binary32 number."""


@st.composite
def activations(draw: st.DrawFn) -> NDArray[np.float32]:
    """The values of one blob: some drawn one by one, the others from a distribution, many of them zero perhaps."""
    seed = draw(st.integers(0, 2**32 - 1))
    size = draw(st.integers(0, 300))
    random = np.random.default_rng(seed)
    kind = draw(st.sampled_from(["normal", "laplace", "uniform", "levels"]))
    values = {
        "normal": lambda: random.normal(size=size),
        "laplace": lambda: random.laplace(size=size),
        "uniform": lambda: random.uniform(-1, 1, size=size),
        "levels": lambda: random.integers(0, 17, size=size) / 16,
    }[kind]()
    values *= draw(st.sampled_from([1e-30, 1e-3, 1.0, 1e6]))
    if draw(st.booleans()):
        values = np.maximum(values, 0)
    single = draw(st.lists(binary32.filter(lambda value: abs(value) < 1e36), max_size=5))
    return np.concatenate([values, single]).astype(np.float32)


@st.composite
def histogram_counts(draw: st.DrawFn) -> list[int]:
    """Counts of a histogram, with something in its last bin: dense or of a few spikes, with a short or long tail."""
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    decay = draw(st.sampled_from([1.0, 10.0, 100.0, 1000.0]))
    peak = draw(st.sampled_from([2, 100, 10**6, 10**12]))
    counts = random.integers(0, np.maximum(peak * np.exp(-np.arange(BINS) / decay), 2).astype(np.int64))
    if draw(st.booleans()):
        counts[random.random(BINS) < 0.97] = 0
    counts[-1] = draw(st.integers(1, 50))
    drawn: list[int] = counts.tolist()
    return drawn
