"""The suites by name: each a function that yields its cases in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from conformance.case import Case
from conformance.suites import carried, consistency, layers, recurrent, recurrent_nets


def _int8_layers() -> Iterator[Case]:
    yield from layers.cases()
    yield from carried.layers()
    yield from consistency.layer_cases()


def _recurrent() -> Iterator[Case]:
    yield from recurrent.cases()
    yield from recurrent_nets.cases()
    yield from carried.recurrent_layers()
    yield from consistency.recurrent_cases()


SUITES: dict[str, Callable[[], Iterator[Case]]] = {
    "formats": carried.formats,
    "tables": carried.tables,
    "int8-layers": _int8_layers,
    "recurrent": _recurrent,
    "models": carried.models,
}
"""What `--suite` knows."""


def all_cases(suite: str = "") -> Iterator[Case]:
    """The cases of one suite, or of all. KeyError for a suite that does not exist."""
    for name in [suite] if suite else SUITES:
        yield from _cases(name)


@cache
def _cases(name: str) -> tuple[Case, ...]:
    return tuple(SUITES[name]())
