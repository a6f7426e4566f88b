"""Who works on a calibration: one thread, processes, or any executor. The same tasks get the same answers from all.

A task is a method of `Share`, which is what each process needs: the network, the samples, and the activations that it
has kept. Tasks may run anywhere, in any order, and again if a process dies on the way.
"""

from __future__ import annotations

import os
import pickle
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from fastpath.calibration.bottoms import Activations, Bottoms, Sample, Tick, net_activations
from fastpath.calibration.eq import search_scales
from fastpath.calibration.eq_form import Pair
from fastpath.calibration.kl import KlThreshold, kl_threshold
from fastpath.calibration.statistics import Histogram, Range
from fastpath.calibration.weight_scales import convolution_layers
from fastpath.net import Net
from spec.errors import AssayError, CalibrationError
from spec.graph import Graph

LOST = "a worker process ended before its work was done, again and again"
"""The message when processes die and trying again does not help: killed for their memory, perhaps."""

ATTEMPTS = 3
"""How often a task is tried before dying processes are an error."""


@dataclass(frozen=True)
class Job:
    """What is to be calibrated. `held_bytes` is for one process."""

    graph: Graph
    samples: Sequence[Sample]
    upstream: bool
    held_bytes: int


@dataclass(frozen=True)
class Task:
    """A call of a method of `Share`, which runs so many samples. `home` is the worker that should do it, if any."""

    method: str
    arguments: tuple[Any, ...]
    samples: int = 0
    home: object = None


@dataclass(frozen=True)
class Answer:
    """What came of a task: its position, its value, and who did it."""

    position: int
    value: Any
    worker: object


class Share:
    """What one process works with."""

    def __init__(self, job: Job, activations: Activations | None = None) -> None:
        layers = convolution_layers(job.graph)
        activations = activations or net_activations(Net.from_graph(job.graph))
        self.bottoms = Bottoms(layers, job.samples, activations, job.upstream, job.held_bytes, job.graph)

    def ranges(self, positions: Sequence[int], tick: Tick) -> tuple[list[Range], int]:
        """The ranges of some samples, and for how many of them the activations are kept."""
        return self.bottoms.ranges(positions, tick), self.bottoms.kept(positions)

    def histograms(self, positions: Sequence[int], ranges: Sequence[Range], tick: Tick) -> list[Histogram]:
        """The histograms of some samples."""
        return self.bottoms.histograms(positions, ranges, tick)

    def threshold(self, histogram: Histogram, tick: Tick) -> KlThreshold:
        """What kl makes of a histogram."""
        return kl_threshold(histogram)

    def search(
        self, index: int, positions: Sequence[int], weight_scales: list[float], bottom_scale: float, tick: Tick
    ) -> tuple[list[float], float, list[str]]:
        """What eq makes of the scales of a layer, and the lines that it reports."""
        layer = self.bottoms.layers[index]
        pairs = [self._pair(index, position, tick) for position in positions]
        lines: list[str] = []
        weights, bottom = search_scales(layer, pairs, weight_scales, bottom_scale, report=lines.append)
        return weights, bottom, lines

    def _pair(self, index: int, position: int, tick: Tick) -> Pair:
        tick()
        layer = self.bottoms.layers[index]
        inputs = self.bottoms.samples[position].load()
        bottom, top = self.bottoms.activations(inputs, [layer.bottoms[0], layer.tops[0]])
        return bottom, top

    def do(self, task: Task, tick: Tick) -> Any:
        """The value of a task."""
        return getattr(self, task.method)(*task.arguments, tick)


@dataclass(frozen=True)
class Fault:
    """An error of this project on its way between processes: its constructor does not run again."""

    kind: type[AssayError]
    text: str
    fields: dict[str, Any]

    @classmethod
    def of(cls, error: AssayError) -> Self:
        """What travels of an error."""
        return cls(type(error), str(error), vars(error))

    def error(self) -> AssayError:
        """The error."""
        error = self.kind.__new__(self.kind, self.text)
        error.args = (self.text,)
        vars(error).update(self.fields)
        return error


