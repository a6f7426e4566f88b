"""eval: accuracy, agreement, text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fastpath.commands.command_line import invoke
from fastpath.commands.evaluate import command
from tests.models import CARRIED, model_folder, optimized_files

DIGITS = CARRIED / "digits-cnn"
HELD_OUT = CARRIED / "heldout-digits-8x8x1"


def run(*words: object) -> int:
    return invoke(command, [str(word) for word in words])


def test_accuracy_of_the_carried_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The accuracies that the real runtime has on these files: 98.6 % and 9.8 %."""
    models = [
        "--float",
        DIGITS / "float.param",
        DIGITS / "float.bin",
        "--int8",
        DIGITS / "int8-kl.param",
        DIGITS / "int8-kl.bin",
    ]
    assert run(f"{HELD_OUT}/x.npy,{HELD_OUT}/y.npy", *models, "--json", tmp_path / "f") == 0
    found = json.loads((tmp_path / "f").read_text())
    assert [each["top1"] for each in found] == pytest.approx([0.986, 0.098])
    assert found[0]["top5"] >= found[0]["top1"]
    assert found[0]["agreement"] == 1.0
    assert found[0]["max_error"] == 0.0
    assert "500 samples" in capsys.readouterr().out


def test_figures_do_not_depend_on_the_processes(tmp_path: Path) -> None:
    models = ["--float", DIGITS / "float.param", DIGITS / "float.bin"]
    models += ["--int8", DIGITS / "int8-kl.param", DIGITS / "int8-kl.bin"]
    figures = []
    for threads in ("--threads=1", "--threads=2", "thread=3"):
        assert run(DIGITS / "calib.txt", *models, "--engine", "fastpath", "--json", tmp_path / "f", threads) == 0
        figures.append([{**each, "milliseconds": 0} for each in json.loads((tmp_path / "f").read_text())])
    assert figures[0] == figures[1] == figures[2]


def test_without_labels_there_is_no_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(DIGITS / "calib.txt", "--float", DIGITS / "float.param", DIGITS / "float.bin") == 0
    out = capsys.readouterr().out
    assert "agrees" in out
    assert "top-1" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --float"),
        (["--float", "P", "B", "--extract", "nothing"], "no output nothing"),
        (["--float", "P", "B", "--labels", "L"], "2 labels for 32 samples"),
        (["--float", "P", "B", "--texts", "T"], "2 texts for 32 samples"),
    ],
)
def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    np.save(tmp_path / "l.npy", np.arange(2))
    (tmp_path / "t.txt").write_text("a\nb\n")
    real = {"P": DIGITS / "float.param", "B": DIGITS / "float.bin", "L": tmp_path / "l.npy", "T": tmp_path / "t.txt"}
    assert run(DIGITS / "calib.txt", *(real.get(word, word) for word in words)) == 1
    assert message in capsys.readouterr().err


def test_text_of_the_recognition_network(tmp_path: Path) -> None:
    folder = model_folder("ppocr-rec-lstm")
    (tmp_path / "list.txt").write_text(f"{folder}/../calib-text/t00.png\n{folder}/../calib-text/t09.png\n")
    words = [
        tmp_path / "list.txt",
        "--float",
        *optimized_files(folder),
        "--int8",
        folder / "int8-kl.param",
        folder / "int8-kl.bin",
    ]
    image = ["--shape", "320,32", "--pixel", "RGB", "--mean", "127.5", "--norm", "0.00784313725"]
    assert run(*words, *image, "--charset", folder / "paddleocr_keys.txt", "--json", tmp_path / "f") == 0
    exact, int8 = json.loads((tmp_path / "f").read_text())
    assert exact["characters"] == 1.0
    assert all(len(text) > 2 for text in exact["texts"])
    assert 0.2 < int8["characters"] <= 1.0
