"""`ncnn-assay eval`: what a float and an int8 network make of a set of samples."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np
from rich.table import Table

from fastpath.accuracy.evaluate import Evaluation, evaluate
from fastpath.accuracy.metrics import as_json
from fastpath.accuracy.samples import counted, open_samples
from fastpath.commands.command_line import report
from fastpath.commands.engines import RUN_ENGINES, open_engine
from fastpath.commands.inputs import ImageOptions, image_options, load_input, threads_option, without_threads
from fastpath.commands.tune import read_labels, shown_progress, wide_console
from spec.errors import FormatError, UsageError
from spec.formats.files import read_bytes, write_files


@click.command("eval")
@click.argument("samples", nargs=-1, required=True)
@click.option("--float", "float_model", nargs=2, metavar="PARAM BIN", help="The float model: the reference.")
@click.option("--int8", "int8_models", nargs=2, multiple=True, metavar="PARAM BIN", help="An int8 model; repeatable.")
@click.option("--engine", "engines", multiple=True, type=click.Choice(RUN_ENGINES), help="Who computes; repeatable.")
@click.option("--labels", help="Classes: an .npy file of integers.")
@click.option("--charset", help="Characters of a CTC network, one a line: outputs are read as text.")
@click.option("--texts", help="The right texts, one a line.")
@click.option("--extract", help="The output to judge; default: the first.")
@click.option("--json", "json_path", help="Write the figures to this file.")
@threads_option
@image_options
def command(
    samples: tuple[str, ...],
    float_model: tuple[str, str] | None,
    int8_models: tuple[tuple[str, str], ...],
    engines: tuple[str, ...],
    labels: str | None,
    charset: str | None,
    texts: str | None,
    extract: str | None,
    json_path: str | None,
    threads: int,
    image: ImageOptions,
) -> None:
    """Measure models on SAMPLES: folders, lists of files, pictures, or .npy files that hold a stack of samples.

    x.npy,y.npy stands for a stack and its labels. The first model on the first engine is the reference for SNR, PSNR,
    cosine and agreement. Without --labels there is no accuracy, without --charset no text.
    """
    models = ([float_model] if float_model else []) + list(int8_models)
    if not models:
        raise UsageError("give --float PARAM BIN, --int8 PARAM BIN, or both")
    runners = [
        (f"{name} on {engine}", open_engine(engine, *paths))
        for engine in engines or ("fastpath",)
        for name, paths in zip(model_names(models), models, strict=True)
    ]
    inputs = runners[0][1].input_names()
    words, threads = without_threads(samples, threads)
    if len(inputs) == len(words) == 1 and labels is None and words[0].endswith(".npy") and words[0].count(",") == 1:
        words[0], labels = words[0].split(",")
    opened = open_samples(words, inputs, partial(load_input, image=image), stacks=True)
    if threads > 1 and opened:
        for _, engine in runners:
            engine.prepare(opened[0].feeds())
    start = time.perf_counter()
    with shown_progress() as progress:
        found = evaluate(
            runners,
            opened,
            output=extract,
            labels=read_labels(labels),
            characters=read_lines(charset),
            texts=read_lines(texts),
            workers=threads,
            progress=progress,
        )
    show(found, len(opened))
    if json_path is not None:
        write_files({json_path: as_json([each.record() for each in found])})
    report(f"{counted(len(opened))}, {time.perf_counter() - start:.1f} s")


def model_names(models: list[tuple[str, str]]) -> list[str]:
    """Short names of models: those of their files, with the folder where that is needed to tell them apart."""
    stems = [Path(param).stem for param, _ in models]
    distinct = len(set(stems)) == len(stems)
    return stems if distinct else [param for param, _ in models]


def read_lines(path: str | None) -> list[str] | None:
    """The lines of a text file, or None without one. FormatError for other bytes than UTF-8."""
    if path is None:
        return None
    try:
        return read_bytes(path).decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise FormatError(path, f"byte {error.start}", "expected text in UTF-8") from error


def show(found: list[Evaluation], count: int) -> None:
    """Print a row per model, with the columns that mean something for it."""
    table = Table(title=counted(count))
    columns: list[tuple[str, Callable[[Evaluation], str]]] = [
        ("model", lambda each: each.name),
        ("top-1", lambda each: _percent(each.top1)),
        ("top-5", lambda each: _percent(each.top5)),
        ("agrees", lambda each: _percent(each.agreement)),
        ("SNR", lambda each: _decibels(each.difference.snr)),
        ("PSNR", lambda each: _decibels(each.difference.psnr)),
        ("cosine", lambda each: f"{each.difference.cosine:.6f}"),
        ("same text", lambda each: _percent(each.same_text)),
        ("right text", lambda each: _percent(each.right_text)),
        ("characters", lambda each: _percent(each.characters)),
        ("ms", lambda each: f"{each.milliseconds:.2f}"),
    ]
    for heading, text in columns:
        if any(text(each) != "-" for each in found):
            table.add_column(heading, justify="left" if heading == "model" else "right")
    for each in found:
        table.add_row(
            *(text(each) for _, text in columns if any(text(other) != "-" for other in found)),
        )
    console = wide_console()
    console.print(table)
    texts = [each.texts for each in found if each.texts is not None]
    for position in range(min(len(texts[0]), 10) if texts else 0):
        console.print(" | ".join(column[position] for column in texts), highlight=False, markup=False)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _decibels(value: float) -> str:
    return "-" if np.isinf(value) and value > 0 else f"{value:.2f} dB"
