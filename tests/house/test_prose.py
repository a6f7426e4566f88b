"""The repository speaks of the project alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.])/(work|tmp|root|home)/\w"),
    "a registry's host name": re.compile(r"pypi\.org|pythonhosted|registry\.npmjs|deb\.debian"),
    "unfinished work": re.compile(r"\b(TODO|FIXME|XXX)\b"),
}


def tracked_text() -> list[Path]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("this is not a git checkout")
    names = [name for name in listing.stdout.splitlines() if not name.startswith("golden/")]
    return [ROOT / name for name in names if name.endswith((".py", ".md", ".toml", ".json", ".txt"))]


def test_no_file_speaks_of_anything_else() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {what}"
        for path in tracked_text()
        if path != Path(__file__).resolve() and path.exists()
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)
