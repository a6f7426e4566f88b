"""How closely results must agree."""

from __future__ import annotations

import math

import numpy as np
import pytest

from conformance.levels import TOLERANCES, compare, judge, place, ulp_distance
from conformance.tensor import Tensor, tensor


def after(value: float, steps: int = 1) -> float:
    for _ in range(abs(steps)):
        value = float(np.nextafter(np.float32(value), np.float32(math.copysign(math.inf, steps))))
    return value


ONE = tensor((1,), [1.0])


@pytest.mark.parametrize(
    ("level", "value", "agrees"),
    [
        ("exact", 1.0, True),
        ("exact", after(1.0), False),
        ("one-of", after(1.0), False),
        ("ulp:2", after(1.0, 2), True),
        ("ulp:2", after(1.0, 3), False),
        ("ulp:2", math.nan, False),
        ("near:gru", 1.0 + 9e-7, True),
        ("near:gru", 1.0 + 2e-6, False),
        ("near:lstm", 1.0 + 4e-6, True),
        ("near:gemm", 1.0 + 1e-6, False),
        ("near:gru", math.nan, False),
        ("near:gru", math.inf, False),
    ],
)
def test_one_value(level: str, value: float, agrees: bool) -> None:
    assert (compare(level, ONE, tensor((1,), [value])) == "") is agrees


def test_zeros_of_both_signs_are_different_bits() -> None:
    assert compare("exact", tensor((1,), [0.0]), tensor((1,), [-0.0])) != ""
    assert compare("ulp:1", tensor((1,), [0.0]), tensor((1,), [-0.0])) == ""


def test_integers_may_be_off_by_what_the_level_says() -> None:
    codes = tensor((3,), [1, -127, 5], "int8")
    near = tensor((3,), [2, -126, 4], "int8")
    assert compare("lsb:1", codes, near) == ""
    assert compare("lsb:1", codes, tensor((3,), [3, -127, 5], "int8")) == "[0]: got 3, expected 1, 2 apart"
    assert compare("exact", codes, near) == "[0]: got 2, expected 1, 1 apart"


def test_statistics_are_relative() -> None:
    assert compare("stat:0.015", tensor((1,), [100.0]), tensor((1,), [101.5])) == ""
    assert compare("stat:0.015", tensor((1,), [100.0]), tensor((1,), [101.75])) != ""
    expected = tensor((2,), [3.0, 4.0])
    assert compare("stat:0.2", expected, tensor((2,), [3.6, 4.8])) != ""
    assert compare("stat:0.21", expected, tensor((2,), [3.6, 4.8])) == ""
    assert compare("stat:0.1", tensor((1,), [0.0]), tensor((1,), [0.0])) == ""
    assert compare("stat:0.1", tensor((1,), [0.0]), tensor((1,), [1.0])) != ""


def test_a_result_may_have_a_level_of_its_own() -> None:
    expected = {"a": {"x": tensor((1,), [1.0])}, "b": {"x": tensor((1,), [1.0])}}
    near = {"a": tensor((1,), [1.0]), "b": tensor((1,), [1.001])}
    assert not judge("exact", expected, near).agrees
    assert judge("exact", expected, near, {"b": "stat:0.01"}).agrees
    assert not judge("stat:0.01", expected, near, {"b": "exact"}).agrees


def test_equal_infinities_and_nans_are_near() -> None:
    values = [float("nan"), float("inf"), 1.0]
    assert compare("near:float-layers", tensor((3,), values), tensor((3,), values)) == ""
    assert compare("near:float-layers", tensor((3,), values), tensor((3,), [1.0, *values[1:]])) != ""


def test_a_sequence_may_go_astray_late_but_not_far() -> None:
    rows = TOLERANCES["lstm"].steps
    good = tensor((rows + 5, 2), [0.5] * (2 * rows + 10))
    values = [0.5] * (2 * rows + 10)
    values[-1] = 0.505
    assert compare("near:lstm", good, tensor(good.shape, values)) == ""
    values[-1] = 0.52
    assert "[24, 1]" in compare("near:lstm", good, tensor(good.shape, values))
    values[-1], values[3] = 0.5, 0.505
    assert "[1, 1]" in compare("near:lstm", good, tensor(good.shape, values))


def test_one_of_takes_one_behaviour_for_all_blobs() -> None:
    """Which is free; that it is the same one everywhere is not."""
    expected = {name: {"even": tensor((1,), [2.0]), "away": tensor((1,), [3.0])} for name in ("a", "b")}
    two, three = tensor((1,), [2.0]), tensor((1,), [3.0])
    assert judge("one-of", expected, {"a": two, "b": two}).behaviour == "even"
    assert judge("one-of", expected, {"a": three, "b": three}).behaviour == "away"
    assert not judge("one-of", expected, {"a": two, "b": three}).agrees


def test_shape_and_dtype_come_first() -> None:
    expected = {"out": {"reference": tensor((2, 1), [1.0, 2.0])}}
    assert "missing" in judge("exact", expected, {}).message
    assert "(1, 2)" in judge("exact", expected, {"out": tensor((1, 2), [1.0, 2.0])}).message
    assert "int8" in judge("exact", expected, {"out": tensor((2, 1), [1, 2], "int8")}).message


def test_a_level_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no level 'close'"):
        compare("close", ONE, ONE)


def test_distance_in_ulps() -> None:
    assert ulp_distance(-1.0, after(-1.0)) == 1
    assert ulp_distance(2.0**-149, 0.0) == 1
    assert ulp_distance(-(2.0**-149), 2.0**-149) == 3
    assert ulp_distance(math.nan, 1.0) == math.inf
    assert ulp_distance(math.inf, 3.4028234663852886e38) == 1


def test_places_and_tensors() -> None:
    assert place((2, 3, 4), 23) == "[1, 2, 3]"
    blob = tensor((2,), [1, -1], "int8")
    assert Tensor.from_json(blob.to_json()) == blob
    with pytest.raises(ValueError, match="needs 8 bytes"):
        Tensor((2,), "float32", b"1234")
