"""Int8 calibration tables: one row a line, a key and then scales.

    conv1_param_0 254.000000 127.000000
    conv1 302.396423

A key that ends in `_param_<digit>` names weight scales, any other key the scale of a layer's input. Values are the
binary32 numbers that the text gives, not those the calibration had in memory.

Follows: ncnn tools/quantize/ncnn2table.cpp (save_table), ncnn2int8.cpp (read_int8scale_table) @ a4d2ea1d.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from spec.binary32 import f32
from spec.errors import FormatError, FormatWarning
from spec.formats.files import read_bytes

MAX_KEY_BYTES = 255
"""Longest key; ncnn's reader cuts longer ones."""

_WEIGHT_KEY = re.compile(r".*_param_[0-9]")
_NUMBER = re.compile(r"[+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+]?inf")
_SCANF_NUMBER = re.compile(
    r"[+-]?(?:inf(?:inity)?|nan|0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?[0-9]+)?"
    r"|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)",
    re.IGNORECASE,
)


@dataclass
class Table:
    """Rows in file order: `weight_scales` by keys like `conv1_param_0`, `bottom_scales` by layer names.

    `commented` holds the keys of rows that a `#` switches off.
    """

    weight_scales: dict[str, list[float]] = field(default_factory=dict)
    bottom_scales: dict[str, list[float]] = field(default_factory=dict)
    commented: set[str] = field(default_factory=set)
    file: str = "<memory>"


def read_table(path: str | os.PathLike[str], *, upstream: bool = False) -> Table:
    """Read a calibration table. Raises FormatError."""
    return parse_table(read_bytes(path), os.fspath(path), upstream=upstream)


def parse_table(text: bytes | str, file: str = "<memory>", *, upstream: bool = False) -> Table:
    r"""The table that a text holds; `file` names it in messages.

    Any white space separates, blank lines are skipped, `#` comments a line out. Scales are numbers that are not
    negative, or `inf`, which ncnn2table writes for weights of zero; whether a scale can be used is for the reader of
    the table to say. With `upstream=True` the rules are those of ncnn's reader: only blanks separate, the first blank
    line ends the table, a word that is no number repeats the one before it, and nothing is a comment.
    Raises FormatError for a malformed row.

    >>> table = parse_table("conv1_param_0 254.0 127.0\nconv1 0.5\n# conv2 1.5\n")
    >>> table.weight_scales, table.bottom_scales, table.commented
    ({'conv1_param_0': [254.0, 127.0]}, {'conv1': [0.5]}, {'conv2'})
    """
    data = text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
    lines = data.split("\n")
    return _parse_upstream(lines, file) if upstream else _parse(lines, file)


def _parse(lines: Sequence[str], file: str) -> Table:
    table = Table(file=file)
    for number, line in enumerate(lines, start=1):
        place = f"line {number}"
        words = re.findall(r"[^ \t\r\v\f]+", line)
        if not words:
            continue
        if words[0].startswith("#"):
            _note_comment(table, words)
            continue
        key, values = words[0], words[1:]
        if len(key.encode("utf-8", "surrogateescape")) > MAX_KEY_BYTES:
            raise FormatError(file, place, f"expected a key of at most {MAX_KEY_BYTES} bytes, but got {key[:40]!r}...")
        if not values:
            raise FormatError(file, place, f"expected at least one scale after {key}")
        rows = table.weight_scales if _WEIGHT_KEY.fullmatch(key) else table.bottom_scales
        if key in rows:
            warnings.warn(f"{file}: {place}: a second row for {key} replaces the first", FormatWarning, stacklevel=3)
            del rows[key]
        rows[key] = [_scale(word, file, place, key) for word in values]
    return table


def _note_comment(table: Table, words: Sequence[str]) -> None:
    """Remember a commented row: a `#`, with or without a blank behind it, then a key and scales."""
    key, *values = " ".join(words).lstrip("#").split() or [""]
    if values and all(_NUMBER.fullmatch(value) for value in values):
        table.commented.add(key)


def _scale(word: str, file: str, place: str, key: str) -> float:
    if _NUMBER.fullmatch(word) is None:
        raise FormatError(file, place, f"{key}: expected a scale, but got {word[:40]!r}")
    value = f32(float(word))
    if math.isinf(value) and "inf" not in word:
        raise FormatError(file, place, f"{key}: the scale {word[:40]} is beyond the range of binary32")
    return value


def _parse_upstream(lines: Sequence[str], file: str) -> Table:
    table = Table(file=file)
    for number, line in enumerate(lines, start=1):
        words = [word for word in re.split(" +", re.split("\r", line)[0]) if word]
        if not words:
            if any(rest.strip() for rest in lines[number:]):
                message = f"{file}: line {number}: this blank line ends the table, what follows is ignored"
                warnings.warn(message, FormatWarning, stacklevel=3)
            break
        key = _cut(re.split(r"[\t\v\f]", words[0])[0])
        rows = table.weight_scales if "_param_" in key else table.bottom_scales
        rows[key] = _scan_all(words[1:])
    return table


def _cut(key: str) -> str:
    return key.encode("utf-8", "surrogateescape")[:MAX_KEY_BYTES].decode("utf-8", "surrogateescape")


def _scan_all(words: Iterable[str]) -> list[float]:
    """Numbers as C's scanf finds them; a word that begins with none repeats the number before, at first 1."""
    values: list[float] = []
    last = 1.0
    for word in words:
        match = _SCANF_NUMBER.match(word.lstrip())
        if match is not None:
            last = f32(_c_number(match[0]))
        values.append(last)
    return values


def _c_number(text: str) -> float:
    return float.fromhex(text) if "0x" in text.lower() else float(text)


def format_table(rows: Iterable[tuple[str, Sequence[float]]]) -> str:
    r"""The text of a table as ncnn2table writes it: six decimals, and a blank behind every number.

    >>> format_table([("conv1_param_0", [254.0, 127.0]), ("conv1", [302.396423])])
    'conv1_param_0 254.000000 127.000000 \nconv1 302.396423 \n'
    """
    return "".join(f"{key} " + "".join(f"{value:f} " for value in values) + "\n" for key, values in rows)
