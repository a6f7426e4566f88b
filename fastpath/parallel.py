"""Many inputs through one network, in several processes that share its weights.

Where processes can be forked they share the memory of the prepared network until one of them writes to it, which none
does; elsewhere each prepares the network for itself. Results come in the order of the inputs. A process that dies takes
nothing with it silently: the error names the input that it was working on.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from fastpath.layers.common import Array
from spec.errors import AssayError, UsageError

Feeds = Mapping[str, object]
Blobs = dict[str, Array]
Infer = Callable[[Feeds], Blobs]
"""Runs the network once."""

AHEAD = 2
"""Inputs given out for each process beyond the result that is waited for."""


@dataclass(eq=False)
class Worker:
    """A process, our end of the pipe to it, and the number of the input that it works on."""

    process: BaseProcess
    connection: Connection[Any, Any]
    position: int | None = None


def in_order(infer: Infer, rebuild: Callable[[], Infer], inputs: Iterable[Feeds], workers: int) -> Iterator[Blobs]:
    """The blobs for each of the inputs, in their order, by so many processes.

    `infer` runs here and in forked processes; processes that start from nothing get the picklable `rebuild`.
    UsageError for fewer than one worker, AssayError for an input that cannot run and for a process that dies, both
    with the number of the input, counted from 0.
    """
    if workers < 1:
        raise UsageError(f"map needs at least one worker, not {workers}")
    if workers == 1:
        return _here(infer, inputs)
    return _there(infer, rebuild, inputs, workers)


def _here(infer: Infer, inputs: Iterable[Feeds]) -> Iterator[Blobs]:
    for position, feeds in enumerate(inputs):
        try:
            blobs = infer(feeds)
        except AssayError as error:
            raise AssayError(f"input {position}: {error}") from error
        yield blobs


def _there(infer: Infer, rebuild: Callable[[], Infer], inputs: Iterable[Feeds], workers: int) -> Iterator[Blobs]:
    crew = [_start(infer, rebuild) for _ in range(workers)]
    source = enumerate(inputs)
    done: dict[int, Blobs] = {}
    wanted = given = 0
    more = True
    try:
        while True:
            for worker in crew:
                if more and worker.position is None and given < wanted + workers * AHEAD:
                    task = next(source, None)
                    if task is None:
                        more = False
                        break
                    worker.position, feeds = task
                    given += 1
                    _send(worker, feeds)
            while wanted in done:
                yield done.pop(wanted)
                wanted += 1
            busy = {id(worker.connection): worker for worker in crew if worker.position is not None}
            if not busy:
                if not more and wanted == given:
                    return
                continue
            for connection in wait([worker.connection for worker in busy.values()]):
                worker = busy[id(connection)]
                position, blobs = _receive(worker)
                done[position] = blobs
    finally:
        for worker in crew:
            worker.connection.close()
            worker.process.terminate()
        for worker in crew:
            worker.process.join()


def _send(worker: Worker, feeds: Feeds) -> None:
    try:
        worker.connection.send(dict(feeds))
    except OSError:
        raise _death(worker) from None


def _receive(worker: Worker) -> tuple[int, Blobs]:
    """The result that a process has sent, which is free afterwards."""
    position = worker.position
    assert position is not None
    try:
        answer = worker.connection.recv()
    except (EOFError, OSError):
        raise _death(worker) from None
    worker.position = None
    if isinstance(answer, str):
        raise AssayError(f"input {position}: {answer}")
    return position, answer


def _death(worker: Worker) -> AssayError:
    worker.process.join(timeout=5)
    code = worker.process.exitcode
    how = f"by signal {-code}" if code is not None and code < 0 else f"with exit status {code}"
    return AssayError(f"input {worker.position}: the process that worked on it ended {how}")


def _start(infer: Infer, rebuild: Callable[[], Infer]) -> Worker:
    forks = sys.platform == "linux" and threading.active_count() == 1
    context = multiprocessing.get_context("fork" if forks else "spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, infer, None) if forks else (theirs, None, rebuild)
    process = context.Process(target=_work, args=arguments, daemon=True)  # type: ignore[attr-defined]
    process.start()
    theirs.close()
    return Worker(process, ours)


def _work(connection: Connection[Any, Any], infer: Infer | None, rebuild: Callable[[], Infer] | None) -> None:
    """The life of a process: inputs in, blobs or the message of an error out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if infer is None:
        assert rebuild is not None
        infer = rebuild()
    while True:
        try:
            feeds = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Blobs | str = infer(feeds)
        except AssayError as error:
            answer = str(error)
        connection.send(answer)
