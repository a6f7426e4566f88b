"""Everybody who runs a workload: one row of its table of times each."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastpath
import spec.net
from fastpath import kernels
from fastpath.cpu_level import INTERPRETED
from tests.benchmarks.workloads import Floats, Workload, fastpath_net, wheel_net
from tests.kernels.levels import forced

Run = Callable[[str], Floats]
"""One inference, and the blob of this name."""

ENGINES = ("fastpath", "blas", "wheel", "wheel-2")
"""Compiled kernels, numpy alone, and the real runtime on one thread and on two."""

TINY_ENGINES = (*ENGINES, "interpreted", "spec")
"""And those that are too slow for more: the kernels as Python, and the readable spec."""

SAME_BITS = ("fastpath", "blas", "interpreted", "spec")
"""Those that agree bit for bit in networks without float matrix products."""


def runner(engine: str, work: Workload) -> Run:
    """A network loaded into one of the engines."""
    if engine == "spec":
        return _by_spec(work)
    if engine.startswith("wheel"):
        return _by_wheel(work, 2 if engine == "wheel-2" else 1)
    if engine == "interpreted":
        return _by_interpreted_kernels(work)
    if engine == "fastpath":
        return _by_net(fastpath_net(work), work)
    with forced(INTERPRETED):
        net = fastpath_net(work)
    net.opt.use_compiled_kernels = False
    return _by_net(net, work)


def _by_net(net: fastpath.Net, work: Workload) -> Run:
    def run(blob: str) -> Floats:
        with net.create_extractor() as extractor:
            extractor.input(work.source, work.data)
            return np.asarray(extractor.extract(blob)[1], np.float32)

    return run


def _by_interpreted_kernels(work: Workload) -> Run:
    with forced(INTERPRETED), pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "COMPILED", True)
        net = fastpath_net(work)
        net.prepare({work.source: work.data})
    inner = _by_net(net, work)

    def run(blob: str) -> Floats:
        with forced(INTERPRETED), pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "COMPILED", True)
            return inner(blob)

    return run


def _by_spec(work: Workload) -> Run:
    net = spec.net.Net()
    net.load_param(work.param)
    net.load_model(work.model)

    def run(blob: str) -> Floats:
        extractor = net.create_extractor()
        extractor.input(work.source, work.data)
        return np.array(extractor.extract(blob)[1], np.float32)

    return run


def _by_wheel(work: Workload, threads: int) -> Run:
    import ncnn

    net = wheel_net(work, threads)
    mat = ncnn.Mat(work.data).clone()

    def run(blob: str) -> Floats:
        extractor = net.create_extractor()
        extractor.input(work.source, mat)
        found = extractor.extract(blob)[1]
        # A blob of no boxes has no memory that numpy could read.
        return np.zeros(0, np.float32) if found.empty() else np.array(found)

    return run


def check(work: Workload, runs: dict[str, Run]) -> None:
    """AssertionError unless all compute the same: ours the same bits, the wheel within the tolerance.

    Twice, since the first inference of ours has no plan yet.
    """
    for _ in range(2):
        found = {engine: run(work.judged) for engine, run in runs.items()}
    expected = found["wheel"]
    largest = max(float(np.abs(expected).max()), 1e-6)
    for engine, blob in found.items():
        assert blob.shape == expected.shape, engine
        assert np.abs(blob - expected).max() <= work.tolerance * largest, engine
        if engine in SAME_BITS and work.exact:
            assert blob.tobytes() == found["fastpath"].tobytes(), f"{engine} has other bits than fastpath"


def circumstances(work: Workload) -> dict[str, Any]:
    """What a time depends on, for the record."""
    return {
        "compiled": kernels.COMPILED,
        "level": kernels.level(),
        "cpu": _cpu(),
        "versions": {name: _version(name) for name in ("ncnn-assay", "ncnn", "numpy")},
        "macs": work.macs,
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
