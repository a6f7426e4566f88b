"""The key=value arguments of the C++ tools: `mean=[104,117,123] shape=[227,227,3] method=kl`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from spec.errors import UsageError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d+")


def is_key_value(word: str, keys: Sequence[str]) -> bool:
    """Whether a word is an assignment to one of `keys`, or to a longer word that begins with one, as ncnn reads it.

    >>> is_key_value("shapes=[8,8]", ["shape"]), is_key_value("run=1/net.table", ["shape"])
    (True, False)
    """
    key, equals, _ = word.partition("=")
    return bool(equals) and key.isalpha() and any(key.startswith(known) for known in keys)


def parse_key_values(
    words: Sequence[str], keys: Sequence[str], *, upstream: bool = False, report: Callable[[str], None]
) -> dict[str, str]:
    """The values by key; later words override earlier ones.

    A key that only begins with a known one is taken for it, with a message. UsageError for words that ncnn skips: those
    without `=`, and unknown keys; with `upstream` they are skipped with a message.
    """
    values: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        known = next((name for name in keys if key == name or key.startswith(name)), None)
        if not equals:
            _refuse(f"unrecognized arg {word}", upstream, report)
        elif known is None:
            _refuse(f"unknown key {key}: expected {', '.join(keys)}", upstream, report)
        else:
            if key != known:
                report(f"key {key} is taken for {known}")
            values[known] = value
    return values


def _refuse(message: str, upstream: bool, report: Callable[[str], None]) -> None:
    if not upstream:
        raise UsageError(message)
    report(message)


def parse_number_arrays(text: str) -> list[list[float]]:
    """Arrays of binary32 numbers: `[1,2],[3]`, or `1,2` for a single one. UsageError for what is no number.

    >>> parse_number_arrays("[104, 117.5],[1e-2]")
    [[104.0, 117.5], [0.009999999776482582]]
    """
    arrays = []
    for words in _array_words(text):
        for word in words:
            if not _NUMBER.fullmatch(word):
                raise UsageError(f"expected a number, but got {word!r} in {text}")
        arrays.append([float(np.float32(float(word))) for word in words])
    return arrays


def parse_integer_arrays(text: str) -> list[list[int]]:
    """Arrays of integers: `[224,224,3],[8]`, or `224,224` for a single one. UsageError for what is no integer."""
    arrays = []
    for words in _array_words(text):
        for word in words:
            if not _INTEGER.fullmatch(word):
                raise UsageError(f"expected an integer, but got {word!r} in {text}")
        arrays.append([int(word) for word in words])
    return arrays


def parse_integer(key: str, text: str) -> int:
    """One integer; UsageError `malformed KEY TEXT` for anything else."""
    if not _INTEGER.fullmatch(text.strip()):
        raise UsageError(f"malformed {key} {text}")
    return int(text)


def parse_words(text: str) -> list[str]:
    """Words separated by commas; empty ones vanish.

    >>> parse_words("a.txt,b.txt,")
    ['a.txt', 'b.txt']
    """
    return [word for word in text.split(",") if word]


def format_arrays(arrays: Sequence[Sequence[float]] | Sequence[Sequence[int]]) -> str:
    """Arrays as ncnn2table prints them: numbers with six decimals, integers as they are.

    >>> format_arrays([[1.5, 2.0], [3.0]]), format_arrays([[227, 227, 3]])
    ('[1.500000,2.000000],[3.000000]', '[227,227,3]')
    """
    return ",".join(
        "[" + ",".join(f"{item:f}" if isinstance(item, float) else str(item) for item in items) + "]"
        for items in arrays
    )


def _array_words(text: str) -> list[list[str]]:
    """The words of each array. Arrays are what lies between brackets; commas between arrays vanish."""
    pieces = [piece.strip(" ,") for piece in re.split(r"[\[\]]", text)]
    return [[word.strip() for word in piece.split(",")] for piece in pieces if piece]
