"""A crew of processes on this machine.

Where it is safe, processes are forked: they share the memory of the model and start in milliseconds. That is on Linux,
while no other Python thread runs. Elsewhere a server process, which has imported everything, forks them; or they start
from nothing. A process that dies is replaced, and its task is done again.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Self

from fastpath.calibration.bottoms import Activations, Tick
from fastpath.calibration.crew import ATTEMPTS, LOST, Answer, Failures, Fault, Job, Share, Task
from spec.errors import AssayError, CalibrationError


def start_method() -> str:
    """How processes start here."""
    if sys.platform == "linux" and threading.active_count() == 1:
        return "fork"
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


@dataclass(eq=False)
class Worker:
    """A process, our end of the pipe to it, and the position of the task that it does."""

    process: BaseProcess
    connection: Connection[Any, Any]
    position: int | None = None


@dataclass
class Queue:
    """The tasks of one call: those that wait, in order, and how often each was tried."""

    tasks: Sequence[Task]
    waiting: list[int] = field(init=False)
    attempts: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting = list(range(len(self.tasks)))

    def next_for(self, worker: Worker, others: Sequence[Worker]) -> int | None:
        """The first task of this worker's own, or else the first that is nobody's; None if there is neither."""
        for mine in (True, False):
            for position in self.waiting:
                home = self.tasks[position].home
                if home is worker if mine else home not in others:
                    self.waiting.remove(position)
                    return position
        return None

    def again(self, position: int) -> None:
        """Do a task once more, or CalibrationError if that has not helped so far."""
        self.attempts[position] = self.attempts.get(position, 1) + 1
        if self.attempts[position] > ATTEMPTS:
            raise CalibrationError(LOST)
        self.waiting = sorted([*self.waiting, position])


class Processes:
    """So many processes, each with its share of the memory. Use it as a context; leaving it ends them."""

    def __init__(self, job: Job, activations: Activations, count: int) -> None:
        self.size = count
        self._job = Job(job.graph, job.samples, job.upstream, job.held_bytes // count)
        self._activations = activations
        self._workers: list[Worker] = []

    def __enter__(self) -> Self:
        for _ in range(self.size):
            self._workers.append(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()

    def do(self, tasks: Sequence[Task], tick: Tick) -> Iterator[Answer]:
        """The answers as they come."""
        queue, failures = Queue(tasks), Failures()
        self._give_tasks(queue)
        while busy := {worker.connection: worker for worker in self._workers if worker.position is not None}:
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                position = worker.position
                assert position is not None
                try:
                    kind, value = worker.connection.recv()
                except (EOFError, OSError):
                    self._replace(worker)
                    queue.again(position)
                    continue
                if kind == "tick":
                    tick()
                    continue
                worker.position = None
                if isinstance(value, Fault):
                    failures.found[position] = value
                elif failures.allow(position):
                    yield Answer(position, value, worker)
            queue.waiting = [position for position in queue.waiting if failures.allow(position)]
            self._give_tasks(queue)
        failures.raise_first()

    def _give_tasks(self, queue: Queue) -> None:
        """Give each idle process a task, if there is one for it."""
        for worker in list(self._workers):
            while worker.position is None:
                position = queue.next_for(worker, self._workers)
                if position is None:
                    break
                worker.position = position
                try:
                    task = queue.tasks[position]
                    worker.connection.send(Task(task.method, task.arguments, task.samples))
                except OSError:
                    worker = self._replace(worker)
                    queue.again(position)

    def _start(self) -> Worker:
        method = start_method()
        context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload([__name__])
        ours, theirs = context.Pipe()
        arguments: tuple[Any, ...] = (theirs, self._job, None, [])
        if method == "fork":
            inherited = [ours, *(worker.connection for worker in self._workers if not worker.connection.closed)]
            arguments = (theirs, self._job, self._activations, inherited)
        process: BaseProcess = context.Process(target=serve, args=arguments, daemon=True)
        with warnings.catch_warnings():  # Python warns of the threads of BLAS, which look after themselves
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        return Worker(process, ours)

    def _replace(self, lost: Worker) -> Worker:
        """A new process in the place of one that died."""
        lost.connection.close()
        lost.process.join()
        worker = self._start()
        self._workers[self._workers.index(lost)] = worker
        return worker


def serve(
    connection: Connection[Any, Any],
    job: Job,
    activations: Activations | None,
    inherited: Sequence[Connection[Any, Any]],
) -> None:
    """The life of a process: do tasks until nobody asks any more. Ctrl-C is for the process that asks.

    `inherited` are ends of pipes that a fork has copied: while they were open, nobody would notice that the asking
    process is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for copied in inherited:
        copied.close()
    try:
        share: Share | None = None
        while True:
            task = connection.recv()
            try:
                share = share or Share(job, activations)
                value = share.do(task, lambda: connection.send(("tick", None)))
            except AssayError as error:
                value = Fault.of(error)
            connection.send(("answer", value))
    except (EOFError, OSError):
        pass
