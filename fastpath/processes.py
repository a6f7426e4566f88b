"""Processes on this machine, each at the other end of a pipe.

Where it is safe, processes are forked: they share the memory of what is prepared and start in milliseconds. That is on
Linux, while no other Python thread runs. Elsewhere a server process, which has imported everything, forks them; or they
start from nothing.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

FORK = "fork"
SERVER = "forkserver"


@dataclass(eq=False)
class Worker:
    """A process, our end of the pipe to it, and the number of what it works on."""

    process: BaseProcess
    connection: Connection[Any, Any]
    position: int | None = None


def start_method() -> str:
    """How processes start here."""
    if sys.platform == "linux" and threading.active_count() == 1:
        return FORK
    return SERVER if SERVER in multiprocessing.get_all_start_methods() else "spawn"


def start(serve: Callable[..., None], arguments: tuple[Any, ...], others: Iterable[Worker], method: str) -> Worker:
    """A process that runs `serve(connection, *arguments)`, beside those that run already.

    Unless it is forked, its arguments are pickled.
    """
    context: Any = multiprocessing.get_context(method)
    if method == SERVER:
        context.set_forkserver_preload([serve.__module__])
    ours, theirs = context.Pipe()
    open_ends = [worker.connection for worker in others if not worker.connection.closed]
    inherited = [ours, *open_ends] if method == FORK else []
    process: BaseProcess = context.Process(target=_live, args=(theirs, inherited, serve, arguments), daemon=True)
    with warnings.catch_warnings():  # Python warns of the threads of BLAS, which look after themselves
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    theirs.close()
    return Worker(process, ours)


def _live(
    connection: Connection[Any, Any],
    inherited: Sequence[Connection[Any, Any]],
    serve: Callable[..., None],
    arguments: tuple[Any, ...],
) -> None:
    """The life of a process. Ctrl-C is for the process that asks.

    `inherited` are ends of pipes that a fork has copied: while they were open, nobody would notice that the asking
    process is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # a collector that looked at what a fork shares would copy it
    for copied in inherited:
        copied.close()
    with suppress(BrokenPipeError):
        serve(connection, *arguments)


def asked(connection: Connection[Any, Any]) -> Iterator[Any]:
    """In a process: what it is asked for, until nobody asks any more."""
    while True:
        try:
            question = connection.recv()
        except (EOFError, OSError):
            return
        yield question


def ready(workers: Iterable[Worker]) -> list[Worker]:
    """Those that have something to say or have died, as soon as there is one."""
    ends = {id(worker.connection): worker for worker in workers}
    return [ends[id(end)] for end in wait([worker.connection for worker in ends.values()])]


def end(workers: Sequence[Worker]) -> None:
    """End processes, whatever they are doing."""
    for worker in workers:
        worker.connection.close()
        worker.process.terminate()
    for worker in workers:
        worker.process.join()
