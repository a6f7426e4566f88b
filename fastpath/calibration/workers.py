"""The two passes of calibration in several processes, each with its own network and its own share of the samples.

Statistics merge in any order, so the table is the same for every number of processes.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Self

from fastpath.calibration.statistics import Histogram, Range
from spec.errors import AssayError, CalibrationError
from spec.graph import Graph

LOST = "a worker process ended before its work was done"
"""The message when a process dies: killed for its memory, perhaps."""


class Share:
    """What one process works on: its samples, the first of which has position `first` in the whole list."""

    def __init__(self, graph: Graph, samples: Sequence[Any], first: int, upstream: bool, held_bytes: int) -> None:
        from fastpath.calibration.calibrate import Bottoms, net_activations
        from fastpath.calibration.weight_scales import convolution_layers
        from fastpath.net import Net

        self.first = first
        self.layers = convolution_layers(graph)
        activations = net_activations(Net.from_graph(graph))
        self.bottoms = Bottoms(self.layers, samples, activations, upstream, held_bytes)


class Workers:
    """Processes that measure ranges and build histograms. Use it as a context; leaving it ends them."""

    def __init__(self, graph: Graph, samples: Sequence[Any], count: int, *, upstream: bool, held_bytes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._total = len(samples)
        self._connections: list[Connection[Any, Any]] = []
        self._processes = []
        count = min(count, len(samples))
        for i in range(count):
            first, last = len(samples) * i // count, len(samples) * (i + 1) // count
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)
            _send(ours, (graph, samples[first:last], first, upstream, held_bytes // count))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.terminate()
            process.join()

    def ranges(self, progress: Callable[[str, int, int], None]) -> list[Range]:
        """The first pass."""
        return self._merged("count the absmax", ("ranges",), progress)

    def histograms(self, ranges: Sequence[Range], progress: Callable[[str, int, int], None]) -> list[Histogram]:
        """The second pass."""
        return self._merged("build histogram", ("histograms", list(ranges)), progress)

    def _merged(self, stage: str, request: tuple[Any, ...], progress: Callable[[str, int, int], None]) -> list[Any]:
        """The answers of all processes, merged; the error of the earliest sample if there is one."""
        for connection in self._connections:
            _send(connection, request)
        answers: dict[int, Any] = {}
        done = 0
        while len(answers) < len(self._connections):
            pending = [each for i, each in enumerate(self._connections) if i not in answers]
            for ready in wait(pending):
                index = next(i for i, each in enumerate(self._connections) if each is ready)
                kind, value = _receive(self._connections[index])
                if kind == "progress":
                    progress(stage, done, self._total)
                    done += 1
                else:
                    answers[index] = (kind, value)
        for index in sorted(answers):
            kind, value = answers[index]
            if kind == "error":
                raise _rebuilt(*value)
        merged: list[Any] = answers[0][1]
        for index in range(1, len(answers)):
            merged = [a.merge(b) for a, b in zip(merged, answers[index][1], strict=True)]
        return merged


def _send(connection: Connection[Any, Any], message: tuple[Any, ...]) -> None:
    try:
        connection.send(message)
    except OSError as error:
        raise CalibrationError(LOST) from error


def _receive(connection: Connection[Any, Any]) -> tuple[str, Any]:
    try:
        message: tuple[str, Any] = connection.recv()
    except (EOFError, OSError) as error:
        raise CalibrationError(LOST) from error
    return message


def _serve(connection: Connection[Any, Any]) -> None:
    """The life of a process: answer requests until nobody asks any more."""
    from fastpath.calibration.calibrate import build_histograms, measure_ranges

    def progress(stage: str, done: int, total: int) -> None:
        connection.send(("progress", done))

    try:
        mine = Share(*connection.recv())
        while True:
            request = connection.recv()
            if request[0] == "ranges":
                answer: list[Any] = measure_ranges(mine.layers, mine.bottoms, first=mine.first, progress=progress)
            else:
                answer = build_histograms(request[1], mine.bottoms, progress=progress)
            connection.send(("answer", answer))
    except AssayError as error:
        connection.send(("error", (type(error), str(error), vars(error))))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        pass


def _rebuilt(kind: type[AssayError], text: str, fields: dict[str, Any]) -> AssayError:
    """An error from another process, with its fields but without running its constructor again."""
    error = kind.__new__(kind, text)
    error.args = (text,)
    vars(error).update(fields)
    return error
