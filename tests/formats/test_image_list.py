"""Sample lists."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spec.errors import FormatError, FormatWarning
from spec.formats.image_list import ListEntry, parse_image_list, read_image_list


def test_lines() -> None:
    entries = parse_image_list(b"a.jpg\r\n\n  \tsub/b.jpg \nc.jpg", "list.txt")
    assert entries == [
        ListEntry("a.jpg", 1, "list.txt"),
        ListEntry("sub/b.jpg", 3, "list.txt"),
        ListEntry("c.jpg", 4, "list.txt"),
    ]


def test_that_the_rest_of_a_line_is_ignored_and_told() -> None:
    with pytest.warns(FormatWarning, match=r"list\.txt: line 2: what follows the blank"):
        entries = parse_image_list(b"a.jpg\nmy picture.jpg\n", "list.txt")
    assert [entry.path for entry in entries] == ["a.jpg", "my"]


def test_names_that_are_not_text() -> None:
    assert os.fsencode(parse_image_list(b"\xff\xfe.jpg\n")[0].path) == b"\xff\xfe.jpg"
    with pytest.raises(FormatError, match="line 1: expected a file name, but got a zero byte"):
        parse_image_list(b"\x00\x01")


def test_files(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"")
    assert read_image_list(tmp_path / "list.txt") == []
    with pytest.raises(FormatError, match=r"other\.txt: cannot be read"):
        read_image_list(tmp_path / "other.txt")
