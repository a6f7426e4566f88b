"""`ncnn-assay run`: inference from the shell."""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

import fastpath
from fastpath.commands.command_line import report
from fastpath.commands.engines import RUN_ENGINES, Engine, OwnEngine, open_engine
from fastpath.commands.inputs import ImageOptions, image_options, load_input
from spec.errors import UsageError


@click.command("run")
@click.argument("param")
@click.argument("bin")
@click.argument("inputs", nargs=-1, required=True)
@click.option("--engine", type=click.Choice(RUN_ENGINES), default="fastpath", help="Who computes.")
@click.option("--extract", "extracts", multiple=True, help="A blob to extract; default: every output of the net.")
@click.option("--output", type=click.Path(file_okay=False), help="Folder for the outputs, as BLOB.npy.")
@click.option("--plan", "show_plan", is_flag=True, help="Print what runs each layer, and why (fastpath).")
@click.option("--profile", "show_times", is_flag=True, help="Print the time of each layer (fastpath).")
@image_options
def command(
    param: str,
    bin: str,
    inputs: tuple[str, ...],
    engine: str,
    extracts: tuple[str, ...],
    output: str | None,
    show_plan: bool,
    show_times: bool,
    image: ImageOptions,
) -> None:
    """Run the model PARAM BIN on INPUTS and print what came out.

    Each INPUT is an .npy file (numpy shape: w, (h, w) or (c, h, w)) or an image, in the order of the net's inputs; or
    BLOB=FILE to name the blob.
    """
    net = open_engine(engine, param, bin)
    names = net.input_names()
    feeds: dict[str, np.ndarray] = {}
    for position, item in enumerate(inputs):
        blob, separator, path = item.partition("=")
        if not separator:
            if position >= len(names):
                raise UsageError(f"the net has {len(names)} inputs ({', '.join(names)}), but got {len(inputs)} files")
            blob, path = names[position], item
        feeds[blob] = load_input(path, image)
    wanted = list(extracts) or net.output_names()
    if show_plan or show_times:
        inner = fastpath_net(net)
        if show_plan:
            print_plan(inner, feeds)
        if show_times:
            print_profile(inner, feeds)
    start = time.perf_counter()
    outputs = net.run(feeds, wanted)
    elapsed = time.perf_counter() - start
    for name, array in outputs.items():
        flat = array.reshape(-1)
        print(f"{name}: shape {array.shape}, min {flat.min():.6g}, max {flat.max():.6g}, argmax {int(flat.argmax())}")
        if output is not None:
            Path(output).mkdir(parents=True, exist_ok=True)
            np.save(Path(output) / f"{name.replace('/', '_')}.npy", array)
    report(f"{elapsed * 1000:.2f} ms on {engine}")


def fastpath_net(engine: Engine) -> fastpath.Net:
    """The network inside an engine. UsageError for engines that have no plan and no profile."""
    if isinstance(engine, OwnEngine) and isinstance(engine.net, fastpath.Net):
        return engine.net
    raise UsageError("--plan and --profile need --engine fastpath")


def print_plan(net: fastpath.Net, feeds: dict[str, np.ndarray]) -> None:
    """One line a layer: its name, what runs it, and why that is not something faster."""
    rows = net.plan(**{name: data.shape for name, data in feeds.items()})
    if not rows:
        print("no plan: the layers run one by one, because the network has no int8 convolution or nothing is compiled")
    width = max((len(row.layer) for row in rows), default=0)
    for row in rows:
        print(f"{row.layer:{width}}  {row.kernel}{': ' + row.reason if row.reason else ''}")


def print_profile(net: fastpath.Net, feeds: dict[str, np.ndarray]) -> None:
    """One line a layer: type, name, shortest time of some runs, multiplications a second; and the sum."""
    times = net.profile(feeds)
    width = max((len(row.layer.name) for row in times), default=0)
    for row in times:
        rate = f"{row.rate / 1e9:8.1f} GMAC/s" if row.multiplications else ""
        print(f"{row.layer.type:20}  {row.layer.name:{width}}  {row.seconds * 1e3:8.3f} ms {rate}".rstrip())
    total, products = sum(row.seconds for row in times), sum(row.multiplications for row in times)
    print(f"{'sum':20}  {'':{width}}  {total * 1e3:8.3f} ms {products / max(total, 1e-9) / 1e9:8.1f} GMAC/s")
