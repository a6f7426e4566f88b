"""`ncnn-assay run`: inference from the shell."""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

from fastpath.commands.command_line import report
from fastpath.commands.engines import RUN_ENGINES, open_engine
from fastpath.commands.inputs import ImageOptions, image_options, load_input
from spec.errors import UsageError


@click.command("run")
@click.argument("param")
@click.argument("bin")
@click.argument("inputs", nargs=-1, required=True)
@click.option("--engine", type=click.Choice(RUN_ENGINES), default="fastpath", help="Who computes.")
@click.option("--extract", "extracts", multiple=True, help="A blob to extract; default: every output of the net.")
@click.option("--output", type=click.Path(file_okay=False), help="Folder for the outputs, as BLOB.npy.")
@image_options
def command(
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
