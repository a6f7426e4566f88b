"""The tables of whole networks, against the real tool's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.calibration.comparison import compare, run, words
from tests.models import DIGITS, UPSTREAM_FILES
from tests.shared import require_shared

MOST_MOVED = 0.05
"""The largest share of kl rows that near ties may move."""

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


@pytest.mark.parametrize("name", [*DIGITS, "dtln1", "g2p-en-decoder", *(UPSTREAM_FILES if LARGE else ())])
def test_tables_of_whole_networks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = require_shared("models", name)
    for argv in calls(name):
        if argv[1] == "opt.bin" and not (folder / "opt.bin").exists():
            argv[1] = "float.bin"
        position = next(i for i, word in enumerate(argv) if word.endswith(".table"))
        real = folder / argv[position]
        argv[position] = str(tmp_path / "ours.table")
        outcome = run(argv, folder, monkeypatch)
        assert outcome.status == 0, outcome.stderr
        result = compare(tmp_path / "ours.table", real, outcome.calibration)
        print(f"{name} {real.name}: {result.weights} weight scales, {result.activations} activations, {result.moved}")
        assert not result.wrong
        assert len(result.moved) <= MOST_MOVED * result.activations
