"""Figures by hand, and what must hold for all blobs."""

from __future__ import annotations

import doctest
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.accuracy import goals, metrics, thresholds
from fastpath.accuracy.metrics import difference, edit_distance, greedy_text, top_classes

BLOBS = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20).map(lambda v: np.array(v, np.float32))


@pytest.mark.parametrize("module", [metrics, goals, thresholds])
def test_examples_in_docstrings(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_figures_by_hand() -> None:
    found = difference(np.array([3.0, 4.0], np.float32), np.array([3.0, 4.5], np.float32))
    assert found.signal == 25.0
    assert found.noise == 0.25
    assert found.snr == pytest.approx(20.0)  # 25 / 0.25 = 100
    assert found.psnr == pytest.approx(10 * math.log10(16 * 2 / 0.25))
    assert found.cosine == pytest.approx((9 + 18) / (5 * math.sqrt(9 + 20.25)))
    assert found.largest == 0.5


@pytest.mark.parametrize(("x", "y", "snr", "cosine"), [(0, 0, math.inf, 1.0), (0, 1, -math.inf, 0.0), (1, 0, 0.0, 0.0)])
def test_zero_blobs(x: float, y: float, snr: float, cosine: float) -> None:
    found = difference(np.array([x], np.float32), np.array([y], np.float32))
    assert (found.snr, found.cosine) == (snr, cosine)


def test_blobs_of_different_size_do_not_compare() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        difference(np.zeros(3, np.float32), np.zeros(4, np.float32))


@given(BLOBS, BLOBS)
def test_sums_add_up(a: np.ndarray, b: np.ndarray) -> None:
    """Two samples apart or as one blob give the same figures."""
    apart = difference(a, a + 1) + difference(b, b - 1)
    together = difference(np.concatenate([a, b]), np.concatenate([a + 1, b - 1]))
    assert apart.snr == pytest.approx(together.snr, rel=1e-9)
    assert apart.largest == together.largest
    assert apart.count == together.count


def test_figures_without_end_are_null() -> None:
    assert json.loads(metrics.as_json({"snr_db": math.inf, "list": [1.5, -math.inf, "é"]})) == {
        "snr_db": None,
        "list": [1.5, None, "é"],
    }


def test_first_of_equal_scores_wins() -> None:
    assert top_classes(np.array([1, 3, 3, 0], np.float32), 3) == [1, 2, 0]


@pytest.mark.parametrize(
    ("classes", "text"),
    [([0, 0], ""), ([1, 1, 2], "ab"), ([1, 0, 1], "aa"), ([2, 3, 3], "b "), ([0, 2, 2, 0, 2], "bb")],
)
def test_ctc_text(classes: list[int], text: str) -> None:
    assert greedy_text(np.eye(4, dtype=np.float32)[classes], ["a", "b"]) == text


@given(st.text("ab", max_size=6), st.text("ab", max_size=6))
def test_edit_distance_is_a_distance(a: str, b: str) -> None:
    distance = edit_distance(a, b)
    assert distance == edit_distance(b, a)
    assert (distance == 0) == (a == b)
    assert abs(len(a) - len(b)) <= distance <= max(len(a), len(b))


@pytest.mark.parametrize("text", ["40", "dB", "-3dB", "5%", "1%top5", ""])
def test_goals_that_are_none(text: str) -> None:
    with pytest.raises(Exception, match="expected a goal like"):
        goals.parse_goal(text)
