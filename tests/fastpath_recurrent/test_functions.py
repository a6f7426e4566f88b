"""exp, tanh and pow: numpy's results, rounded as the C library's would be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fastpath import kernels
from fastpath.layers import functions
from fastpath.layers.dynamic import round_half_away
from fastpath.layers.functions import BLOCK, DOUBT, round_results
from fastpath.layers.recurrent import Function

NEAR_TIES = {
    "exp": ["-0x1.c1c4b8p-10", "-0x1.6e1ddp-8", "-0x1.e1dbe2p-8", "-0x1.548c34p-7", "0x1.344e9cp-5", "0x1.cce332p+0"],
    "tanh": ["0x1.a83722p-6", "-0x1.a83722p-6", "0x1.dc0accp-2", "0x1.5969ap+2"],
}
"""binary32 arguments whose binary64 result lies within `DOUBT` of a tie of binary32: most of those that there are."""

EXACT = {"exp": math.exp, "tanh": math.tanh}
NUMPY: dict[str, Any] = {"exp": np.exp, "tanh": np.tanh}


def rounded(values: list[float]) -> np.ndarray:
    return np.array(values, np.float64).astype(np.float32)


@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_rounded_as_the_c_library_rounds(name: str) -> None:
    random = np.random.default_rng(8)
    values = np.concatenate([random.normal(0, scale, 30_000) for scale in (0.01, 1.0, 12.0)]).astype(np.float32)
    wide = values.astype(np.float64)
    expected = rounded([EXACT[name](value) for value in wide.tolist()])
    np.testing.assert_array_equal(round_results(wide, NUMPY[name](wide), EXACT[name]), expected)


@pytest.mark.parametrize("name", ["exp", "tanh"])
@pytest.mark.parametrize("ulps", [-4, -1, 0, 1, 4])
def test_an_error_of_numpy_beside_a_tie_does_not_show(name: str, ulps: int) -> None:
    """With results moved by as much as numpy admits, the binary32 numbers are still those of the C library."""
    values = np.array([float.fromhex(text) for text in NEAR_TIES[name]])
    exact = np.array([EXACT[name](value) for value in values.tolist()])
    moved = exact + ulps * np.spacing(np.abs(exact))
    np.testing.assert_array_equal(round_results(values, moved, EXACT[name]), rounded(exact.tolist()))


@pytest.mark.parametrize("ulps", [-4, 4])
def test_an_error_of_numpys_power_beside_a_tie_does_not_show(monkeypatch: pytest.MonkeyPatch, ulps: int) -> None:
    bases = np.array([float.fromhex(text) for text in ("0x1.a9caap+0", "0x1.7431c6p+1", "0x1.861c3ep+0")], np.float32)
    exponents = np.array([-0.75, -0.5, -1 / 3], np.float32)
    exact = [math.pow(base, exponent) for base, exponent in zip(bases.tolist(), exponents.tolist(), strict=True)]
    power = np.power
    monkeypatch.setattr(np, "power", lambda x, y: power(x, y) * (1.0 + ulps * 2.0**-52))
    np.testing.assert_array_equal(functions.pow(bases, exponents), rounded(exact))


def test_powers_have_the_special_cases_of_c() -> None:
    bases = np.array([0.0, -0.0, -2.0, -2.0, np.inf, -1.0, 1e38, np.nan, 1.0, 1e-38], np.float32)
    exponents = np.array([-1.0, -3.0, 0.5, 3.0, -1.0, np.inf, 2.0, 0.0, np.nan, 2.0], np.float32)
    with np.errstate(all="ignore"):
        found = functions.pow(bases, exponents)
    expected = [np.inf, -np.inf, np.nan, -8.0, 0.0, 1.0, np.inf, 1.0, 1.0, 0.0]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_the_step_function_sees_the_same_ties(name: str) -> None:
    values = np.array([float.fromhex(text) for text in NEAR_TIES[name]], np.float32)
    for value in values:
        function = Function(NUMPY[name], EXACT[name], 1)
        out = np.empty(1, np.float32)
        function(0, np.array([value]), out)
        assert function.doubtful(1)
        function.results[0] *= 1.0 + DOUBT / 2
        function.careful = True
        function(0, np.array([value]), out)
        assert out[0] == np.float32(EXACT[name](float(value)))


def test_a_plain_value_is_not_doubted() -> None:
    function = Function(np.tanh, math.tanh, 3)
    function(0, np.array([0.0, 0.5, -100.0], np.float32), np.empty(3, np.float32))
    assert not function.doubtful(1)


@pytest.fixture(params=[True, False], ids=["as built", "by numpy"])
def as_built(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once with the kernels that there are, once without."""
    if not request.param:
        monkeypatch.setattr(kernels, "COMPILED", False)


