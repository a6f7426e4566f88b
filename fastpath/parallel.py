"""Many inputs through the same work, in several processes that share its memory.

Where processes can be forked they share the memory of a prepared network until one of them writes to it, which none
does; elsewhere each gets the work pickled, and prepares the network for itself. Results come in the order of the
inputs. A process that dies takes nothing with it silently: the error names the input that it was working on.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from spec.errors import AssayError, UsageError

Item = TypeVar("Item")
Found = TypeVar("Found")

AHEAD = 2
"""Inputs given out for each process beyond the result that is waited for."""


@dataclass(frozen=True)
class Failure:
    """What an input that cannot run says, on its way between processes."""

    text: str


@dataclass(eq=False)
class Worker:
    """A process, our end of the pipe to it, and the number of the input that it works on."""

    process: BaseProcess
    connection: Connection[Any, Any]
    position: int | None = None


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
            crew.append(_start(work, crew))
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
            busy = {id(worker.connection): worker for worker in crew if worker.position is not None}
            if not busy:
                if not more and wanted == given:
                    return
                continue
            for connection in wait([worker.connection for worker in busy.values()]):
                position, found = _receive(busy[id(connection)])
                done[position] = found
    finally:
        for worker in crew:
            worker.connection.close()
            worker.process.terminate()
        for worker in crew:
            worker.process.join()


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


def _start(work: Callable[[Any], Any], crew: list[Worker]) -> Worker:
    forks = sys.platform == "linux" and threading.active_count() == 1
    context = multiprocessing.get_context("fork" if forks else "spawn")
    ours, theirs = context.Pipe()
    inherited = [ours, *(worker.connection for worker in crew)] if forks else []
    process = context.Process(target=_serve, args=(theirs, work, inherited), daemon=True)  # type: ignore[attr-defined]
    process.start()
    theirs.close()
    return Worker(process, ours)


def _serve(connection: Connection[Any, Any], work: Callable[[Any], Any], inherited: list[Connection[Any, Any]]) -> None:
    """The life of a process: inputs in, results or failures out.

    `inherited` are ends of pipes that a fork has copied: while they were open, nobody would notice that the process
    that gives out inputs is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for copied in inherited:
        copied.close()
    while True:
        try:
            item = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer = work(item)
        except AssayError as error:
            answer = Failure(str(error))
        connection.send(answer)
