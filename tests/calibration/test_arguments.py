"""The key=value arguments of the C++ tools."""

from __future__ import annotations

import pytest

from fastpath.commands.arguments import (
    format_arrays,
    is_key_value,
    parse_integer_arrays,
    parse_key_values,
    parse_number_arrays,
    parse_words,
)
from spec.binary32 import f32
from spec.errors import UsageError

KEYS = ("mean", "shape", "type")


def silent(line: str) -> None:
    pass


@pytest.mark.parametrize(
    ("text", "arrays"),
    [
        ("", []),
        ("[]", []),
        ("1", [[1.0]]),
        ("1,2.5", [[1.0, 2.5]]),
        ("[1,2],[3]", [[1.0, 2.0], [3.0]]),
        ("[1,2][3]", [[1.0, 2.0], [3.0]]),
        ("[1, 2], [ 3 ]", [[1.0, 2.0], [3.0]]),
        ("[.5,+1.,-1E2,1e-2]", [[0.5, 1.0, -100.0, f32(0.01)]]),
        ("[103.12345678901234567890123]", [[f32(103.12345678901234567890123)]]),
    ],
)
def test_number_arrays(text: str, arrays: list[list[float]]) -> None:
    assert parse_number_arrays(text) == arrays


@pytest.mark.parametrize("text", ["[1,x]", "[1,,2]", "nan", "[inf]", "1_0", "0x10", "[1 2]", "1.5f"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a number"):
        parse_number_arrays(text)


def test_integer_arrays() -> None:
    assert parse_integer_arrays("[224,224,3],[-1, 0]") == [[224, 224, 3], [-1, 0]]
    with pytest.raises(UsageError, match="expected an integer"):
        parse_integer_arrays("[224.5]")


def test_the_last_value_wins() -> None:
    assert parse_key_values(["mean=1", "type=0", "mean=2"], KEYS, report=silent) == {"mean": "2", "type": "0"}


def test_longer_keys_are_taken_for_the_known_one_and_said() -> None:
    said: list[str] = []
    assert parse_key_values(["shapes=[8,8]"], KEYS, report=said.append) == {"shape": "[8,8]"}
    assert said == ["key shapes is taken for shape"]


@pytest.mark.parametrize("word", ["pixle=BGR", "hello"])
def test_what_upstream_skips_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match=word.split("=")[0]):
        parse_key_values([word], KEYS, report=silent)
    said: list[str] = []
    assert parse_key_values([word], KEYS, upstream=True, report=said.append) == {}
    assert len(said) == 1


def test_a_path_with_an_equals_sign_is_a_path() -> None:
    assert is_key_value("mean=[1]", KEYS)
    assert is_key_value("means=[1]", KEYS)
    assert not is_key_value("run=3/net.table", KEYS)
    assert not is_key_value("mean-run=3.table", KEYS)
    assert not is_key_value("mean", KEYS)


def test_words_and_echo() -> None:
    assert parse_words("a.txt,,b.txt") == ["a.txt", "b.txt"]
    assert format_arrays([[1.0, 2.5], [3.0]]) == "[1.000000,2.500000],[3.000000]"
    assert format_arrays([[1, 2]]) == "[1,2]"
