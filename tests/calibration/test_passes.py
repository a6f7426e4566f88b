"""The two passes in several processes, and with an interruption: always the same table."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

import fastpath.calibration.calibrate as calibration
import fastpath.calibration.workers as workers
from fastpath.calibration.bottoms import Tick
from fastpath.calibration.calibrate import Bottoms, build_histograms, calibrate, measure_ranges, net_activations
from fastpath.calibration.checkpoint import Checkpoint
from fastpath.calibration.crew import Answer, Task
from fastpath.calibration.statistics import NO_RANGE, empty_histogram
from fastpath.calibration.weight_scales import convolution_layers
from fastpath.net import Net
from fastpath.processes import start_method
from spec.errors import CalibrationError, FormatError
from spec.graph import Graph, Layer
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
    for count in (1, 2):
        with pytest.raises(CalibrationError, match="sample 4: layer conv: the activations hold nan") as caught:
            run(samples, workers=count)
        assert (caught.value.sample, caught.value.layer) == ("sample 4", "conv")


@dataclass(frozen=True)
class FatalSample(DrawnSample):
    """A sample that ends the process which loads it: the first time only, if there is a file to remember that."""

    memory: str = ""

    def load(self) -> list[np.ndarray]:
        if not self.memory:
            os._exit(9)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.memory, os.O_CREAT | os.O_EXCL))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().load()


def test_a_process_that_dies_again_and_again_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="a worker process ended before its work was done, again and again"):
        run([*SAMPLES, FatalSample(7)], workers=2)


@pytest.mark.parametrize("method", [start_method(), "forkserver"])
def test_a_process_that_is_killed_is_replaced(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if method != "fork":
        monkeypatch.setattr(workers, "start_method", lambda: method)
    memory = str(tmp_path / "killed")
    samples = [FatalSample(each.seed, memory=memory) if each.seed == 4 else each for each in SAMPLES]
    assert run(samples, workers=2).rows() == run().rows()
    assert Path(memory).exists()


def test_a_process_that_is_killed_between_the_passes_is_replaced() -> None:
    killed: list[int] = []

    def kill(stage: str, done: int, total: int) -> None:
        if stage == "build histogram" and not killed:
            victim = multiprocessing.active_children()[0]
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGKILL)
            killed.append(victim.pid)

    assert run(workers=2, progress=kill).rows() == run().rows()
    assert killed


def pool() -> ProcessPoolExecutor:
    """Two processes that are not forked: other tests have left threads."""
    return ProcessPoolExecutor(2, multiprocessing.get_context("forkserver"))


def test_any_executor_makes_the_same_table() -> None:
    with ThreadPoolExecutor(3) as threads, pool() as processes:
        for method in ("kl", "aciq", "eq"):
            expected = run(method=method).rows()
            assert run(method=method, executor=threads).rows() == expected
            assert run(method=method, executor=processes).rows() == expected
            assert run(method=method, executor=processes, memory=0).rows() == expected


def test_the_executor_of_the_standard_library_does_not_replace_processes() -> None:
    with pool() as processes, pytest.raises(CalibrationError, match="BrokenProcessPool"):
        run([*SAMPLES, FatalSample(7)], executor=processes)


def test_the_first_bad_sample_is_named_by_an_executor() -> None:
    samples = [DrawnSample(seed, bad=seed in (4, 6)) for seed in range(7)]
    with ThreadPoolExecutor(3) as threads, pytest.raises(CalibrationError, match="sample 4: layer conv"):
        run(samples, executor=threads)


@pytest.mark.parametrize(("fitting", "forwards"), [(7, 7), (0, 14), (4, 10)])
def test_one_inference_a_sample_where_memory_allows(fitting: int, forwards: int) -> None:
    """What is kept of a sample are the numbers other than zero in the bottom blobs of the two layers."""
    graph = small_net()
    activations = net_activations(Net.from_graph(graph))
    blobs = [blob for sample in SAMPLES[:fitting] for blob in activations(sample.load(), ["data", "a"])]
    memory = 4 * sum(int(np.count_nonzero(blob)) for blob in blobs)
    counted = 0

    def counting(inputs: Sequence[np.ndarray], names: Sequence[str]) -> Iterable[np.ndarray]:
        nonlocal counted
        counted += 1
        return activations(inputs, names)

    found = calibrate(graph, SAMPLES, counting, memory=memory, report=silent)
    assert counted == forwards
    assert found.rows() == run().rows()


def test_copies_of_a_blob_are_looked_at_once() -> None:
    graph = small_net()
    split = Layer("Split", "split", ["a"], ["a_0", "a_1"])
    twin = Layer("InnerProduct", "twin", ["a_1"], ["c"], dict(graph.layers[2].params), weights=graph.layers[2].weights)
    graph.layers[2].bottoms[0] = "a_0"
    graph = Graph([*graph.layers[:2], split, graph.layers[2], twin])
    asked: list[str] = []
    activations = net_activations(Net.from_graph(graph))

    def watching(inputs: Sequence[np.ndarray], names: Sequence[str]) -> Iterable[np.ndarray]:
        asked[:] = names
        return activations(inputs, names)

    found = calibrate(graph, SAMPLES, watching, report=silent)
    assert asked == ["data", "a"]
    assert found.layers[1].bottom_scale == found.layers[2].bottom_scale == run().layers[1].bottom_scale


def test_holding_activations_changes_nothing() -> None:
    graph = small_net()
    layers = convolution_layers(graph)
    activations = net_activations(Net.from_graph(graph))
    results = []
    for held_bytes in (0, 2000, 10**9):
        bottoms = Bottoms(layers, SAMPLES, activations, held_bytes=held_bytes)
        ranges = measure_ranges(layers, bottoms)
        assert bottoms.complete == (held_bytes == 10**9)
        counts = [histogram.counts.tolist() for histogram in build_histograms(ranges, bottoms)]
        results.append((ranges, counts))
    assert results[0] == results[1] == results[2]


@dataclass
class Noted:
    """A crew of two that does nothing: it notes the tasks. Of each part the first sample is kept."""

    size: int = 2
    tasks: list[Task] = field(default_factory=list)

    def do(self, tasks: Sequence[Task], tick: Tick) -> Iterator[Answer]:
        self.tasks = list(tasks)
        for position, task in enumerate(tasks):
            value = ([NO_RANGE], 1) if task.method == "ranges" else [empty_histogram(0.0)]
            yield Answer(position, value, f"worker {position % 2}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_a_part_of_which_only_some_is_kept_goes_to_the_worker_that_keeps_it() -> None:
    crew = Noted()
    passes = calibration.Passes(crew, 1, 40, None, lambda stage, done, total: None)
    passes.ranges()
    assert not passes.held
    parts = [task.arguments[0] for task in crew.tasks]
    assert [position for part in parts for position in part] == list(range(40))
    assert [len(part) for part in parts] == sorted((len(part) for part in parts), reverse=True)
    passes.histograms([NO_RANGE])
    assert [task.arguments[0] for task in crew.tasks] == parts
    assert [task.home for task in crew.tasks] == [f"worker {i % 2}" for i in range(len(parts))]


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


SLOW_RUN = """
import sys, time
import fastpath.calibration.checkpoint as checkpoint
from tests.calibration.test_passes import SAMPLES, run
checkpoint.SECONDS_BETWEEN = 0.0
def progress(stage, done, total):
    print(stage, done, flush=True)
    time.sleep(0.05)
run(progress=progress, checkpoint=checkpoint.Checkpoint(sys.argv[1], "same"), workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("line", ["count the absmax 3", "build histogram 3"])
def test_a_killed_calibration_goes_on(line: str, count: int, tmp_path: Path) -> None:
    path = str(tmp_path / "checkpoint")
    command = [sys.executable, "-c", SLOW_RUN, path, str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != line:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    seen: list[tuple[str, int]] = []
    resumed = run(progress=lambda *args: seen.append(args[:2]), checkpoint=Checkpoint(path, "same"))
    assert resumed.rows() == run().rows()
    assert len(seen) < 2 * len(SAMPLES)
