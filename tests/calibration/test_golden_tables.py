"""Messages of ncnn2table beside those of the real tool; `golden_room/test_corpus.py` compares the tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fastpath.commands.verdicts.tables import call
from golden import vectors
from tests.golden_files import case_folder

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


@pytest.mark.parametrize("name", SAME_MESSAGE)
def test_messages_of_the_real_tool(name: str, tmp_path: Path) -> None:
    command = vectors.case(f"tables/{name}").commands[0]
    folder = shutil.copytree(case_folder(f"tables/{name}"), tmp_path / name)
    assert SAME_MESSAGE[name] in (folder / command["stderr"]).read_text()
    assert SAME_MESSAGE[name] in call(command["argv"], folder).stderr


def test_the_recorded_log(tmp_path: Path) -> None:
    """The log of a network of one layer, whose numbers depend on no float layer, is the same line by line."""
    case = vectors.case("tables/eq-conv")
    command = case.commands[0]
    argv = [str(tmp_path / "t") if word in command["outputs"] else word for word in command["argv"]]
    ours = call([*argv, "--no-summary"], case_folder(case.id)).stderr.splitlines()
    real = case.text(command["stderr"]).splitlines()
    assert ours[:-1] == real[:-1]
    assert real[-1].startswith(ours[-1])
