"""The suites by name: each a function that yields its cases in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from conformance.case import Case
from conformance.runner import SMOKE_FLAG
from conformance.suites import carried, consistency, layers, recurrent, recurrent_nets


def _int8_layers() -> Iterator[Case]:
    yield from layers.cases()
    yield from carried.layers()
    yield from consistency.layer_cases()


def _recurrent(flag: str = "") -> Iterator[Case]:
    yield from recurrent.cases(flag)
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


def smoke_cases(suite: str = "") -> Iterator[Case]:
    """The few cases that tell whether an adapter works at all; the others are not even built where they are many."""
    for name in [suite] if suite else SUITES:
        found = _recurrent(SMOKE_FLAG) if name == "recurrent" else _cases(name)
        yield from (case for case in found if SMOKE_FLAG in case.flags)


@cache
def _cases(name: str) -> tuple[Case, ...]:
    return tuple(SUITES[name]())
