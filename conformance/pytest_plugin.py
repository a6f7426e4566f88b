"""The suites under pytest, for the CI of an implementation.

    pytest --pyargs conformance --implementation package.module:factory
    pytest --pyargs conformance --implementation subprocess --conformance-program ./port --conformance-suite recurrent
    pytest --pyargs conformance --implementation package.module:factory --conformance-generated 50

Every case is a test named after its id. A case that does not apply, or is skipped, is skipped with its reason; a listed
deviation is an expected failure, and passes nowhere.
"""

from __future__ import annotations

import contextlib
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
BROKEN = 2
"""Exit status, as of the command."""


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
    if "conformance_case" in metafunc.fixturenames:
        cases = chosen_cases(metafunc.config)
        metafunc.parametrize("conformance_case", cases, ids=[case.id for case in cases])
    if "conformance_property" in metafunc.fixturenames:
        properties: tuple[Any, ...] = ()
        if metafunc.config.getoption("--conformance-generated"):
            from conformance.generated import PROPERTIES

            properties = PROPERTIES
        metafunc.parametrize("conformance_property", properties, ids=[p.name for p in properties])


def chosen_cases(config: pytest.Config) -> list[Case]:
    """The cases that the options ask for. UsageError where they cannot be meant."""
    from conformance.runner import select
    from conformance.suites import SUITES, all_cases

    suite, patterns = config.getoption("--conformance-suite"), config.getoption("--conformance-case")
    if not config.getoption("--implementation"):
        raise pytest.UsageError("say which: --implementation ADAPTER")
    if suite and suite not in SUITES:
        raise pytest.UsageError(f"there is no suite {suite!r}; there are {', '.join(SUITES)}")
    cases = list(select(all_cases(suite), patterns))
    if not cases:
        raise pytest.UsageError(f"no case matches {' or '.join(map(repr, patterns))}")
    return cases


@contextlib.contextmanager
def broken_adapters_end_the_session() -> Iterator[None]:
    """No verdict is about the implementation if its adapter does not work."""
    from conformance.adapter import AdapterBroken

    try:
        yield
    except AdapterBroken as error:
        pytest.exit(f"broken: {error}", returncode=BROKEN)


@pytest.fixture(scope="session")
def implementation(pytestconfig: pytest.Config) -> Iterator[Adapter]:
    """The adapter under test."""
    from conformance.adapters import open_adapter

    name, program = str(pytestconfig.getoption("--implementation")), pytestconfig.getoption("--conformance-program")
    with broken_adapters_end_the_session():
        adapter = open_adapter(name, shlex.split(program))
    yield adapter
    adapter.close()


@pytest.fixture(scope="session")
def known_deviations(pytestconfig: pytest.Config) -> list[Deviation]:
    """The entries of the file that was named, or of the one beside the adapter."""
    from conformance.command_line import find_deviations

    path = pytestconfig.getoption("--conformance-deviations")
    with broken_adapters_end_the_session():
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

    with broken_adapters_end_the_session():
        result = run_case(adapter, case, deviations, spec_tracer(), answers)
    judge_result(result)
