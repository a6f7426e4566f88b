"""The aciq clipping value."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

import fastpath.calibration.aciq as fast
import spec.calibration.aciq as spec


@given(st.floats(0, 2.0**120, width=32), st.integers(1, 10**9), st.sampled_from([6, 8]))
def test_both_engines_agree(absmax: float, count: int, bits: int) -> None:
    ours, reference = fast.gaussian_clip(absmax, count, bits), spec.gaussian_clip(absmax, count, bits)
    assert ours == reference or (math.isnan(ours) and math.isnan(reference))


def test_the_formula_in_one_line() -> None:
    spread = 0.175 * (1 + math.sqrt(math.pi * math.log(4))) / math.sqrt(2 * math.log(5000))
    assert math.isclose(spec.gaussian_clip(3.0, 5000, 8), 3.92403714 * 6.0 * spread, rel_tol=1e-6)
    assert math.isclose(spec.gaussian_clip(3.0, 5000, 6), 3.28691474 * 6.0 * spread, rel_tol=1e-6)


def test_it_clips_from_about_eight_thousand_values_on() -> None:
    assert spec.gaussian_clip(1.0, 7000, 8) > 1.0
    assert spec.gaussian_clip(1.0, 9000, 8) < 1.0


def test_a_single_value_has_no_spread() -> None:
    assert spec.gaussian_clip(2.0, 1, 8) == math.inf
    assert math.isnan(spec.gaussian_clip(0.0, 1, 8))
