"""Ratios of speed against the floors in floors.json: `python -m tests.benchmarks.floors [NAME ...]`.

Without names also what `tests.benchmarks.starts` measures.

A ratio is the wheel's shortest time by ours, on one thread, from runs that take turns; more is better. The exit status
is 1 where a ratio lies below its floor.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from fastpath import kernels
from tests.benchmarks.rows import check, runner
from tests.benchmarks.starts import judge
from tests.benchmarks.workloads import WORKLOADS, make_workload

FLOORS = Path(__file__).with_name("floors.json")

SECONDS = 4.0
"""How long each network is measured."""


def shortest(run: Callable[[], object], so_far: float) -> float:
    """The time of one run, or the shorter one so far."""
    start = time.perf_counter()
    run()
    return min(so_far, time.perf_counter() - start)


def ratio(name: str) -> float:
    """The wheel's shortest time by ours, after both have computed the same."""
    with tempfile.TemporaryDirectory() as folder:
        work = make_workload(name, Path(folder))
        runs = {engine: runner(engine, work) for engine in ("fastpath", "wheel")}
        check(work, runs)
        ours, theirs = (partial(run, work.target) for run in runs.values())
        ours()
        mine = others = math.inf
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            mine, others = shortest(ours, mine), shortest(theirs, others)
    return others / mine


def main(names: list[str]) -> int:
    """Measure, print, and judge."""
    floors: dict[str, float] = json.loads(FLOORS.read_text())
    print(f"kernels: {kernels.level()}")
    low = 0
    for name in names or list(WORKLOADS):
        try:
            measured, floor = ratio(name), floors[name]
        except pytest.skip.Exception as absent:
            print(f"{name:28} skipped: {absent}", flush=True)
            continue
        low += measured < floor
        print(f"{name:28} {measured:6.2f}  floor {floor:.2f}{'  BELOW' if measured < floor else ''}", flush=True)
    quick = bool(names) or judge()
    return 0 if quick and not low else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
