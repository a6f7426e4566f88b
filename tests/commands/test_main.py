"""The command ncnn-assay: its parts are there, and `run` runs."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastpath.commands.main import COMMANDS, main
from spec.formats.param import read_param
from tests.models import model_folder

CNN = model_folder("digits-cnn")
MODEL = (str(CNN / "int8-kl.param"), str(CNN / "int8-kl.bin"))


def test_version_tells_how_the_kernels_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("ncnn-assay ")
    assert "compiled: yes, level: " in printed or "compiled: no" in printed


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert "Usage:" in capsys.readouterr().out


@pytest.mark.parametrize("engine", ["fastpath", "spec", "wheel"])
def test_run_gives_the_real_output(engine: str, tmp_path: Path) -> None:
    if engine == "wheel":
        pytest.importorskip("ncnn")
    arguments = ["run", *MODEL, str(CNN / "input-0-in0.npy"), "--engine", engine, "--output", str(tmp_path)]
    assert main(arguments) == 0
    real = np.load(CNN / "output-int8-0-out0.npy")
    np.testing.assert_allclose(np.load(tmp_path / "out0.npy"), real, rtol=0, atol=1e-6 * float(np.abs(real).max()))


def test_run_reads_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The picture of a digit, normalised back to the array it was made from, gives the same output."""
    array = np.load(CNN / "input-0-in0.npy")
    picture = tmp_path / "digit.png"
    assert cv2.imwrite(str(picture), np.round(array[0] * 16).astype(np.uint8))
    assert main(["run", *MODEL, str(picture), "--pixel", "GRAY", "--norm", "0.0625"]) == 0
    from_picture = capsys.readouterr().out
    assert main(["run", *MODEL, f"in0={CNN / 'input-0-in0.npy'}"]) == 0
    assert capsys.readouterr().out == from_picture


def test_plan_and_profile_name_every_layer(capsys: pytest.CaptureFixture[str]) -> None:
    for stem in ("int8-kl", "float"):
        model = [str(CNN / f"{stem}.param"), str(CNN / f"{stem}.bin")]
        assert main(["run", *model, str(CNN / "input-0-in0.npy"), "--plan", "--profile"]) == 0
        lines = capsys.readouterr().out.splitlines()
        layers = read_param(model[0]).layers
        assert [line.split()[:2] for line in lines[: len(layers)]] == [[layer.type, layer.name] for layer in layers]
        assert all(line.split()[2:] for line in lines[: len(layers)]), "each says what runs it"
        kernels, free, numpy = (int(word) for word in re.findall(r"\d+", lines[len(layers)])[:3])
        assert kernels + free + numpy == len(layers)
        timed = lines[len(layers) + 1 :]
        assert any(re.match(r"Convolution +\S+ +[\d.]+ ms +[\d.]+% +[\d.]+ GMAC/s$", line) for line in timed)
        assert any(line.startswith("sum ") and "million products" in line for line in timed)


@pytest.mark.parametrize("threads", [(), ("--threads", "2"), ("thread=2",)])
def test_run_takes_many_inputs(threads: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(str(path) for path in CNN.glob("input-*-in0.npy"))
    assert len(files) > 1
    expected = []
    for file in files:
        assert main(["run", *MODEL, file, "--output", str(tmp_path / "one")]) == 0
        expected.append(np.load(tmp_path / "one" / "out0.npy").tobytes())
    stack = tmp_path / "stack.npy"
    np.save(stack, np.stack([np.load(file) for file in files]))
    for words in (files, [str(stack), "--stacks"]):
        capsys.readouterr()
        assert main(["run", *MODEL, *words, *threads, "--output", str(tmp_path / "many")]) == 0
        printed = capsys.readouterr()
        assert len(printed.out.splitlines()) == len(files)
        assert printed.out.startswith(f"{words[0]}{'[0]' if len(words) == 2 else ''}: out0: shape (10,)")
        assert f"{len(files)} inputs on fastpath" in printed.err
        assert f", {'2 processes' if threads else '1 process'}: " in printed.err
        found = [np.load(tmp_path / "many" / f"{position}-out0.npy").tobytes() for position in range(len(files))]
        assert found == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*MODEL, "a.npy", "thread=none"), "malformed thread=none: expected a number of processes"),
        ((*MODEL, "missing.npy"), "missing.npy: expected a numpy array"),
        ((*MODEL, "missing.png"), "missing.png: cannot be read"),
        (("missing.param", MODEL[1], "a.npy"), "missing.param: cannot be read"),
        ((*MODEL, f"nothing={CNN / 'input-0-in0.npy'}"), "nothing"),
    ],
)
def test_run_says_what_is_wrong(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
