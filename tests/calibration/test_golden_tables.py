"""Every recorded call of the real ncnn2table: the same table where it made one, a clear error where it should have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.calibration.comparison import compare, run
from tests.shared import SHARED, require_shared

FOLDER = SHARED / "golden" / "tables" if SHARED is not None else Path("absent")

CASES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) if FOLDER.is_dir() else []

REFUSED_HERE = {
    "args-empty-list": (255, "the list names no samples"),
    "args-image-raw": (255, "RAW is not implemented"),
    "args-npy-fortran": (1, "Fortran order"),
    "args-npy-trunc": (1, "the file ends after"),
    "args-unknown-key": (255, "unknown key foo"),
    "args-unwritable-table": (255, "fopen nodir/out.table failed"),
    "args-word-without-eq": (255, "unrecognized arg hello"),
}
"""What the real tool lets pass with status 0, and what is said instead."""

CRASHES = {
    "args-missing-bin": (255, "nonet.bin: cannot be read"),
    "args-short-bin": (255, "the file ends after"),
    "args-npy-inf": (1, "samples/1.npy (list.txt, line 2): layer conv1: the activations hold"),
    "args-npy-nan": (1, "samples/1.npy (list.txt, line 2): layer conv1: the activations hold nan"),
    "args-eq-many-channels": (1, "the real tool's eq search needs one input"),
}
"""Where the real tool crashes."""

SAME_MESSAGE = {
    "args-bad-method": "not implemented yet !\nunknown method mse, expect kl / aciq / eq",
    "args-method-upper": "unknown method KL, expect kl / aciq / eq",
    "args-image-bad-pixel": "expect 1 pixels, but got 0",
    "args-image-no-mean": "expect 1 means, but got 0",
    "args-image-no-norm": "expect 1 norms, but got 0",
    "args-image-no-pixel": "expect 1 pixels, but got 0",
    "args-no-shape": "expect 1 shapes, but got 0",
    "args-two-lists-one-input": "expect 1 lists, but got 2",
    "args-two-shapes": "expect 1 shapes, but got 2",
    "args-missing-list": "fopen nolist.txt failed\nexpect 1 lists, but got 0",
    "args-negative-thread": "malformed thread -1",
    "args-npy-dims": "expect 3 dims, but got: 2",
    "args-npy-shape": "shape mismatch!",
    "args-key-before-list": "warning: calibration dataset not provided, skip activation calibration",
    "static-conv-warning": "warning: calibration dataset not provided, skip activation calibration",
}
"""Messages that the real tool prints too."""

TIED_SEARCHES = {"eq-conv-dw-fc": "fc_103"}
"""A layer of one output: all its cosines are 1, and the last bit of each decides."""


def commands(case: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / case / "case.json").read_text())["commands"]
    return found


@pytest.mark.parametrize("case", CASES or ["absent"])
def test_every_recorded_call(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_shared("golden", "tables", case)
    for number, command in enumerate(commands(case)):
        made = command.get("outputs", []) + command.get("outputs_not_made", [])
        table = tmp_path / f"{number}.table"
        argv = [str(table) if word in made else word for word in command["argv"]]
        outcome = run(argv + (["--upstream"] if "method=eq" in argv else []), FOLDER / case, monkeypatch)
        if case in REFUSED_HERE or case in CRASHES:
            status, message = (REFUSED_HERE | CRASHES)[case]
            assert (outcome.status, table.exists()) == (status, False)
            assert message in outcome.stderr
            continue
        assert outcome.status == command["exit"], outcome.stderr
        assert SAME_MESSAGE.get(case, "") in outcome.stderr
        if command["exit"] != 0:
            assert not table.exists()
            continue
        if "stdout" in command:
            assert outcome.stdout == (FOLDER / case / command["stdout"]).read_text()
        result = compare(table, FOLDER / case / command["outputs"][0], outcome.calibration)
        tied = TIED_SEARCHES.get(case) if "method=eq" in argv else None
        assert not [text for text in result.wrong if tied is None or not text.startswith(tied)]
        assert len(result.moved) <= 0.05 * result.activations


def test_the_recorded_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of a network of one layer, whose numbers depend on no float layer, is the same line by line."""
    folder = require_shared("golden", "tables", "eq-conv")
    command = commands("eq-conv")[0]
    argv = [str(tmp_path / "t") if word in command["outputs"] else word for word in command["argv"]]
    ours = run([*argv, "--no-summary"], folder, monkeypatch).stderr.splitlines()
    real = (folder / command["stderr"]).read_text().splitlines()
    assert ours[:-1] == real[:-1]
    assert real[-1].startswith(ours[-1])
