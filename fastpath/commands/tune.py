"""`ncnn-assay tune`: the cheapest int8 network that reaches a goal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress as ProgressBars
from rich.progress import TaskID
from rich.table import Table

from fastpath.accuracy.data_checks import check_data
from fastpath.accuracy.goals import Goal, Judge, parse_goal
from fastpath.accuracy.metrics import Labels, as_json
from fastpath.accuracy.network import FastEngine
from fastpath.accuracy.samples import Sample, counted, open_samples, read_array
from fastpath.accuracy.tables import quantized
from fastpath.accuracy.tune import BASELINES, Limits, Outcome, Progress, tune
from fastpath.commands.command_line import report
from fastpath.commands.inputs import ImageOptions, image_options, load_input
from fastpath.formats.weights import write_model
from spec.errors import FormatError, UsageError
from spec.formats.files import write_files
from spec.formats.weights import read_model
from spec.graph import Graph

HELD_OUT_EVERY = 4
"""Without --judge, every so many samples one is kept from calibration to judge by."""

PRINTED_WIDTH = 140
"""Columns where there is no terminal."""

NOT_REACHED = 1
"""Exit status where the table is written, but misses the goal."""


@click.command("tune")
@click.argument("param")
@click.argument("bin")
@click.argument("samples", nargs=-1, required=True)
@click.option("--goal", required=True, help="40dB, 0.5%top1 or 98%labels.")
@click.option("--table", "table_path", required=True, help="The table to write.")
@click.option("--model", nargs=2, help="Write the int8 model too: PARAM BIN.")
@click.option("--judge", "judges", multiple=True, help="Samples to judge by, also as a stack in an .npy file.")
@click.option("--labels", help="The classes of the samples to judge by: an .npy file of integers.")
@click.option(
    "--least-int8",
    type=click.FloatRange(0, 100),
    default=90.0,
    show_default=True,
    help="Percent of multiplications that stay in int8.",
)
@click.option("--never", "never", multiple=True, help="A layer that stays float in any case.")
@click.option("--six-bits", is_flag=True, help="Keep 3x3 stride-1 weights to six bits, as ncnn2table does.")
@click.option("--json", "json_path", help="Write what was measured to this file.")
@image_options
def command(
    param: str,
    bin: str,
    samples: tuple[str, ...],
    goal: str,
    table_path: str,
    model: tuple[str, str] | None,
    judges: tuple[str, ...],
    labels: str | None,
    least_int8: float,
    never: tuple[str, ...],
    six_bits: bool,
    json_path: str | None,
    image: ImageOptions,
) -> int:
    """Search a table for the float model PARAM BIN that reaches a goal with as much int8 as possible.

    SAMPLES are lists of files as ncnn2table takes them, folders, pictures or .npy files; the options below say how
    pictures become blobs. Every fourth sample judges and does not calibrate, unless --judge names others. The real
    ncnn2int8 makes of the table what ncnn2int8 here makes of it. Exit status 1 if the goal was missed.
    """
    start = time.perf_counter()
    wanted = parse_goal(goal)
    if wanted.kind == "labels" and labels is None:
        raise UsageError("a goal in labels needs --labels")
    graph = read_model(param, bin)
    inputs = graph.input_names()
    calibrating = open_samples(samples, inputs, lambda path: load_input(path, image))
    judging = open_samples(judges, inputs, lambda path: load_input(path, image), stacks=True)
    if not judges:
        calibrating, judging = held_out(calibrating)
    for line in check_data(graph, calibrating):
        report(f"advice: {line}")
    judge = Judge(FastEngine(graph), [sample.feeds() for sample in judging], read_labels(labels))
    if wanted.kind != "dB" and not judge.classifies:
        raise UsageError(f"output {judge.outputs[0]} is no row of scores: give the goal in dB")
    warn_of_coarse_goal(wanted, len(judging))
    limits = Limits(least_int8 / 100, six_bits, never)
    with shown_progress() as progress:
        outcome = tune(graph, calibrating, judge, wanted, limits, report=report, progress=progress)
    write_files({table_path: outcome.chosen.table.encode()})
    if model is not None:
        write_model(quantized(graph, outcome.chosen.table), *model, fp16=True)
    if json_path is not None:
        write_files({json_path: as_json(record(outcome))})
    show(outcome, graph, len(judging))
    report(f"{time.perf_counter() - start:.0f} s, {counted(len(calibrating))} to calibrate, {len(judging)} to judge")
    return 0 if outcome.reached else NOT_REACHED


def held_out(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The samples to calibrate with, and every fourth to judge by. UsageError for fewer than two."""
    if len(samples) < 2:
        raise UsageError("one sample cannot both calibrate and judge: give more, or --judge")
    last = min(HELD_OUT_EVERY, len(samples)) - 1
    judging = [sample for i, sample in enumerate(samples) if i % HELD_OUT_EVERY == last]
    return [sample for i, sample in enumerate(samples) if i % HELD_OUT_EVERY != last], judging


