"""The tables of whole networks, against the real tool's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastpath.commands.verdicts.tables import ACTIVATION_TOLERANCE, DEEP_TOLERANCE, Comparison, call, compare
from golden import manifest
from tests.models import DIGITS, UPSTREAM_FILES, model_folder
from tests.shared import require_shared

MOST_MOVED = 0.05
"""The largest share of kl rows that near ties may move."""

JPEG_TABLES = ("kl-jpg.table",)
"""Tables made from JPEG files, which the real tool decodes with other rounding than OpenCV: the samples differ."""

LARGE = os.environ.get("CALIBRATE_LARGE") == "1"
"""Whether to calibrate the large networks too, which takes minutes."""


def calls(name: str) -> list[list[str]]:
    """The arguments of all calls of ncnn2table for a network that made a table."""
    entries = manifest.load()["folders"]
    if f"models/{name}" in entries:
        model = entries[f"models/{name}"]
    else:
        others = json.loads(require_shared("models", "MANIFEST.json").read_text())["models"]
        model = next(each for each in others if each["name"] == name)
    return [
        each["cmd"].split()[1:]
        for each in model["commands"]
        if each["cmd"].startswith("ncnn2table") and each["rc"] == 0
    ]


def compared(name: str, tmp_path: Path, tolerance: float = ACTIVATION_TOLERANCE) -> Iterator[tuple[str, Comparison]]:
    """Each table of a network, and how ours compares."""
    folder = model_folder(name)
    for argv in calls(name):
        if argv[1] == "opt.bin" and not (folder / "opt.bin").exists():
            argv[1] = "float.bin"
        position = next(i for i, word in enumerate(argv) if word.endswith(".table"))
        real = folder / argv[position]
        argv[position] = str(tmp_path / "ours.table")
        called = call(argv, folder)
        assert called.status == 0, called.stderr
        yield real.name, compare((tmp_path / "ours.table").read_text(), real.read_text(), called.calibration, tolerance)


@pytest.mark.parametrize("name", [*DIGITS, "dtln1", "g2p-en-decoder"])
def test_small_networks(name: str, tmp_path: Path) -> None:
    for _, result in compared(name, tmp_path):
        assert not result.wrong
        assert not result.moved


@pytest.mark.skipif(not LARGE, reason="takes minutes: set CALIBRATE_LARGE=1")
def test_large_networks(tmp_path: Path) -> None:
    activations = 0
    moved: list[str] = []
    wrong: list[str] = []
    for name in UPSTREAM_FILES:
        for table, result in compared(name, tmp_path, DEEP_TOLERANCE):
            print(f"{name} {table}: {result.weights} weight scales, {result.activations} activations")
            print("".join(f"    {text}\n" for text in [*result.moved, *result.wrong.values()]), end="")
            if table not in JPEG_TABLES:
                activations += result.activations
                moved += result.moved
                wrong += result.wrong.values()
    print(f"{len(moved)} of {activations} activation scales moved by near ties")
    assert not wrong
    assert len(moved) <= MOST_MOVED * activations
