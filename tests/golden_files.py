"""The golden cases' files, on disk."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from golden import vectors


@functools.cache
def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="golden-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def case_folder(case_id: str) -> Path:
    """The folder of a case, laid out once a session. Tests must not write into it."""
    return vectors.case(case_id).unpack(_scratch())


@functools.cache
def group_folder(group: str) -> Path:
    """The folder with the folders of all cases of a group."""
    for case in vectors.cases(group):
        case_folder(case.id)
    return _scratch() / group
