"""The whole way on the carried networks, and the real runtime as the judge of its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fastpath.commands import ncnn2int8, ncnn2table, ncnnoptimize
from fastpath.commands.engines import open_engine
from golden import manifest
from tests.models import CARRIED, DIGITS, model_folder, optimized_files

pytest.importorskip("ncnn")

INPUTS = {
    "digits-cnn": ("[8,8,1]", "digits-8x8x1"),
    "digits-cnn16-bn": ("[16,16,1]", "digits16-16x16x1"),
    "digits-gru64": ("[1,64]", "digits-1x64"),
}
"""shape= of ncnn2table and the set of samples, where they are not those of the rows of 8 x 8 digits."""


def shape_and_set(name: str) -> tuple[str, str]:
    return INPUTS.get(name, ("[8,8]", "digits-8x8"))


def classes(engine: str, param: Path, bin: Path, samples: np.ndarray) -> list[int]:
    net = open_engine(engine, str(param), str(bin))
    (source,), (sink,) = net.input_names(), net.output_names()
    return [int(net.run({source: sample}, [sink])[sink].reshape(-1).argmax()) for sample in samples]


def run(main: object, *arguments: object) -> None:
    assert callable(main)
    assert main([str(argument) for argument in arguments]) == 0


@pytest.mark.parametrize("name", DIGITS)
def test_our_int8_model_answers_as_the_real_one(name: str, tmp_path: Path) -> None:
    """ncnn2int8 without --upstream: the wheel sees the same top-1 on every held-out digit as with the shipped model."""
    folder = model_folder(name)
    ours = tmp_path / "int8.param", tmp_path / "int8.bin"
    run(ncnn2int8.main, *optimized_files(folder), *ours, folder / "kl.table")
    samples = np.load(CARRIED / f"heldout-{shape_and_set(name)[1]}" / "x.npy")
    shipped = classes("wheel", folder / "int8-kl.param", folder / "int8-kl.bin", samples)
    assert classes("wheel", *ours, samples) == shipped


@pytest.mark.parametrize("name", DIGITS)
def test_from_float_model_to_accuracy(name: str, tmp_path: Path) -> None:
    """All three commands, then fastpath: the accuracy that the real tools reach, within two digits of 500."""
    folder = model_folder(name)
    shape, samples_name = shape_and_set(name)
    optimized = tmp_path / "opt.param", tmp_path / "opt.bin"
    run(ncnnoptimize.main, folder / "float.param", folder / "float.bin", *optimized, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # the lists name samples relative to the model's folder
        run(ncnn2table.main, *optimized, "calib.txt", tmp_path / "t", f"shape={shape}", "type=1", "method=aciq")
    int8 = tmp_path / "int8.param", tmp_path / "int8.bin"
    run(ncnn2int8.main, *optimized, *int8, tmp_path / "t")
    samples, labels = (np.load(CARRIED / f"heldout-{samples_name}" / f"{part}.npy") for part in "xy")
    accuracy = float(np.mean(np.array(classes("fastpath", *int8, samples)) == labels))
    recorded: dict[str, float] = manifest.provenance(f"models/{name}/float.bin")["accuracy_held_out"]
    assert accuracy == pytest.approx(recorded["int8-aciq"], abs=2.5 / len(samples))


def test_every_carried_network_is_tried() -> None:
    carried: Sequence[str] = sorted(path.name for path in CARRIED.iterdir() if (path / "float.param").exists())
    assert sorted(DIGITS) == list(carried)
