"""tune on the carried network whose kl table fails, and on the nets of others where they are here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fastpath.accuracy.goals import Judge, parse_goal
from fastpath.accuracy.network import FastEngine
from fastpath.accuracy.samples import open_samples
from fastpath.accuracy.tables import quantized
from fastpath.accuracy.tune import Limits, tune
from fastpath.commands.command_line import invoke
from fastpath.commands.inputs import ImageOptions, load_input
from fastpath.commands.tune import command
from fastpath.quantization import quantize_model
from spec.formats.table import parse_table
from spec.formats.weights import read_model
from spec.graph import Graph
from tests.accuracy.nets import blobs, branching
from tests.models import CARRIED, model_folder, optimized_files

DIGITS = CARRIED / "digits-cnn"
HELD_OUT = CARRIED / "heldout-digits-8x8x1"


def digits_accuracy(network: FastEngine) -> float:
    samples, labels = np.load(HELD_OUT / "x.npy"), np.load(HELD_OUT / "y.npy")
    found = [int(network.run({"in0": x}, ["out0"])["out0"].argmax()) for x in samples]
    return float(np.mean(np.array(found) == labels))


def run(*words: object) -> int:
    return invoke(command, [str(word) for word in words])


def test_digits_come_back(tmp_path: Path) -> None:
    """kl leaves 9.8 %. Judged by calibration samples alone, int8 everywhere comes back to at least 98 %."""
    model = DIGITS / "float.param", DIGITS / "float.bin"
    out = [tmp_path / name for name in ("t.table", "int8.param", "int8.bin", "t.json")]
    status = run(
        *model, DIGITS / "calib.txt", "--goal", "30dB", "--table", out[0], "--model", *out[1:3], "--json", out[3]
    )
    assert status == 0
    assert digits_accuracy(FastEngine(read_model(str(out[1]), str(out[2])))) >= 0.98
    record = json.loads(out[3].read_text())
    scores = {each["name"]: each["snr_db"] for each in record["candidates"]}
    assert record["reached"]
    assert scores[record["chosen"]] > max(scores["kl"], scores["aciq"])
    assert next(each for each in record["candidates"] if each["name"] == record["chosen"])["float_layers"] == []
    upstream = read_model(str(model[0]), str(model[1]))
    quantize_model(upstream, parse_table(out[0].read_bytes(), upstream=True), upstream=True)
    assert digits_accuracy(FastEngine(upstream)) >= 0.98


def test_digits_by_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [DIGITS / "float.param", DIGITS / "float.bin", DIGITS / "calib.txt", "--table", tmp_path / "t"]
    for part in "xy":
        np.save(tmp_path / f"{part}.npy", np.load(HELD_OUT / f"{part}.npy")[:100])
    judge = ["--judge", tmp_path / "x.npy", "--labels", tmp_path / "y.npy"]
    assert run(*words, *judge, "--goal", "98%labels") == 0
    assert "kl: " in capsys.readouterr().err
    table = (tmp_path / "t").read_text()
    graph = read_model(str(DIGITS / "float.param"), str(DIGITS / "float.bin"))
    assert digits_accuracy(FastEngine(quantized(graph, table))) >= 0.98


def tuned(goal: str, limits: Limits) -> tuple[Graph, object]:
    graph = branching()
    samples = _Blobs.of(blobs(12))
    judge = Judge(FastEngine(graph), [sample.feeds() for sample in _Blobs.of(blobs(6, seed=2))])
    return graph, tune(graph, samples, judge, parse_goal(goal), limits)  # type: ignore[arg-type]


class _Blobs:
    """A sample in memory."""

    def __init__(self, blob: np.ndarray) -> None:
        self.name, self._blob = "a blob", blob

    @classmethod
    def of(cls, found: list[np.ndarray]) -> list[_Blobs]:
        return [cls(blob) for blob in found]

    def feeds(self) -> dict[str, np.ndarray]:
        return {"data": self._blob}

    def load(self) -> list[np.ndarray]:
        return [self._blob]


@pytest.mark.parametrize(("goal", "least"), [("25dB", 0.0), ("44dB", 0.0), ("60dB", 0.0), ("60dB", 0.5)])
def test_no_more_floats_than_needed_and_allowed(goal: str, least: float) -> None:
    graph, outcome = tuned(goal, Limits(least_int8=least))
    chosen = outcome.chosen  # type: ignore[attr-defined]
    assert chosen.int8_share >= least
    assert outcome.reached == (chosen.score.snr >= float(goal[:-2]))  # type: ignore[attr-defined]
    assert all(chosen.score.snr >= outcome.baseline(name).score.snr for name in ("kl", "aciq"))  # type: ignore[attr-defined]
    if least == 0.0:
        assert outcome.reached  # type: ignore[attr-defined]
    if goal == "25dB":
        assert not chosen.floats
    again = Judge(FastEngine(graph), [{"data": x} for x in blobs(6, seed=2)])
    measured = again.score(FastEngine(quantized(graph, chosen.table)))
    assert measured.snr == chosen.score.snr
    for each in outcome.exceptions:  # type: ignore[attr-defined]
        assert each.layer in chosen.floats
        assert 0 <= each.cost < 1


def test_layers_that_must_stay_float() -> None:
    _, outcome = tuned("10dB", Limits(never_int8=("first",)))
    assert outcome.chosen.floats == ("first",)  # type: ignore[attr-defined]
    assert "#first_param_0 " in outcome.chosen.table  # type: ignore[attr-defined]
    assert "\n#first " in outcome.chosen.table  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--goal", "98%labels"], "needs --labels"),
        (["--goal", "40"], "expected a goal like"),
        (
            ["--goal", "40dB", "--judge", str(HELD_OUT / "x.npy"), "--labels", str(HELD_OUT / "x.npy")],
            "vector of integers",
        ),
    ],
)
def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    files = [DIGITS / "float.param", DIGITS / "float.bin", DIGITS / "calib.txt"]
    assert run(*files, "--table", tmp_path / "t", *words) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "t").exists()


def test_faces_gain_by_searched_scales() -> None:
    """The first face network, on a few samples so that it is quick: well ahead of kl and aciq."""
    folder = model_folder("mtcnn-pnet")
    graph = read_model(*(str(path) for path in optimized_files(folder)))
    image = ImageOptions((64, 48), "RGB", (127.5,) * 3, (0.0078125,) * 3)
    samples = open_samples([str(folder / "calib.txt")], graph.input_names(), lambda path: load_input(path, image))
    judge = Judge(FastEngine(graph), [sample.feeds() for sample in samples[3:32:4]])
    calibrating = [sample for i, sample in enumerate(samples) if i % 4 != 3]
    outcome = tune(graph, calibrating, judge, parse_goal("30dB"))
    for name in ("kl", "aciq"):
        assert outcome.chosen.score.snr >= outcome.baseline(name).score.snr + 3
    assert outcome.chosen.int8_share >= 0.9
