"""The two passes in several processes, and with an interruption: always the same table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastpath.calibration.calibrate as calibration
from fastpath.calibration.calibrate import Bottoms, build_histograms, calibrate, measure_ranges, net_activations
from fastpath.calibration.checkpoint import Checkpoint
from fastpath.calibration.weight_scales import convolution_layers
from fastpath.net import Net
from spec.errors import CalibrationError, FormatError
from tests.calibration.test_ncnn2table import small_net


@dataclass(frozen=True)
class DrawnSample:
    """A sample that needs no file."""

    seed: int
    bad: bool = False

    @property
    def name(self) -> str:
        return f"sample {self.seed}"

    def load(self) -> list[np.ndarray]:
        values = np.random.default_rng(self.seed).normal(size=(3, 6, 6)).astype(np.float32)
        if self.bad:
            values[0, 0, 0] = np.nan
        return [values]


SAMPLES = [DrawnSample(seed) for seed in range(7)]


def silent(line: str) -> None:
    pass


def run(samples: Sequence[Any] = SAMPLES, **options: Any) -> calibration.Calibration:
    graph = small_net()
    return calibrate(graph, samples, net_activations(Net.from_graph(graph)), report=silent, **options)


def test_processes_make_the_same_table() -> None:
    serial = run()
    shared = run(workers=3)
    assert shared.rows() == serial.rows()
    for ours, expected in zip(shared.layers, serial.layers, strict=True):
        assert ours.histogram is not None and expected.histogram is not None
        assert ours.histogram.counts.tolist() == expected.histogram.counts.tolist()
        assert ours.range == expected.range


def test_the_first_bad_sample_is_named_by_any_number_of_processes() -> None:
    samples = [DrawnSample(seed, bad=seed in (4, 6)) for seed in range(7)]
    for workers in (1, 2):
        with pytest.raises(CalibrationError, match="sample 4: layer conv: the activations hold nan") as caught:
            run(samples, workers=workers)
        assert (caught.value.sample, caught.value.layer) == ("sample 4", "conv")


@dataclass(frozen=True)
class FatalSample(DrawnSample):
    """A sample that ends the process which loads it."""

    def load(self) -> list[np.ndarray]:
        os._exit(9)


def test_a_process_that_dies_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="a worker process ended before its work was done"):
        run([*SAMPLES, FatalSample(7)], workers=2)


def test_holding_activations_changes_nothing() -> None:
    graph = small_net()
    layers = convolution_layers(graph)
    activations = net_activations(Net.from_graph(graph))
    results = []
    for held_bytes in (0, 1000, 10**9):
        bottoms = Bottoms(layers, SAMPLES, activations, held_bytes=held_bytes)
        ranges = measure_ranges(layers, bottoms)
        assert bottoms.complete == (held_bytes == 10**9)
        counts = [histogram.counts.tolist() for histogram in build_histograms(ranges, bottoms)]
        results.append((ranges, counts))
    assert results[0] == results[1] == results[2]


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("stage", ["count the absmax", "build histogram"])
@pytest.mark.parametrize("position", [0, 3, 6])
def test_an_interrupted_calibration_goes_on(
    stage: str, position: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastpath.calibration.checkpoint.SECONDS_BETWEEN", 0.0)
    seen: list[tuple[str, int]] = []

    def interrupt(name: str, done: int, total: int) -> None:
        if (name, done) == (stage, position):
            raise Interrupted

    def watch(name: str, done: int, total: int) -> None:
        seen.append((name, done))

    path = str(tmp_path / "checkpoint")
    with pytest.raises(Interrupted):
        run(progress=interrupt, checkpoint=Checkpoint(path, "same"))
    resumed = run(progress=watch, checkpoint=Checkpoint(path, "same"))
    assert resumed.rows() == run().rows()
    assert seen[0] == (stage, position)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "checkpoint")
    run(checkpoint=Checkpoint(path, "one"))
    with pytest.raises(FormatError, match="another model"):
        run(checkpoint=Checkpoint(path, "two"))
    Path(path).write_bytes(b"no checkpoint")
    with pytest.raises(FormatError, match="expected a checkpoint"):
        run(checkpoint=Checkpoint(path, "one"))
