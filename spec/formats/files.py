"""Write files so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from spec.errors import FormatError


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file; FormatError naming it if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FormatError(str(path), "", f"cannot be read: {error.strerror}") from error


def write_files(contents: Mapping[str | os.PathLike[str], bytes]) -> None:
    """Write all files, or none: each goes to a temporary file beside its target, then all are renamed."""
    temporaries: list[tuple[str, str | os.PathLike[str]]] = []
    target: str | os.PathLike[str] = ""
    try:
        for target, data in contents.items():
            directory = os.path.dirname(os.fspath(target)) or "."
            handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=directory)
            temporaries.append((temporary, target))
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            os.chmod(temporary, 0o666 & ~_umask())
        for temporary, target in temporaries:
            os.replace(temporary, target)
    except OSError as error:
        raise FormatError(os.fspath(target), "", f"cannot be written: {error.strerror}") from error
    finally:
        for temporary, _ in temporaries:
            if os.path.exists(temporary):
                os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
