"""Collected by `pytest --pyargs conformance --implementation …`; see `conformance.pytest_plugin`."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.adapter import Adapter
from conformance.adapters import open_adapter
from conformance.case import Case
from conformance.deviations import Deviation, unmatched
from conformance.generated import Property, run_property
from conformance.pytest_plugin import check_case, judge_result
from conformance.runner import Answers
from conformance.suites import all_cases


def test_case(
    conformance_case: Case, implementation: Adapter, known_deviations: list[Deviation], answers: Answers
) -> None:
    """A stored case."""
    check_case(conformance_case, implementation, known_deviations, answers)


def test_generated(
    conformance_property: Property, implementation: Adapter, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """A generated property."""
    examples = int(pytestconfig.getoption("--conformance-generated"))
    judge_result(run_property(conformance_property, implementation, open_adapter("spec"), examples, folder=tmp_path))


def test_every_deviation_speaks_of_a_case(implementation: Adapter, known_deviations: list[Deviation]) -> None:
    """An entry that matches nothing is a mistake."""
    assert implementation.identity.name
    assert not unmatched(known_deviations, (case.id for case in all_cases()))
