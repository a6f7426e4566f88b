"""Sample lists of ncnn2table: one file name a line.

The first word of a line is the name, the rest of the line is ignored, blank lines are skipped.

Follows: ncnn tools/quantize/ncnn2table.cpp (parse_comma_path_list, read lists) @ a4d2ea1d.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass

from spec.errors import FormatError, FormatWarning
from spec.formats.files import read_bytes


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One sample: its path as the list gives it, and where the list gives it."""

    path: str
    line: int
    file: str


def read_image_list(path: str | os.PathLike[str]) -> list[ListEntry]:
    """Read a sample list. Raises FormatError; warns of lines that hold more than a name."""
    return parse_image_list(read_bytes(path), os.fspath(path))


def parse_image_list(data: bytes, file: str = "<memory>") -> list[ListEntry]:
    r"""The entries of a sample list.

    >>> [entry.path for entry in parse_image_list(b"a.jpg\n\nb.jpg\r\n")]
    ['a.jpg', 'b.jpg']
    """
    entries = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        words = line.split(None, 1)
        if not words:
            continue
        if b"\0" in words[0]:
            raise FormatError(file, f"line {number}", "expected a file name, but got a zero byte")
        if len(words) > 1:
            message = f"{file}: line {number}: what follows the blank in this line is ignored"
            warnings.warn(message, FormatWarning, stacklevel=2)
        entries.append(ListEntry(os.fsdecode(words[0]), number, file))
    return entries
