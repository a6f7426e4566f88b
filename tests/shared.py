"""Where the corpus that is too big for the repository lies, if it is here."""

from __future__ import annotations

from pathlib import Path

import pytest

_CANDIDATE = Path(__file__).resolve().parents[2] / "shared" / "data"

SHARED: Path | None = _CANDIDATE if _CANDIDATE.is_dir() else None
"""The folder with `golden/` and `models/`, or None."""


def require_shared(*parts: str) -> Path:
    """The path of `parts` in the shared folder; skips the test where the folder or the path is absent."""
    if SHARED is None:
        pytest.skip("the shared corpus is not beside this checkout")
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the shared corpus has no {'/'.join(parts)}")
    return path
