"""The suite sees through every wrong implementation of the zoo."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.case import Case
from conformance.runner import run_case
from conformance.suites import recurrent
from tests.conformance.mutants import MUTANTS, Mutant

PAGE = Path(__file__).resolve().parents[2] / "docs" / "mutants.md"


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {case.id: case for case in recurrent.cases()}


def rows() -> dict[str, tuple[str, str]]:
    """Mutant to fault and catching case, as the page has them."""
    found = re.findall(r"^\| `(\S+)` \| (.+) \| `(\S+)` \| \d+ of \d+ \|$", PAGE.read_text(encoding="utf-8"), re.M)
    return {name: (fault, case_id) for name, fault, case_id in found}


def test_the_page_lists_the_zoo() -> None:
    assert {name: fault for name, (fault, _) in rows().items()} == MUTANTS
    assert len(MUTANTS) >= 20


@pytest.mark.parametrize("name", MUTANTS)
def test_caught_by_the_named_case(name: str, cases: dict[str, Case]) -> None:
    assert run_case(Mutant(name), cases[rows()[name][1]]).outcome in ("failed", "errored")


def test_without_a_fault_it_is_right(cases: dict[str, Case]) -> None:
    named = {case_id for _, case_id in rows().values()}
    assert {run_case(Mutant(), cases[case_id]).outcome for case_id in named} == {"passed"}
    assert {run_case(Mutant(), case).outcome for case in list(cases.values())[::7]} == {"passed"}
