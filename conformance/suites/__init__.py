"""The suites by name: each a function that yields its cases in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from conformance.case import Case
from conformance.suites import layers, recurrent

SUITES: dict[str, Callable[[], Iterator[Case]]] = {"recurrent": recurrent.cases, "layers": layers.cases}
"""What `--suite` knows."""


def all_cases(suite: str = "") -> Iterator[Case]:
    """The cases of one suite, or of all. KeyError for a suite that does not exist."""
    for name in [suite] if suite else SUITES:
        yield from SUITES[name]()
