"""Calibration tables: vectors, the strict grammar, and that of ncnn's own reader."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.manifest import ROOT
from spec.binary32 import f32
from spec.errors import FormatError, FormatWarning
from spec.formats.table import format_table, parse_table, read_table
from tests.formats.strategies import WORDS
from tests.golden_files import group_folder

SCALES = st.lists(st.floats(0, 2.0**60, width=32), min_size=1, max_size=5)
KEYS = WORDS.filter(lambda word: not word.startswith("#"))


def test_the_vector() -> None:
    rows = [
        ("c1_param_0", [254.0, 127.0]),
        ("c2_param_0", [254.0, 127.0]),
        ("c1", [302.396423]),
        ("c2", [130.664520]),
    ]
    text = "c1_param_0 254.000000 127.000000 \nc2_param_0 254.000000 127.000000 \nc1 302.396423 \nc2 130.664520 \n"
    assert format_table(rows) == text
    for upstream in (False, True):
        table = parse_table(text, upstream=upstream)
        assert table.weight_scales == {"c1_param_0": [254.0, 127.0], "c2_param_0": [254.0, 127.0]}
        assert table.bottom_scales == {"c1": [f32(302.396423)], "c2": [f32(130.66452)]}
        assert list(table.bottom_scales) == ["c1", "c2"]


@given(st.dictionaries(KEYS, SCALES, max_size=6))
def test_round_trip(rows: dict[str, list[float]]) -> None:
    text = format_table(rows.items())
    table = parse_table(text)
    merged = {**table.weight_scales, **table.bottom_scales}
    assert merged == {key: [f32(float(f"{value:.6f}")) for value in values] for key, values in rows.items()}
    assert not table.commented
    again = {key: merged[key] for key in rows}
    assert parse_table(format_table(again.items())) == table


def test_what_separates_and_what_is_skipped() -> None:
    text = "\n  c1 \t1.5\r\n\n##c2_param_0 1 2\n# c3 4.0\n#\n# only words here\n\tc4_param_0\t1\t2 \n"
    table = parse_table(text)
    assert table.bottom_scales == {"c1": [1.5]}
    assert table.weight_scales == {"c4_param_0": [1.0, 2.0]}
    assert table.commented == {"c2_param_0", "c3"}


def test_names_that_hold_param() -> None:
    """Only a digit at the end makes a weight row; ncnn's reader takes the word anywhere."""
    text = "a_param_0b 1.0\na_param_x 2.0\nb_param_3 4.0\n"
    assert parse_table(text).bottom_scales == {"a_param_0b": [1.0], "a_param_x": [2.0]}
    assert parse_table(text, upstream=True).bottom_scales == {}


def test_infinite_scales_are_read() -> None:
    assert parse_table("c_param_0 inf 1.0\n").weight_scales == {"c_param_0": [math.inf, 1.0]}


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("c1 1.0\nc2\n", "line 2", "expected at least one scale after c2"),
        ("c1 1.0 x\n", "line 1", "c1: expected a scale, but got 'x'"),
        ("c1 -1.0\n", "line 1", "expected a scale, but got '-1.0'"),
        ("c1 nan\n", "line 1", "expected a scale"),
        ("c1 1.5x\n", "line 1", "expected a scale"),
        ("c1 0x10\n", "line 1", "expected a scale"),
        ("c1 1e39\n", "line 1", "beyond the range of binary32"),
        ("c1 1_0\n", "line 1", "expected a scale"),
        ("k" * 256 + " 1\n", "line 1", "expected a key of at most 255 bytes"),
    ],
)
def test_faults(text: str, place: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_table(text, "net.table")
    assert (caught.value.file, caught.value.place) == ("net.table", place)
    assert message in caught.value.message


def test_that_a_second_row_replaces_the_first_with_a_warning() -> None:
    with pytest.warns(FormatWarning, match=r"net\.table: line 3: a second row for a replaces the first"):
        table = parse_table("a 1.0\nb 2.0\na 3.0\n", "net.table")
    assert list(table.bottom_scales.items()) == [("b", [2.0]), ("a", [3.0])]


def test_words_as_ncnns_reader_takes_them() -> None:
    """A word without a number repeats the one before it, at first 1; scanf takes what it can."""
    text = "a x 1.5x y 0x10 inf nan -2e1 1.5e\n"
    values = parse_table(text, upstream=True).bottom_scales["a"]
    assert [str(value) for value in values] == ["1.0", "1.5", "1.5", "16.0", "inf", "nan", "-20.0", "1.5"]


def test_where_ncnns_reader_stops() -> None:
    with pytest.warns(FormatWarning, match="line 2: this blank line ends the table"):
        table = parse_table("a 1.0\r\n  \r\nb 2.0\n", upstream=True)
    assert table.bottom_scales == {"a": [1.0]}


def test_that_ncnns_reader_cuts_long_keys() -> None:
    table = parse_table("\u00e9" * 130 + " 1.0\n", upstream=True)
    assert [len(key.encode("utf-8", "surrogateescape")) for key in table.bottom_scales] == [255]


def test_that_tabs_and_comments_mean_nothing_to_ncnns_reader() -> None:
    table = parse_table("a\t1.0\n#b_param_0 2.0\n# c 3.0\n", upstream=True)
    assert table.bottom_scales == {"a": [], "#": [1.0, 3.0]}
    assert table.weight_scales == {"#b_param_0": [2.0]}
    assert table.commented == set()


def test_a_table_that_is_not_there(tmp_path: object) -> None:
    with pytest.raises(FormatError, match=r"missing\.table: cannot be read"):
        read_table(f"{tmp_path}/missing.table")


def test_that_the_tools_tables_are_a_fixed_point() -> None:
    paths = sorted([*group_folder("tables").glob("*/*.table"), *(ROOT / "models").glob("*/*.table")])
    assert len(paths) > 100
    for path in paths:
        text = path.read_text()
        table = read_table(path)
        rows = {**table.weight_scales, **table.bottom_scales}
        order = [line.split()[0] for line in text.splitlines()]
        ours = format_table((key, rows[key]) for key in order)
        for line, theirs in zip(ours.splitlines(), text.splitlines(), strict=True):
            assert line == theirs, path
