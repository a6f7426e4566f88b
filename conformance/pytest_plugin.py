"""The suites under pytest, for the CI of an implementation.

    pytest --pyargs conformance --implementation package.module:factory
    pytest --pyargs conformance --implementation subprocess --conformance-program ./port --conformance-suite recurrent
    pytest --pyargs conformance --implementation package.module:factory --conformance-generated 50

Every case is a test named after its id. A case that does not apply, or is skipped, is skipped with its reason; a listed
deviation is an expected failure, and passes nowhere.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conformance.adapter import Adapter
    from conformance.case import Case
    from conformance.deviations import Deviation
    from conformance.runner import Answers, Result

SKIPPED = ("not-applicable", "skipped")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the suites."""
    group = parser.getgroup("conformance", "conformance to ncnn's int8")
    group.addoption("--implementation", metavar="ADAPTER", help="spec, fastpath, wheel, subprocess, package.module:f …")
    group.addoption("--conformance-program", default="", metavar="COMMAND", help="of the adapters subprocess and file")
    group.addoption(
        "--conformance-suite", default="", help="formats, tables, int8-layers, recurrent or models; without it all"
    )
    group.addoption("--conformance-case", action="append", default=[], metavar="GLOB", help="cases whose id matches")
    group.addoption("--conformance-deviations", default="", metavar="FILE", help="TOML file of known deviations")
    group.addoption(
        "--conformance-generated", type=int, default=0, metavar="N", help="examples for each generated property"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each case that was chosen, and for each property."""
    chosen = metafunc.config.getoption("--implementation")
    if "conformance_case" in metafunc.fixturenames:
        from conformance.runner import select
        from conformance.suites import all_cases

        patterns = metafunc.config.getoption("--conformance-case")
        cases = list(select(all_cases(metafunc.config.getoption("--conformance-suite")), patterns)) if chosen else []
        metafunc.parametrize("conformance_case", cases, ids=[case.id for case in cases])
    if "conformance_property" in metafunc.fixturenames:
        properties: tuple[Any, ...] = ()
        if chosen and metafunc.config.getoption("--conformance-generated"):
            from conformance.generated import PROPERTIES

            properties = PROPERTIES
        metafunc.parametrize("conformance_property", properties, ids=[p.name for p in properties])


@pytest.fixture(scope="session")
def implementation(pytestconfig: pytest.Config) -> Iterator[Adapter]:
    """The adapter under test."""
    from conformance.adapters import open_adapter

    adapter = open_adapter(
        str(pytestconfig.getoption("--implementation")), shlex.split(pytestconfig.getoption("--conformance-program"))
    )
    yield adapter
    adapter.close()


@pytest.fixture(scope="session")
def known_deviations(pytestconfig: pytest.Config) -> list[Deviation]:
    """The entries of the file that was named, or of the one beside the adapter."""
    from conformance.command_line import find_deviations

    path = pytestconfig.getoption("--conformance-deviations")
    return find_deviations(Path(path) if path else None, str(pytestconfig.getoption("--implementation")))


@pytest.fixture(scope="session")
def answers() -> Answers:
    """What groups of cases answered so far."""
    return {}


def judge_result(result: Result) -> None:
    """Turn an outcome into pytest's."""
    if result.outcome in SKIPPED:
        pytest.skip(f"{result.outcome}: {result.message}")
    if result.outcome == "deviating":
        pytest.xfail(result.message)
    if result.outcome != "passed":
        pytest.fail("\n".join([f"{result.outcome} [{result.level}]", result.message, *result.diagnosis]), pytrace=False)


def check_case(case: Case, adapter: Adapter, deviations: list[Deviation], answers: Answers) -> None:
    """Run one case, with a diagnosis where it fails."""
    from conformance.command_line import spec_tracer
    from conformance.runner import run_case

    judge_result(run_case(adapter, case, deviations, spec_tracer(), answers))
