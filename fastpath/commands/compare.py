"""`ncnn-assay compare`: a float and its int8 network, layer by layer."""

from __future__ import annotations

import math

import click
from rich.console import Console
from rich.table import Table

from fastpath.accuracy.compare import Comparison, LayerTrace, cause, compare
from fastpath.accuracy.metrics import as_json
from fastpath.accuracy.samples import counted, open_samples
from fastpath.commands.engines import RUN_ENGINES, open_engine
from fastpath.commands.inputs import ImageOptions, image_options, load_input
from fastpath.commands.tune import shown_progress, wide_console
from spec.errors import UsageError
from spec.formats.files import write_files
from spec.formats.weights import read_model

FINE, BAD = 30.0, 15.0
"""Signal-to-noise ratios in dB: shown green from the one, red below the other."""


@click.command("compare")
@click.argument("float_param")
@click.argument("float_bin")
@click.argument("int8_param")
@click.argument("int8_bin")
@click.argument("inputs", nargs=-1, required=True)
@click.option("--engines", default="fastpath", show_default=True, help="fastpath, spec, wheel, separated by commas.")
@click.option("--json", "json_path", help="Write all figures to this file.")
@click.option("--html", "html_path", help="Write a page with the graph, the errors and the histograms.")
@click.option("--most", default=16, show_default=True, help="Samples to look at, at most; spread over all INPUTS.")
@image_options
def command(
    float_param: str,
    float_bin: str,
    int8_param: str,
    int8_bin: str,
    inputs: tuple[str, ...],
    engines: str,
    json_path: str | None,
    html_path: str | None,
    most: int,
    image: ImageOptions,
) -> None:
    """Run a float model and the int8 model made of it on INPUTS, and say where they part.

    INPUTS are .npy files, pictures, folders or lists of files. The table tells the error of each layer's output as the
    int8 model runs, the layer's own share (its int8 form on float input) and what it inherits from the layers before.
    """
    names = [name.strip() for name in engines.split(",") if name.strip()]
    unknown = [name for name in names if name not in RUN_ENGINES]
    if unknown or not names:
        raise UsageError(f"--engines: expected some of {', '.join(RUN_ENGINES)}, but got {engines!r}")
    graphs = read_model(float_param, float_bin), read_model(int8_param, int8_bin)
    samples = open_samples(inputs, graphs[0].input_names(), lambda path: load_input(path, image))
    step = max(math.ceil(len(samples) / most), 1)
    feeds = [sample.feeds() for sample in samples[::step]]
    comparisons = []
    with shown_progress() as progress:
        for name in names:
            pair = open_engine(name, float_param, float_bin), open_engine(name, int8_param, int8_bin)
            comparisons.append(compare(name, *graphs, *pair, feeds, progress=progress))
    show(comparisons, len(feeds))
    if json_path is not None:
        record = {"samples": len(feeds), "engines": [comparison.record() for comparison in comparisons]}
        write_files({json_path: as_json(record)})
    if html_path is not None:
        from fastpath.accuracy.report.page import render  # jinja2 is needed here only

        title = f"{int8_param} beside {float_param}"
        write_files({html_path: render(comparisons, graphs[1], title, len(feeds)).encode()})


def show(comparisons: list[Comparison], count: int) -> None:
    """Print a row for each layer, the outputs, and the cause of most of the trouble."""
    console = wide_console()
    first, *others = comparisons
    worst = first.worst()
    table = Table(title=f"int8 beside float on {counted(count)} ({first.engine}), SNR in dB")
    table.add_column("layer", overflow="fold")
    table.add_column("type", no_wrap=True)
    for heading in ("cosine", "max error", "SNR", "own", "inherited", "alone", "saturated"):
        table.add_column(heading, justify="right", no_wrap=True)
    for other in others:
        table.add_column(f"SNR {other.engine}", justify="right")
        table.add_column(f"own {other.engine}", justify="right")
    for position, trace in enumerate(first.traces):
        table.add_row(
            ("> " if trace is worst else "") + trace.layer.name,
            trace.layer.type,
            f"{trace.total.cosine:.6f}",
            f"{trace.total.largest:.3g}",
            level(trace.total.snr),
            level(trace.own.snr) if trace.int8 else "",
            level(trace.inherited.snr) if trace.int8 else "",
            level(alone(trace)) if trace.int8 else "",
            f"{trace.input.saturated_share:.2%}" if trace.input else "",
            *(text for other in others for text in beside(other.traces[position])),
            style="bold" if trace is worst else None,
        )
    console.print(table)
    for comparison in comparisons:
        summary(console, comparison)


def summary(console: Console, comparison: Comparison) -> None:
    """Print the outputs and the cause."""
    for name, total in comparison.outputs.items():
        console.print(
            f"{comparison.engine}: output {name}: SNR {total.snr:.2f} dB, cosine {total.cosine:.6f}, "
            f"max error {total.largest:.4g}",
            highlight=False,
        )
    worst = comparison.worst()
    if worst is not None:
        harm = f"alone it leaves {alone(worst):.1f} dB at the output"
        console.print(f"{comparison.engine}: worst layer: {cause(worst)}; {harm}", highlight=False, soft_wrap=True)


def beside(trace: LayerTrace) -> tuple[str, str]:
    """What another engine finds."""
    return level(trace.total.snr), level(trace.own.snr) if trace.int8 else ""


def alone(trace: LayerTrace) -> float:
    """The worst output if this is the only int8 layer."""
    return min((d.snr for d in trace.alone.values()), default=math.inf)


def level(snr: float) -> str:
    """A signal-to-noise ratio, coloured."""
    if math.isinf(snr):
        return "exact" if snr > 0 else "-inf"
    colour = "green" if snr >= FINE else "red" if snr < BAD else "yellow"
    return f"[{colour}]{snr:.1f}[/]"
