"""Every recorded case of the real tools, on both engines: it agrees, or golden/deviations.toml says why not."""

from __future__ import annotations

import os

import pytest

from fastpath.commands.verdicts.judge import result
from golden import deviations, vectors
from golden.vectors import Case

ALL = os.environ.get("GOLDEN_ALL") == "1"
"""Whether the spec makes every table too, which takes minutes."""

SPEC_TABLES = ("args-", "static-")
"""The names of the tables that the spec makes in any case, without those that need a kl search in plain Python."""

SEARCHES = (
    "tables/args-eq-many-channels",
    "tables/args-list-crlf-blank",
    "tables/args-npy-v2",
    "tables/args-image-raw",
)


def runs() -> list[tuple[str, str]]:
    return [
        (engine, case.id)
        for engine in deviations.ENGINES
        for case in vectors.cases()
        if engine != "spec" or ALL or case.group != "tables" or quick(case)
    ]


def quick(case: Case) -> bool:
    return case.name.startswith(SPEC_TABLES) and case.id not in SEARCHES


@pytest.mark.parametrize(("engine", "name"), runs())
def test_case(engine: str, name: str) -> None:
    outcome, sentence, _ = result(vectors.case(name), engine)
    assert outcome != "failed", sentence