@pytest.mark.usefixtures("as_built")
@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_arrays_of_all_magnitudes_get_what_the_c_library_gives(name: str) -> None:
    random = np.random.default_rng(9)
    values = np.concatenate([random.normal(0, scale, BLOCK // 3) for scale in (1e-9, 0.1, 1.0, 12.0)])
    values[::999] = -1e9
    hardest = [float.fromhex(text) for text in NEAR_TIES[name]]
    values = np.concatenate([hardest, values]).astype(np.float32)
    expected = rounded([EXACT[name](value) for value in values.tolist()])
    got = getattr(functions, name)(values.reshape(2, -1))
    assert got.shape == (2, values.size // 2)
    assert got.tobytes() == expected.tobytes()


@pytest.mark.usefixtures("as_built")
def test_logistic_and_sigmoid_round_every_step() -> None:
    values = np.random.default_rng(10).normal(0, 20, 3000).astype(np.float32)
    values[:4] = [90.0, -90.0, 200.0, -200.0]
    with np.errstate(over="ignore"):
        powers = rounded([functions.exact_exp(-value) for value in values.tolist()])
        assert functions.logistic(values).tobytes() == (np.float32(1) / (np.float32(1) + powers)).tobytes()
        clamped = values.clip(-functions.SIGMOID_LIMIT, functions.SIGMOID_LIMIT)
        assert functions.sigmoid(values).tobytes() == functions.logistic(clamped).tobytes()


@pytest.mark.usefixtures("as_built")
def test_many_numbers_beyond_the_range_of_the_kernels() -> None:
    values = np.linspace(-120, 120, 5000, dtype=np.float32)
    with np.errstate(over="ignore"):
        expected = rounded([functions.exact_exp(value) for value in values.tolist()])
    assert functions.exp(values).tobytes() == expected.tobytes()


@pytest.mark.usefixtures("as_built")
def test_exp_at_the_ends_of_the_range() -> None:
    values = np.array([-800.0, -104.0, -103.97, -87.5, 0.0, 88.72, 88.73, 800.0, -np.inf], np.float32)
    expected = [0.0, 0.0, 2.0**-149, math.exp(-87.5), 1.0, math.exp(float(values[5])), math.inf, math.inf, 0.0]
    np.testing.assert_array_equal(functions.exp(values), rounded(expected))


def test_halves_go_away_from_zero() -> None:
    values = np.array([0.49999997, 0.5, -0.5, 1.4999999, 1.5, -2.5, 126.49999, 126.5, 127.0], np.float32)
    round_half_away(values, np.empty_like(values))
    np.testing.assert_array_equal(values, np.array([0, 1, -1, 1, 2, -3, 126, 127, 127], np.float32))


def test_every_half_and_its_neighbours() -> None:
    halves = np.arange(-127.5, 128.0, 0.5, dtype=np.float32)
    values = np.concatenate([halves, np.nextafter(halves, np.float32(-1e9)), np.nextafter(halves, np.float32(1e9))])
    wide = values.astype(np.float64)
    expected = np.copysign(np.floor(np.abs(wide) + 0.5), wide)
    round_half_away(values, np.empty_like(values))
    np.testing.assert_array_equal(values, expected)