def read_labels(path: str | None) -> Labels | None:
    """The classes in an .npy file. FormatError unless it is a vector of integers."""
    if path is None:
        return None
    array = read_array(path)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise FormatError(path, "", f"expected a vector of integers, but got {array.dtype} of shape {array.shape}")
    return array.astype(np.int64)


def warn_of_coarse_goal(goal: Goal, count: int) -> None:
    """Say so where one sample more or less already crosses the goal."""
    if goal.kind == "top1" and 0 < goal.value < 100 / count:
        report(f"warning: {goal.text()} means none of {counted(count)}: judge by at least {100 / goal.value:.0f}")


def record(outcome: Outcome) -> dict[str, object]:
    """What was measured, for a file."""
    return {
        "goal": outcome.goal.text(),
        "reached": outcome.reached,
        "chosen": outcome.chosen.name,
        "candidates": [
            {
                "name": candidate.name,
                "snr_db": candidate.score.snr,
                "snr_db_by_output": {name: d.snr for name, d in candidate.score.by_output.items()},
                "top1_disagreement": candidate.score.disagreement,
                "accuracy": candidate.score.accuracy,
                "int8_share_of_macs": candidate.int8_share,
                "float_layers": list(candidate.floats),
            }
            for candidate in outcome.candidates
        ],
        "exceptions": [
            {"layer": each.layer, "type": each.type, "gain_db": each.gain, "share_of_macs": each.cost}
            for each in outcome.exceptions
        ],
        "layers": {
            name: {
                "method": choice.method,
                "threshold": choice.threshold,
                "bottom_scale": choice.bottom_scale,
                "largest_weight_code": choice.largest_code,
            }
            for name, choice in (outcome.choices.layers if outcome.choices else {}).items()
        },
    }


def show(outcome: Outcome, graph: Graph, count: int) -> None:
    """Print the candidates, the exceptions with what they buy, and the verdict."""
    console = wide_console()
    table = Table(title=f"Measured on {counted(count)}")
    for heading in ("candidate", "SNR", "top-1 differs", "accuracy", "MACs in int8", "float layers"):
        table.add_column(heading, justify="left" if heading == "candidate" else "right")
    for candidate in outcome.candidates:
        score = candidate.score
        table.add_row(
            candidate.name,
            f"{score.snr:.2f} dB",
            "-" if score.disagreement is None else f"{score.disagreement:.2%}",
            "-" if score.accuracy is None else f"{score.accuracy:.2%}",
            f"{candidate.int8_share:.1%}",
            str(len(candidate.floats)),
            style="bold green" if candidate is outcome.chosen else None,
        )
    console.print(table)
    if outcome.exceptions:
        table = Table(title="What each exception buys and costs")
        for heading in ("float layer", "type", "buys", "costs"):
            table.add_column(heading, justify="right" if heading in ("buys", "costs") else "left")
        for each in outcome.exceptions:
            table.add_row(each.layer, each.type, f"{each.gain:+.2f} dB", f"{each.cost:.2%} of the MACs")
        console.print(table)
    console.print(verdict(outcome, graph), soft_wrap=True, highlight=False)


def verdict(outcome: Outcome, graph: Graph) -> str:
    """The outcome in a sentence or two."""
    chosen = outcome.chosen
    gains = ", ".join(f"{chosen.score.snr - outcome.baseline(name).score.snr:+.2f} dB on {name}" for name in BASELINES)
    missed = "" if outcome.reached else f" The goal, {outcome.goal.text()}, is missed within the limits."
    where = "all layers in int8" if not chosen.floats else f"{len(chosen.floats)} layers float"
    return f"{chosen.name}: {chosen.score.text()}; {where}, {chosen.int8_share:.1%} of the MACs; {gains}.{missed}"


def wide_console() -> Console:
    """Where results are printed: as wide as the terminal, or wide enough for every table."""
    return Console() if Console().is_terminal else Console(width=PRINTED_WIDTH)


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Progress bars on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda stage, done, total: None
        return
    bars = ProgressBars(console=console, transient=True)
    tasks: dict[str, TaskID] = {}

    def update(stage: str, done: int, total: int) -> None:
        bars.start()  # not before worker processes have started: it runs a thread
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], total=total, completed=done + 1)

    try:
        yield update
    finally:
        bars.stop()
