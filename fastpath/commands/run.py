"""`ncnn-assay run`: inference from the shell."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np

import fastpath
from fastpath import kernels
from fastpath.accuracy.samples import Load, Sample, counted, one_sample, open_samples
from fastpath.commands.command_line import report
from fastpath.commands.engines import RUN_ENGINES, Engine, OwnEngine, open_engine
from fastpath.commands.inputs import ImageOptions, image_options, load_input, threads_option, without_threads
from fastpath.parallel import in_order
from spec.errors import UsageError

TYPE = 20
"""How wide the types of layers are printed."""

SHORTEST = 1e-9
"""No time is shorter, in seconds."""


@click.command("run")
@click.argument("param")
@click.argument("bin")
@click.argument("inputs", nargs=-1, required=True)
@click.option("--engine", type=click.Choice(RUN_ENGINES), default="fastpath", help="Who computes.")
@click.option("--extract", "extracts", multiple=True, help="A blob to extract; default: every output of the net.")
@click.option("--output", type=click.Path(file_okay=False), help="Folder for the outputs: BLOB.npy, or N-BLOB.npy.")
@click.option("--stacks", is_flag=True, help="An .npy file holds many inputs along its first axis.")
@click.option(
    "--plan",
    "show_plan",
    is_flag=True,
    help="Print the kernel of each layer, or why numpy runs it (fastpath).",
)
@click.option(
    "--profile",
    "show_times",
    is_flag=True,
    help="Print the shortest time of each layer (fastpath).",
)
@threads_option
@image_options
def command(
    param: str,
    bin: str,
    inputs: tuple[str, ...],
    engine: str,
    extracts: tuple[str, ...],
    output: str | None,
    stacks: bool,
    show_plan: bool,
    show_times: bool,
    threads: int,
    image: ImageOptions,
) -> None:
    """Run the model PARAM BIN on INPUTS and print what came out.

    For one inference each INPUT is an .npy file (numpy shape: w, (h, w) or (c, h, w)) or an image, in the order of the
    net's inputs; or BLOB=FILE to name the blob.

    For many, each INPUT is a file, a folder, or a list of files (.txt), and with --stacks an .npy file of many inputs.
    A net of several inputs wants a part for each, separated by commas. --threads runs several at a time.
    """
    net = open_engine(engine, param, bin)
    words, threads = without_threads(inputs, threads)
    wanted = list(extracts) or net.output_names()
    runs = open_inputs(words, net.input_names(), partial(load_input, image=image), stacks)
    first = runs[0].feeds()
    if show_plan:
        print_plan(fastpath_net(net), first)
    if show_times:
        print_profile(fastpath_net(net), first)
    if threads > 1:
        net.prepare(first)
    start = time.perf_counter()
    seconds = 0.0
    for position, (outputs, taken) in enumerate(
        in_order(partial(run_one, net, wanted, runs), range(len(runs)), threads)
    ):
        seconds += taken
        show(outputs, f"{runs[position].name}: " if len(runs) > 1 else "")
        if output is not None:
            save(outputs, Path(output), f"{position}-" if len(runs) > 1 else "")
    if len(runs) == 1:
        report(f"{seconds * 1000:.2f} ms on {named(engine)}")
    else:
        rate = len(runs) / (time.perf_counter() - start)
        report(
            f"{len(runs)} inputs on {named(engine)}, {counted(threads, 'process')}: {rate:.1f} a second, "
            f"{seconds / len(runs) * 1000:.2f} ms each"
        )


def open_inputs(words: Sequence[str], names: Sequence[str], load: Load, stacks: bool) -> list[Sample]:
    """What to run. Words are the parts of one input where they name blobs, or where there are several to feed."""
    if not any("=" in word for word in words) and (len(names) == 1 or any("," in word for word in words)):
        return open_samples(words, names, load, stacks=stacks)
    files: dict[str, str] = {}
    for position, word in enumerate(words):
        blob, equals, file = word.partition("=")
        if not equals:
            if position >= len(names):
                raise UsageError(f"the net has {len(names)} inputs ({', '.join(names)}), but got {len(words)} files")
            blob, file = names[position], word
        files[blob] = file
    return [one_sample(files, load)]


def run_one(
    net: Engine, wanted: Sequence[str], runs: Sequence[Sample], position: int
) -> tuple[dict[str, np.ndarray], float]:
    """The wanted blobs for one of the inputs, and the seconds that this took after the input was read."""
    feeds = runs[position].feeds()
    start = time.perf_counter()
    return net.run(feeds, wanted), time.perf_counter() - start


def named(engine: str) -> str:
    """The engine; ours tells when it is slower than it could be."""
    return f"{engine} (no compiled kernels)" if engine == "fastpath" and not kernels.COMPILED else engine


def show(outputs: Mapping[str, np.ndarray], prefix: str) -> None:
    """A line for each blob."""
    for name, array in outputs.items():
        flat = array.reshape(-1)
        extremes = f"min {flat.min():.6g}, max {flat.max():.6g}, argmax {int(flat.argmax())}"
        print(f"{prefix}{name}: shape {array.shape}, {extremes}")


def save(outputs: Mapping[str, np.ndarray], folder: Path, prefix: str) -> None:
    """An .npy file for each blob."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in outputs.items():
        np.save(folder / f"{prefix}{name.replace('/', '_')}.npy", array)


