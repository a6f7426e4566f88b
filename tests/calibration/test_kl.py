"""The kl search: both engines agree on the divergence at every length, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import fastpath.calibration.kl as fast
import fastpath.calibration.statistics as fast_statistics
import spec.calibration.kl as spec
import spec.calibration.statistics as spec_statistics
from spec.binary32 import f32
from tests.calibration.strategies import histogram_counts

LENGTHS = st.integers(spec.TARGET_BINS, spec.LONGEST)


@settings(max_examples=25, deadline=None)
@given(histogram_counts(), st.lists(LENGTHS, min_size=4, max_size=8))
def test_the_divergence_at_any_length(counts: list[int], lengths: list[int]) -> None:
    curve = fast.divergences(fast.normalised(np.array(counts)))
    distribution = spec.normalised(counts)
    for length in lengths:
        assert float(curve[length - spec.TARGET_BINS]) == spec.divergence(distribution, length)


def test_the_whole_search() -> None:
    values = np.random.default_rng(1).laplace(size=4000).astype(np.float32)
    ours = fast_statistics.blob_histogram(values, fast_statistics.blob_range(values, 0).absmax)
    reference = spec_statistics.blob_histogram(values.tolist(), ours.absmax)
    found, expected = fast.kl_threshold(ours), spec.kl_threshold(reference)
    assert (found.length, found.threshold, found.divergence) == (
        expected.length,
        expected.threshold,
        expected.divergence,
    )


@given(st.integers(spec.TARGET_BINS, spec.LONGEST), st.floats(0, 2.0**100, width=32))
def test_thresholds(length: int, absmax: float) -> None:
    assert fast.threshold_of(length, absmax) == spec.threshold_of(length, absmax)


def test_activations_of_zero_leave_the_shortest_length() -> None:
    for found in (
        fast.kl_threshold(fast_statistics.empty_histogram(0.0)),
        spec.kl_threshold(spec_statistics.empty_histogram(0.0)),
    ):
        assert (found.length, found.threshold) == (128, 0.0)


def test_the_shortest_of_equal_lengths_wins() -> None:
    """Everything in one bin of 128: each longer length folds and expands it no better."""
    counts = np.zeros(2048, np.int64)
    counts[:128] = 5
    found = fast.kl_threshold(fast_statistics.Histogram(1.0, counts, 0))
    assert found.length == 128
    assert found.divergence == 0.0


def test_one_length_by_hand() -> None:
    """Length 256 folds pairs: 3 and 1 become 2 and 2. Only the first pair is uneven; the tail is empty."""
    counts = [3, 1] + [2, 2] * 127 + [0] * (2048 - 256)
    share = [f32(count / 512) for count in (3, 1, 2)]
    mean = f32(f32(share[0] + share[1]) / 2)
    assert mean == share[2]
    epsilon = f32(0.0001)
    low = f32(epsilon + mean)
    high_part = f32(f32(epsilon + share[0]) * f32(np.log(np.float64(f32(f32(epsilon + share[0]) / low)))))
    low_part = f32(f32(epsilon + share[1]) * f32(np.log(np.float64(f32(f32(epsilon + share[1]) / low)))))
    expected = f32(high_part + low_part)
    assert spec.divergence(spec.normalised(counts), 256) == expected
    assert float(fast.divergences(fast.normalised(np.array(counts)))[256 - 128]) == expected


def test_the_logarithm_is_that_of_the_c_library() -> None:
    """Also where the binary64 logarithm lies next to a half-way point of binary32."""
    import math

    values = np.random.default_rng(5).uniform(0.001, 3000, 20000).astype(np.float32)
    ours = fast._log(values)
    assert ours.tolist() == [f32(math.log(value)) for value in values.tolist()]


@settings(max_examples=40, deadline=None)
@given(histogram_counts())
def test_only_lengths_that_cannot_win_are_left_out(counts: list[int]) -> None:
    distribution = fast.normalised(np.array(counts))
    curve = fast.divergences(distribution)
    best = int(curve.argmin())
    values, errors = fast.estimates(distribution)
    assert np.all(np.abs(curve - values) <= errors)
    assert np.all(fast._Sums(distribution).lower_bounds() <= curve)
    assert fast.TARGET_BINS + best in fast.contenders(distribution)
    found = fast.kl_threshold(fast_statistics.Histogram(1.0, np.array(counts), 0))
    assert (found.length, found.divergence) == (fast.TARGET_BINS + best, float(curve[best]))
