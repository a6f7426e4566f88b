"""How fast networks run beside the real runtime, and that all who run them compute the same.

Without `--benchmark-only` every row runs once with a part of its channels, as a test. Rows are measured one after the
other: `python -m tests.benchmarks.floors` lets two take turns, and judges their ratio.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.benchmarks.rows import ENGINES, TINY_ENGINES, Run, check, circumstances, runner
from tests.benchmarks.workloads import SMALL, TINY, WORKLOADS, Workload, make_workload

ROWS = [
    *((name, engine) for name in WORKLOADS for engine in ENGINES),
    *((name, engine) for name in TINY for engine in TINY_ENGINES),
]


@dataclass
class Loaded:
    """A workload in every engine that runs it, after all have computed the same."""

    work: Workload
    runs: dict[str, Run]


@pytest.fixture(scope="module")
def latest() -> dict[str, Loaded]:
    """The workload of the row before."""
    return {}


@pytest.fixture
def loaded(
    name: str,
    latest: dict[str, Loaded],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Loaded:
    pytest.importorskip("ncnn")
    if name not in latest:
        latest.clear()
        work = make_workload(
            name, tmp_path_factory.mktemp("net"), 1 if request.config.getoption("benchmark_only") else SMALL
        )
        engines = TINY_ENGINES if name in TINY else ENGINES
        latest[name] = Loaded(work, {engine: runner(engine, work) for engine in engines})
        check(work, latest[name].runs)
    return latest[name]


@pytest.mark.parametrize(("name", "engine"), ROWS)
def test_speed(
    name: str, engine: str, loaded: Loaded, benchmark: BenchmarkFixture, request: pytest.FixtureRequest
) -> None:
    benchmark.group = name
    benchmark.extra_info.update(circumstances(loaded.work))
    run, target = loaded.runs[engine], loaded.work.target
    if request.config.getoption("benchmark_only"):
        benchmark(run, target)
    else:
        benchmark.pedantic(run, [target], rounds=1)  # type: ignore[no-untyped-call]