@dataclass
class Failures:
    """The faults of tasks: that of the earliest task counts, as if one had followed the other."""

    found: dict[int, Fault] = field(default_factory=dict)

    def allow(self, position: int) -> bool:
        """Whether a task still matters."""
        return not self.found or position < min(self.found)

    def raise_first(self) -> None:
        """Raise the error of the earliest task, if there is one."""
        if self.found:
            raise self.found[min(self.found)].error()


class Crew(Protocol):
    """Does tasks; a context, at whose end it goes home."""

    @property
    def size(self) -> int:
        """How many tasks it does at a time; 0 if in this thread, one after the other."""

    def do(self, tasks: Sequence[Task], tick: Tick) -> Iterator[Answer]:
        """The answers as they come. The error of the earliest task that fails is raised, after those before it."""

    def __enter__(self) -> Self:
        """Start."""

    def __exit__(self, *_: object) -> None:
        """Stop."""


class Alone:
    """The thread that asks."""

    size = 0

    def __init__(self, job: Job, activations: Activations) -> None:
        self._share = Share(job, activations)

    def do(self, tasks: Sequence[Task], tick: Tick) -> Iterator[Answer]:
        """The answers in order."""
        for position, task in enumerate(tasks):
            yield Answer(position, self._share.do(task, tick), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Executors:
    """Any executor of `concurrent.futures`. It is not shut down at the end.

    Each task brings the pickled job, which a process unpacks once. A task whose process dies is submitted again, and so
    it helps if the executor replaces processes; that of the standard library does not.
    """

    def __init__(self, job: Job, executor: Executor, workers: int | None = None) -> None:
        self.size = workers or getattr(executor, "_max_workers", None) or os.cpu_count() or 1
        shares = 1 if isinstance(executor, ThreadPoolExecutor) else self.size
        self._token = uuid.uuid4().hex
        self._job = pickle.dumps(Job(job.graph, job.samples, job.upstream, job.held_bytes // shares))
        self._executor = executor

    def submit(self, task: Task) -> Future[tuple[object, Any]]:
        """Send a task on its way."""
        return self._executor.submit(do_task, self._token, self._job, task)

    def recover(self) -> None:
        """Called after a process died, before its task is submitted again."""

    def do(self, tasks: Sequence[Task], tick: Tick) -> Iterator[Answer]:
        """The answers as they come."""
        failures = Failures()
        attempts = dict.fromkeys(range(len(tasks)), 1)
        pending = {self._submit(task): position for position, task in enumerate(tasks)}
        try:
            while pending:
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    position = pending.pop(future)
                    try:
                        worker, value = future.result()
                    except Exception as error:  # executors have errors of their own for dead processes
                        attempts[position] += 1
                        if attempts[position] > ATTEMPTS:
                            raise CalibrationError(f"{LOST}: {error!r}") from error
                        self.recover()
                        pending[self._submit(tasks[position])] = position
                        continue
                    for _ in range(tasks[position].samples):
                        tick()
                    if isinstance(value, Fault):
                        failures.found[position] = value
                    elif failures.allow(position):
                        yield Answer(position, value, worker)
                if not any(failures.allow(position) for position in pending.values()):
                    break
        finally:
            for future in pending:
                future.cancel()
        failures.raise_first()

    def _submit(self, task: Task) -> Future[tuple[object, Any]]:
        try:
            return self.submit(task)
        except RuntimeError as error:
            raise CalibrationError(f"{LOST}: {error!r}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        forget(self._token)


SHARES: dict[str, Share] = {}
"""The share of this process in the job that it does for an executor, by the job's token: one, or none."""

_SHARES_LOCK = threading.Lock()


def do_task(token: str, job: bytes, task: Task) -> tuple[object, Any]:
    """Do a task in whatever process an executor runs it: who did it, and the value or a `Fault`."""
    try:
        with _SHARES_LOCK:
            if token not in SHARES:
                SHARES.clear()
                SHARES[token] = Share(pickle.loads(job))
            share = SHARES[token]
        return os.getpid(), share.do(task, lambda: None)
    except AssayError as error:
        return os.getpid(), Fault.of(error)


def forget(token: str) -> None:
    """Give back the memory of a job."""
    SHARES.pop(token, None)