def fastpath_net(engine: Engine) -> fastpath.Net:
    """The network inside an engine. UsageError for engines that have no plan and no profile."""
    if isinstance(engine, OwnEngine) and isinstance(engine.net, fastpath.Net):
        return engine.net
    raise UsageError("--plan and --profile need --engine fastpath")


def print_plan(net: fastpath.Net, feeds: dict[str, np.ndarray]) -> None:
    """One line a layer: its type, its name, what runs it, and why that is not something faster; then a summary."""
    rows = net.plan(**{name: data.shape for name, data in feeds.items()})
    name, kernel = (max(len(text) for text in column) for column in zip(*((row.layer, row.kernel) for row in rows)))
    for layer, row in zip(net.layers, rows, strict=True):
        print(f"{layer.type:{TYPE}}  {row.layer:{name}}  {row.kernel:{kernel}}  {row.reason}".rstrip())
    slow = Counter(layer.type for layer, row in zip(net.layers, rows, strict=True) if row.kernel == "numpy")
    free = sum(row.kernel == "nothing to do" for row in rows)
    types = f": {', '.join(f'{count} {type}' for type, count in slow.most_common())}" if slow else ""
    compiled = len(rows) - free - slow.total()
    print(f"{compiled} layers by kernels, {free} with nothing to do, {slow.total()} by numpy{types}\n")


def print_profile(net: fastpath.Net, feeds: dict[str, np.ndarray]) -> None:
    """One line a layer: type, name, shortest time of some runs, its share, multiplications a second; and the sum."""
    times = net.profile(feeds)
    total, products = sum(row.seconds for row in times), sum(row.multiplications for row in times)
    width = max((len(row.layer.name) for row in times), default=0)
    for row in times:
        rate = f"{row.rate / 1e9:8.1f} GMAC/s" if row.multiplications else ""
        share = row.seconds / max(total, SHORTEST)
        line = f"{row.layer.type:{TYPE}}  {row.layer.name:{width}}  {row.seconds * 1e3:8.3f} ms {share:6.1%} {rate}"
        print(line.rstrip())
    rate = f"{products / max(total, SHORTEST) / 1e9:8.1f} GMAC/s"
    print(f"{'sum':{TYPE}}  {'':{width}}  {total * 1e3:8.3f} ms {1:6.1%} {rate}, {products / 1e6:.1f} million products")
    kinds: dict[str, float] = {}
    for row in times:
        kinds[row.layer.type] = kinds.get(row.layer.type, 0.0) + row.seconds
    longest = sorted(kinds.items(), key=lambda kind: -kind[1])
    print("of that:", ", ".join(f"{type} {seconds * 1e3:.3f} ms" for type, seconds in longest))
