"""A crew of processes on this machine. One that dies is replaced, and its task is done again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Self

from fastpath.calibration.bottoms import Activations, Tick
from fastpath.calibration.crew import ATTEMPTS, LOST, Answer, Failures, Fault, Job, Share, Task
from fastpath.processes import FORK, Worker, asked, end, ready, start, start_method
from spec.errors import AssayError, CalibrationError


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
        end(self._workers)

    def do(self, tasks: Sequence[Task], tick: Tick) -> Iterator[Answer]:
        """The answers as they come."""
        queue, failures = Queue(tasks), Failures()
        self._give_tasks(queue)
        while busy := [worker for worker in self._workers if worker.position is not None]:
            for worker in ready(busy):
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
        activations = self._activations if method == FORK else None
        return start(serve, (self._job, activations), self._workers, method)

    def _replace(self, lost: Worker) -> Worker:
        """A new process in the place of one that died."""
        lost.connection.close()
        lost.process.join()
        worker = self._start()
        self._workers[self._workers.index(lost)] = worker
        return worker


def serve(connection: Connection[Any, Any], job: Job, activations: Activations | None) -> None:
    """The life of a process: tasks in, answers out."""
    share: Share | None = None
    for task in asked(connection):
        try:
            share = share or Share(job, activations)
            value = share.do(task, lambda: connection.send(("tick", None)))
        except AssayError as error:
            value = Fault.of(error)
        connection.send(("answer", value))
