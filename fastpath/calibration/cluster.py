"""A crew on many machines: the workers of a Dask cluster, by its own client and executor.

Each worker gets the model once, from the scheduler or from another worker. Samples are files: every machine finds them
under the same names. What a worker keeps from the first pass is its own, so the second pass of a sample goes to the
worker that has run it, unless that has died.
"""

from __future__ import annotations

import importlib
import warnings
from concurrent.futures import Executor, Future
from typing import Any, Self

from fastpath.calibration.crew import ATTEMPTS, Executors, Job, Task, do_task, forget
from spec.errors import CalibrationError, UsageError

CONNECT_SECONDS = 10
"""How long to wait for a scheduler."""


class Cluster(Executors):
    """The workers of the cluster whose scheduler has this address."""

    def __init__(self, job: Job, scheduler: str) -> None:
        try:
            self._client = dask_distributed().Client(scheduler, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise CalibrationError(f"no Dask scheduler answers at {scheduler}: {error}") from error
        try:
            self._wait(scheduler)
            workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
            super().__init__(job, self._executor_at(None), workers)
            self._scheduler = scheduler
            self._homes: dict[object, Executor] = {}
            self._payload = self._sent_job()
        except BaseException:
            self._client.close()
            raise

    def submit(self, task: Task) -> Future[tuple[object, Any]]:
        """Send a task on its way, to the worker that has kept what it needs if there is one."""
        executor = self._executor
        if task.home is not None:
            executor = self._homes.setdefault(task.home, self._executor_at(task.home))
        sent = Task(task.method, task.arguments, task.samples)
        return executor.submit(do_task_here, self._token, self._payload, sent)

    def recover(self) -> None:
        """Send the job again, which may have failed with the workers that held it."""
        self._wait(self._scheduler)
        self._payload = self._sent_job()

    def _sent_job(self) -> Any:
        """The job as the result of a task, which the scheduler has done again if all workers that hold it die.

        Data that are scattered would be gone with them, and the tasks that need them would wait for ever.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            return self._client.submit(itself, self._job, pure=False, retries=ATTEMPTS)

    def _wait(self, scheduler: str) -> None:
        """Wait for a worker; CalibrationError if none comes."""
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise CalibrationError(f"the Dask scheduler at {scheduler} has no workers") from error

    def _executor_at(self, worker: object) -> Executor:
        where = {} if worker is None else {"workers": [worker], "allow_other_workers": True}
        executor: Executor = self._client.get_executor(pure=False, retries=ATTEMPTS, **where)
        return executor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._client.run(forget, self._token, on_error="ignore")
        finally:
            self._client.close()


def itself(job: bytes) -> bytes:
    """The job."""
    return job


def do_task_here(token: str, job: bytes, task: Task) -> tuple[object, Any]:
    """Do a task in a Dask worker, whose address says who did it."""
    _, value = do_task(token, job, task)
    return dask_distributed().get_worker().address, value


def dask_distributed() -> Any:
    """The package `distributed`; UsageError where it is not installed."""
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise UsageError("Dask is not installed: pip install 'ncnn-assay[dask]'") from error
