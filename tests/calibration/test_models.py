"""The tables of whole networks, against the real tool's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calibration.comparison import ACTIVATION_TOLERANCE, DEEP_TOLERANCE, Comparison, compare, run, words
from tests.models import DIGITS, UPSTREAM_FILES
from tests.shared import require_shared

MOST_MOVED = 0.05
"""The largest share of kl rows that near ties may move."""

JPEG_TABLES = ("kl-jpg.table",)
"""Tables made from JPEG files, which the real tool decodes with other rounding than OpenCV: the samples differ."""

LARGE = os.environ.get("CALIBRATE_LARGE") == "1"
"""Whether to calibrate the large networks too, which takes minutes."""


def calls(name: str) -> list[list[str]]:
    """The arguments of all calls of ncnn2table for a network that made a table."""
    manifest = json.loads(require_shared("models", "MANIFEST.json").read_text())
    model = next(each for each in manifest["models"] if each["name"] == name)
    return [
        list(words(each["cmd"]))
        for each in model["commands"]
        if each["cmd"].startswith("ncnn2table") and each["rc"] == 0
    ]


def compared(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tolerance: float = ACTIVATION_TOLERANCE
) -> Iterator[tuple[str, Comparison]]:
    """Each table of a network, and how ours compares."""
    folder = require_shared("models", name)
    for argv in calls(name):
        if argv[1] == "opt.bin" and not (folder / "opt.bin").exists():
            argv[1] = "float.bin"
        position = next(i for i, word in enumerate(argv) if word.endswith(".table"))
        real = folder / argv[position]
        argv[position] = str(tmp_path / "ours.table")
        outcome = run(argv, folder, monkeypatch)
        assert outcome.status == 0, outcome.stderr
        yield real.name, compare(tmp_path / "ours.table", real, outcome.calibration, tolerance)


@pytest.mark.parametrize("name", [*DIGITS, "dtln1", "g2p-en-decoder"])
def test_small_networks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _, result in compared(name, tmp_path, monkeypatch):
        assert not result.wrong
        assert not result.moved


@pytest.mark.skipif(not LARGE, reason="takes minutes: set CALIBRATE_LARGE=1")
def test_large_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    activations, moved, wrong = 0, [], []
    for name in UPSTREAM_FILES:
        for table, result in compared(name, tmp_path, monkeypatch, DEEP_TOLERANCE):
            print(f"{name} {table}: {result.weights} weight scales, {result.activations} activations")
            print("".join(f"    {text}\n" for text in result.moved + result.wrong), end="")
            if table not in JPEG_TABLES:
                activations += result.activations
                moved += result.moved
                wrong += result.wrong
    print(f"{len(moved)} of {activations} activation scales moved by near ties")
    assert not wrong
    assert len(moved) <= MOST_MOVED * activations
