"""How fast networks run beside the real runtime, on one thread, and that both compute the same.

Without `--benchmark-only` every row runs once with a part of its channels, as a test.
`python -m tests.benchmarks.floors` judges ratios.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fastpath import kernels
from tests.benchmarks.pairs import PAIRS, SMALL, Pair, make_pair

ENGINES = ("fastpath", "wheel")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """The pairs that were made so far."""
    return {}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PAIRS)
def test_speed(
    name: str,
    engine: str,
    benchmark: BenchmarkFixture,
    pairs: dict[str, Pair],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    pytest.importorskip("ncnn")
    measures = request.config.getoption("benchmark_only")
    if name not in pairs:
        pairs[name] = make_pair(name, tmp_path, 1 if measures else SMALL)
    pair = pairs[name]
    ours, theirs = pair.compared()
    largest = max(float(np.abs(theirs).max()), 1e-6)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= pair.tolerance * largest
    benchmark.group = name
    benchmark.extra_info.update(level=kernels.level(), compiled=kernels.COMPILED)
    run = pair.ours if engine == "fastpath" else pair.theirs
    if measures:
        benchmark(run)
    else:
        benchmark.pedantic(run, rounds=1)  # type: ignore[no-untyped-call]
