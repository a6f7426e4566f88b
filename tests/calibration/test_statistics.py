"""Ranges and histograms: both engines agree, and merging does not depend on the order."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import fastpath.calibration.statistics as fast
import spec.calibration.statistics as spec
from spec.blob import Blob
from tests.calibration.strategies import activations

Floats = NDArray[np.float32]


@given(activations())
def test_both_engines_see_the_same(values: Floats) -> None:
    ours, reference = fast.blob_range(values, 3), spec.blob_range(values.tolist(), 3)
    assert (ours.absmax, ours.count, ours.last_sample) == (reference.absmax, reference.count, reference.last_sample)
    histogram = fast.blob_histogram(values, ours.absmax)
    expected = spec.blob_histogram(values.tolist(), reference.absmax)
    assert (histogram.counts.tolist(), histogram.zeros) == (list(expected.counts), expected.zeros)


@given(activations())
def test_every_value_is_counted_once(values: Floats) -> None:
    histogram = fast.blob_histogram(values, fast.blob_range(values, 0).absmax)
    assert int(histogram.counts.sum()) + histogram.zeros == values.size
    assert histogram.zeros == int((np.abs(values) < np.finfo(np.float32).tiny).sum())


@given(st.lists(activations(), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_merging_does_not_depend_on_the_order(blobs: list[Floats], shuffle: random.Random) -> None:
    ranges = [fast.blob_range(values, position) for position, values in enumerate(blobs)]
    expected = fast.NO_RANGE
    for extent in ranges:
        expected = expected.merge(extent)
    assert expected.count == blobs[-1].size
    shuffle.shuffle(ranges)
    merged = fast.NO_RANGE
    for extent in ranges:
        merged = extent.merge(merged)
    assert merged == expected
    histograms = [fast.blob_histogram(values, expected.absmax) for values in blobs]
    together = fast.blob_histogram(np.concatenate(blobs), expected.absmax)
    shuffle.shuffle(histograms)
    total = fast.empty_histogram(expected.absmax)
    for histogram in histograms:
        total = histogram.merge(total)
    assert (total.counts.tolist(), total.zeros) == (together.counts.tolist(), together.zeros)


@given(st.lists(activations(), min_size=1, max_size=3))
def test_merging_is_the_same_in_the_spec(blobs: list[Floats]) -> None:
    ours, reference = fast.NO_RANGE, spec.NO_RANGE
    for position, values in enumerate(blobs):
        ours = ours.merge(fast.blob_range(values, position))
        reference = reference.merge(spec.blob_range(values.tolist(), position))
    histogram = spec.empty_histogram(reference.absmax)
    for values in blobs:
        histogram = histogram.merge(spec.blob_histogram(values.tolist(), reference.absmax))
    assert (ours.absmax, ours.count, ours.last_sample) == (reference.absmax, reference.count, reference.last_sample)
    expected = fast.blob_histogram(np.concatenate(blobs), ours.absmax)
    assert list(histogram.counts) == expected.counts.tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_no_scale_fits_is_refused(bad: float) -> None:
    values = np.array([1, bad, 2], np.float32)
    with pytest.raises(ValueError, match="the activations hold"):
        fast.blob_range(values, 0)
    with pytest.raises(ValueError, match="the activations hold"):
        spec.blob_range(values.tolist(), 0)


def test_bins_by_hand() -> None:
    values = np.array([0.0, 1.0, -0.5, 0.49999, 2.0**-11], np.float32)
    histogram = fast.blob_histogram(values, 1.0)
    expected = {2047: 1, 1024: 1, 1023: 1, 1: 1}
    assert {int(i): int(histogram.counts[i]) for i in np.flatnonzero(histogram.counts)} == expected
    assert histogram.zeros == 1


@pytest.mark.parametrize("exponent", [-126, -116, -115, -100, 0, 127])
def test_bins_of_the_smallest_and_the_largest_numbers(exponent: int) -> None:
    values = np.ldexp(np.random.default_rng(3).uniform(2.0**-12, 1.9, 500), exponent).astype(np.float32)
    absmax = float(values.max())
    expected = spec.blob_histogram(values.tolist(), absmax)
    found = fast.blob_histogram(values, absmax)
    assert (found.counts.tolist(), found.zeros) == (list(expected.counts), expected.zeros)


def test_denormals_count_as_zeros() -> None:
    """As in the real tool, whose table of a recognition network shows it: a bias of 5.9e-40 leaves no trace."""
    values = np.array([5.9e-40, -5.9e-40, 2.0**-126, 1.0], np.float32)
    assert fast.blob_histogram(values, 1.0).zeros == spec.blob_histogram(values.tolist(), 1.0).zeros == 2
    assert fast.blob_range(values[:2], 0).absmax == spec.blob_range(values[:2].tolist(), 0).absmax == 0.0


def test_histograms_of_different_ranges_do_not_merge() -> None:
    with pytest.raises(ValueError, match="do not merge"):
        fast.empty_histogram(1.0).merge(fast.empty_histogram(2.0))
    with pytest.raises(ValueError, match="do not merge"):
        spec.empty_histogram(1.0).merge(spec.empty_histogram(2.0))


def test_upstream_examines_the_first_depth_slice_only() -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    blob = Blob((2, 3, 2, 2), "float32", values.ravel().tolist())
    assert fast.examined_values(values, upstream=True).ravel().tolist() == [0, 1, 2, 3, 12, 13, 14, 15]
    assert spec.examined_values(blob, upstream=True) == [0, 1, 2, 3, 12, 13, 14, 15]
    assert fast.examined_values(values).size == len(spec.examined_values(blob)) == 24


@pytest.mark.parametrize("shape", [(5, 300, 400), (70, 30, 40), (3, 2, 40000), (2, 0, 7)])
def test_views_of_maps_with_borders_are_seen_without_the_borders(shape: tuple[int, int, int]) -> None:
    bordered = np.full((*shape[:2], shape[2] + 3), np.inf, np.float32)
    image = bordered[:, :, : shape[2]]
    image[...] = np.random.default_rng(1).integers(-3, 4, shape)
    found = fast.magnitudes_of(image)
    assert np.array_equal(found.values, np.abs(image[image != 0]))
    assert (found.absmax, found.size) == (np.abs(image).max(initial=0), image.size)
