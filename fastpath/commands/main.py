"""The command ncnn-assay: run a model, and the tools of this project that have no C++ namesake."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from fastpath import kernels
from fastpath.commands import demo as demo_command
from fastpath.commands import ncnn2int8, ncnn2table, ncnnoptimize, table
from fastpath.commands.command_line import invoke, report
from fastpath.commands.engines import RUN_ENGINES, open_engine
from fastpath.commands.inputs import ImageOptions, image_options, load_input
from spec.errors import UsageError


def version_text() -> str:
    """Name, version, and how the kernels run."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("ncnn-assay")
    except PackageNotFoundError:
        number = "(not installed)"
    how = f"compiled: yes, level: {kernels.level()}" if kernels.COMPILED else "compiled: no, kernels are interpreted"
    return f"ncnn-assay {number} ({how})"


@click.group("ncnn-assay")
@click.version_option(message=version_text())
def command() -> None:
    """Quantize ncnn models to int8, run them, and see what was lost."""


@command.command()
@click.argument("param")
@click.argument("bin")
@click.argument("inputs", nargs=-1, required=True)
@click.option("--engine", type=click.Choice(RUN_ENGINES), default="fastpath", help="Who computes.")
@click.option("--extract", "extracts", multiple=True, help="A blob to extract; default: every output of the net.")
@click.option("--output", type=click.Path(file_okay=False), help="Folder for the outputs, as BLOB.npy.")
@image_options
def run(
    param: str,
    bin: str,
    inputs: tuple[str, ...],
    engine: str,
    extracts: tuple[str, ...],
    output: str | None,
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


command.add_command(demo_command.command, "demo")
command.add_command(table.command, "table")
command.add_command(ncnnoptimize.command, "optimize")
command.add_command(ncnn2table.command, "calibrate")
command.add_command(ncnn2int8.command, "quantize")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return invoke(command, argv)
