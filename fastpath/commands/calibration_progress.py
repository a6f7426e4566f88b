"""What ncnn2table shows on a terminal: bars while it calibrates, and a table of what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

COLUMNS = ("layer", "absmax", "threshold", "clipped", "expected SNR")
"""What the table says of a layer."""


class RateColumn(ProgressColumn):
    """Samples per second."""

    def render(self, task: Task) -> Text:
        """The rate, once it is known."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each stage, with rate and remaining time, on stderr."""
    bars = Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, TaskID] = {}

    def update(stage: str, done: int, total: int) -> None:
        bars.start()  # not before worker processes have started: it runs a thread
        if stage not in tasks:
            for earlier in tasks.values():
                bars.update(earlier, completed=bars.tasks[earlier].total)
            tasks[stage] = bars.add_task(stage, total=total, completed=done)
        bars.update(tasks[stage], completed=done)

    try:
        yield update
    finally:
        bars.stop()


def print_summary(method: str, rows: Iterable[Sequence[str]]) -> None:
    """A table of `COLUMNS` on stderr."""
    table = Table(*COLUMNS, title=f"calibration by {method}")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    Console(stderr=True).print(table)
