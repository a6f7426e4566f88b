"""How long it takes until something happens: in a new process, and from files to the first result.

In processor time, so that busy neighbours do not count.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import fastpath
from tests.benchmarks.workloads import make_workload

RUNS = 5

IMPORT = "import time; start = time.process_time(); import fastpath; print(time.process_time() - start)"


def import_seconds() -> float:
    """The shortest import of fastpath, numpy included."""
    command = [sys.executable, "-c", IMPORT]
    return min(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(RUNS))


def first_result_seconds() -> float:
    """The shortest time from the files of an int8 SqueezeNet to its first output."""
    with tempfile.TemporaryDirectory() as folder:
        work = make_workload("int8/squeezenet_v1_1", Path(folder))
        return min(_first_result(work.param, work.model, {work.source: work.data}) for _ in range(RUNS))


def _first_result(param: Path, model: Path, feeds: dict[str, object]) -> float:
    start = time.process_time()
    net = fastpath.Net()
    net.load_param(param)
    net.load_model(model)
    net.infer(feeds)
    return time.process_time() - start


CEILINGS: dict[str, tuple[Callable[[], float], float]] = {
    "import of fastpath": (import_seconds, 0.25),
    "SqueezeNet to first result": (first_result_seconds, 0.5),
}
"""What is measured, and how many seconds it may take."""


def judge() -> bool:
    """Measure and print; whether all stay below their ceilings."""
    good = True
    for name, (measure, ceiling) in CEILINGS.items():
        seconds = measure()
        good &= seconds <= ceiling
        print(f"{name:28} {seconds:6.3f}  at most {ceiling:.2f} s{'  ABOVE' if seconds > ceiling else ''}", flush=True)
    return good
