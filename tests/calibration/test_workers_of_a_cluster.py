"""Calibration on a Dask cluster of two worker processes: always the table of one process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastpath.calibration.cluster import Cluster
from spec.errors import CalibrationError
from tests.calibration.test_ncnn2table import NET, NPY, Run, run  # noqa: F401
from tests.calibration.test_passes import SAMPLES, DrawnSample, FatalSample
from tests.calibration.test_passes import run as calibrated

distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install 'ncnn-assay[dask]'")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster


@pytest.mark.parametrize("method", ["kl", "eq"])
@pytest.mark.parametrize("memory", [0, 10**9])
def test_a_cluster_makes_the_same_table(cluster: Any, method: str, memory: int) -> None:
    found = calibrated(executor=cluster.scheduler_address, method=method, memory=memory)
    assert found.rows() == calibrated(method=method).rows()


def test_a_worker_that_dies_in_a_pass_costs_a_retry(cluster: Any, tmp_path: Path) -> None:
    memory = str(tmp_path / "killed")
    samples = [FatalSample(each.seed, memory=memory) if each.seed == 4 else each for each in SAMPLES]
    assert calibrated(samples, executor=cluster.scheduler_address).rows() == calibrated().rows()
    assert Path(memory).exists()


def test_a_worker_that_dies_between_the_passes_costs_a_retry(cluster: Any) -> None:
    """Its share of the activations dies with it."""
    killed = threading.Event()

    def kill(stage: str, done: int, total: int) -> None:
        if stage == "build histogram" and not killed.is_set():
            killed.set()
            with distributed.Client(cluster.scheduler_address) as client:
                pids = client.run(os.getpid)
            os.kill(min(pids.values()), signal.SIGKILL)

    samples = [DrawnSample(seed) for seed in range(40)]
    assert calibrated(samples, executor=cluster.scheduler_address, progress=kill).rows() == calibrated(samples).rows()
    assert killed.is_set()


def kill_workers(client: Any, most: int) -> None:
    for pid in sorted(client.run(os.getpid).values())[:most]:
        os.kill(pid, signal.SIGKILL)


def test_all_workers_that_hold_the_job_may_die(cluster: Any) -> None:
    killed = threading.Event()

    def kill(stage: str, done: int, total: int) -> None:
        if stage == "build histogram" and not killed.is_set():
            killed.set()
            with distributed.Client(cluster.scheduler_address) as client:
                for pid in client.run(os.getpid).values():
                    os.kill(pid, signal.SIGKILL)

    samples = [DrawnSample(seed) for seed in range(40)]
    assert calibrated(samples, executor=cluster.scheduler_address, progress=kill).rows() == calibrated(samples).rows()
    assert killed.is_set()


def test_errors_of_dask_cost_a_retry_each(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The future of the job itself may fail: it is sent again."""
    failed = threading.Event()
    sent_job = Cluster._sent_job

    def failing(crew: Cluster) -> Any:
        if failed.is_set():
            return sent_job(crew)
        failed.set()
        return crew._client.submit(divmod, 1, 0, pure=False)

    monkeypatch.setattr(Cluster, "_sent_job", failing)
    assert calibrated(executor=cluster.scheduler_address).rows() == calibrated().rows()


def test_a_bad_sample_is_named(cluster: Any) -> None:
    samples = [*SAMPLES, DrawnSample(7, bad=True)]
    with pytest.raises(CalibrationError, match="sample 7: layer conv: the activations hold nan"):
        calibrated(samples, executor=cluster.scheduler_address)


def test_the_command(cluster: Any, run: Run) -> None:  # noqa: F811
    assert run(*NET, "arrays.txt", "a.table", *NPY)[0] == 0
    words = ("--executor", "dask", "--scheduler", cluster.scheduler_address)
    assert run(*NET, "arrays.txt", "b.table", *NPY, *words)[0] == 0
    assert Path("a.table").read_bytes() == Path("b.table").read_bytes()


def test_a_scheduler_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastpath.calibration.cluster.CONNECT_SECONDS", 0.3)
    with pytest.raises(CalibrationError, match="no Dask scheduler answers at tcp:"):
        calibrated(executor="tcp://127.0.0.1:1")
