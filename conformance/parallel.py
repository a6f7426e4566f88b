"""Cases over several processes. Each opens the adapter for itself; results come in the order of the cases.

Calibrations take minutes in readable code, so they travel alone; other cases travel in batches. Cases of one group have
one answer, so a group stays in one batch.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.util import Finalize

from conformance.adapter import Adapter, AdapterBroken
from conformance.case import Case
from conformance.deviations import Deviation
from conformance.diagnosis import Tracer
from conformance.runner import Result, run

BATCH = 16
"""Cases that travel together, if they are no calibrations and no group is cut."""

Open = Callable[[], Adapter]
Work = Callable[[list[Case]], list[Result]]

_work: list[Work] = []
"""What a process does with a batch."""


def run_in_processes(
    count: int,
    open_adapter: Open,
    cases: Iterable[Case],
    deviations: Sequence[Deviation] = (),
    tracer: Tracer | None = None,
) -> Iterator[Result]:
    """As `runner.run`, in `count` processes. The arguments travel too: functions must be importable by name.

    AdapterBroken where a process ends, as by a crash of what runs in it.
    """
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(count, context, _begin, (open_adapter, tuple(deviations), tracer)) as pool:
            for results in pool.map(_judge, batches(cases)):
                yield from results
    except BrokenProcessPool as error:
        raise AdapterBroken(f"a process of the {count} ended in the middle of a case: run with one") from error


def batches(cases: Iterable[Case]) -> Iterator[list[Case]]:
    """Cases in their order, cut where it does no harm."""
    batch: list[Case] = []
    for case in cases:
        same_group = bool(batch and case.group and batch[-1].group == case.group)
        alone = case.operation == "table" or bool(batch and batch[-1].operation == "table")
        if batch and not same_group and (alone or len(batch) >= BATCH):
            yield batch
            batch = []
        batch.append(case)
    if batch:
        yield batch


def _begin(open_adapter: Open, deviations: Sequence[Deviation], tracer: Tracer | None) -> None:
    adapter = open_adapter()
    Finalize(None, adapter.close, exitpriority=1)
    _work.append(lambda batch: list(run(adapter, batch, deviations, tracer)))


def _judge(batch: list[Case]) -> list[Result]:
    return _work[0](batch)
