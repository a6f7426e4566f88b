"""Many inputs through the same work, in several processes that share its memory.

Where processes are forked they share the memory of a prepared network until one of them writes to it, which none does;
elsewhere each gets the work pickled, and prepares the network for itself. Results come in the order of the inputs. A
process that dies takes nothing with it silently: the error names the input that it was working on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from fastpath.processes import Worker, asked, end, ready, start, start_method
from spec.errors import AssayError, UsageError

Item = TypeVar("Item")
Found = TypeVar("Found")

AHEAD = 2
"""Inputs given out for each process beyond the result that is waited for."""


@dataclass(frozen=True)
class Failure:
    """What an input that cannot run says, on its way between processes."""

    text: str


def in_order(work: Callable[[Item], Found], inputs: Iterable[Item], workers: int) -> Iterator[Found]:
    """What `work` makes of each of the inputs, in their order, by so many processes, which start with the first.

    Where processes cannot be forked `work` must be picklable. UsageError for fewer than one worker, AssayError for an
    input that cannot run and for a process that dies, both with the number of the input, counted from 0.
    """
    if workers < 1:
        raise UsageError(f"expected at least one worker, but got {workers}")
    if workers == 1:
        return _here(work, inputs)
    return _there(work, inputs, workers)


def _here(work: Callable[[Item], Found], inputs: Iterable[Item]) -> Iterator[Found]:
    for position, item in enumerate(inputs):
        try:
            found = work(item)
        except AssayError as error:
            raise AssayError(f"input {position}: {error}") from error
        yield found


def _there(work: Callable[[Item], Found], inputs: Iterable[Item], workers: int) -> Iterator[Found]:
    crew: list[Worker] = []
    source = enumerate(inputs)
    done: dict[int, Found] = {}
    wanted = given = 0
    more = True
    try:
        for _ in range(workers):
            crew.append(start(_serve, (work,), crew, start_method()))
        while True:
            for worker in crew:
                if more and worker.position is None and given < wanted + workers * AHEAD:
                    task = next(source, None)
                    if task is None:
                        more = False
                        break
                    worker.position, item = task
                    given += 1
                    _send(worker, item)
            while wanted in done:
                yield done.pop(wanted)
                wanted += 1
            busy = [worker for worker in crew if worker.position is not None]
            if not busy:
                if not more and wanted == given:
                    return
                continue
            for worker in ready(busy):
                position, found = _receive(worker)
                done[position] = found
    finally:
        end(crew)


def _send(worker: Worker, item: object) -> None:
    try:
        worker.connection.send(item)
    except OSError:
        raise _death(worker) from None


def _receive(worker: Worker) -> tuple[int, Any]:
    """The result that a process has sent, which is free afterwards."""
    position = worker.position
    assert position is not None
    try:
        answer = worker.connection.recv()
    except (EOFError, OSError):
        raise _death(worker) from None
    worker.position = None
    if isinstance(answer, Failure):
        raise AssayError(f"input {position}: {answer.text}")
    return position, answer


def _death(worker: Worker) -> AssayError:
    worker.process.join(timeout=5)
    code = worker.process.exitcode
    how = f"by signal {-code}" if code is not None and code < 0 else f"with exit status {code}"
    return AssayError(f"input {worker.position}: the process that worked on it ended {how}")


def _serve(connection: Connection[Any, Any], work: Callable[[Any], Any]) -> None:
    """The life of a process: inputs in, results or failures out."""
    for item in asked(connection):
        try:
            answer = work(item)
        except AssayError as error:
            answer = Failure(str(error))
        connection.send(answer)
