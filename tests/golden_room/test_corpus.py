"""Every recorded case of the real tools, on both engines: it agrees, or golden/deviations.toml says why not."""

from __future__ import annotations

import os
from contextlib import nullcontext

import pytest

from fastpath.commands.verdicts.judge import result
from golden import deviations, vectors
from tests.golden_room.fast_search import fast_search

ALL = os.environ.get("GOLDEN_ALL") == "1"
"""Whether the spec's own kl search makes the tables, which takes minutes; else the fast path's does it for the spec."""


@pytest.mark.parametrize("engine", deviations.ENGINES)
@pytest.mark.parametrize("name", [case.id for case in vectors.cases()])
def test_case(engine: str, name: str) -> None:
    with nullcontext() if ALL else fast_search():
        outcome, sentence, _ = result(vectors.case(name), engine)
    assert outcome != "failed", sentence
