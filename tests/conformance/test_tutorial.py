"""The tutorial is what its programs print."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.tutorial import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance-tutorial.md"


def test_the_page_is_what_comes_out() -> None:
    assert page() == PAGE.read_text(encoding="utf-8")
