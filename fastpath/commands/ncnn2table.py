"""The command ncnn2table: calibrate a float model and write its table of scales."""

from __future__ import annotations

import atexit
import gc
import hashlib
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

import fastpath.calibration.calibrate as fast_calibrate
from fastpath.calibration.checkpoint import Checkpoint
from fastpath.calibration.pixels import PIXEL_CHANNELS
from fastpath.calibration.samples import blob_of as fast_blob_of
from fastpath.calibration.summary import advice, table_rows
from fastpath.calibration.weight_scales import CONVOLUTION_TYPES, STATIC_TYPES, Method
from fastpath.commands.arguments import (
    format_arrays,
    is_key_value,
    parse_integer,
    parse_integer_arrays,
    parse_key_values,
    parse_number_arrays,
    parse_words,
)
from fastpath.commands.command_line import engine_option, report, upstream_option
from fastpath.formats.weights import widen_weights
from fastpath.net import Net as FastNet
from spec.errors import AssayError, FormatError, UsageError
from spec.formats.files import read_bytes, write_files
from spec.formats.image_list import ListEntry, read_image_list
from spec.formats.samples import ImageInput, NpyInput, listed_samples
from spec.formats.table import format_table
from spec.formats.weights import read_model
from spec.graph import Graph, Shape

USAGE = """\
Usage: ncnn2table [ncnnparam] [ncnnbin] [list,...] [ncnntable] [(key=value)...]
       ncnn2table [ncnnparam] [ncnnbin] [ncnntable] [(key=value)...]
  mean=[104.0,117.0,123.0],...
  norm=[1.0,1.0,1.0],...
  shape=[224,224,3],...[w,h,c] or [w,h] **[0,0] will not resize
  pixel=RGB/BGR/GRAY/RGBA/BGRA,...
  thread=8
  method=kl/aciq/eq
  type=0/1, 0:image,1:npy
Sample usage:
  ncnn2table squeezenet.param squeezenet.bin filelist.txt squeezenet.table mean=[104.0,117.0,123.0] \
norm=[1.0,1.0,1.0] shape=[227,227,3] pixel=BGR method=kl
  ncnn2table test.param test.bin filelist.txt squeezenet.table shape=[227,227,3] method=kl type=1
  ncnn2table rnn.param rnn.bin rnn.table method=kl"""

METHODS: tuple[Method, ...] = ("kl", "aciq", "eq")

EXECUTORS = ("serial", "process", "dask")
"""Who runs the samples: this process, others on this machine, or the workers of a Dask cluster."""

SAMPLES_PER_PROCESS = 16
"""Unless told, no more processes are started than have so many samples each."""

BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
"""Units of memory."""

KEYS = ("mean", "norm", "shape", "pixel", "thread", "method", "type", "engine", "plot")
"""What can stand before `=`."""

REFUSED = 255
"""Exit status where the arguments, the model or the lists cannot be used, as the C++ tool has it."""

FAILED = 1
"""Exit status where calibration fails on the way."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

PROGRESS_STEP = 100
"""Without a terminal one line of progress is printed for so many samples."""

SUCCESS = "ncnn int8 calibration table create success"


@dataclass(frozen=True)
class Settings:
    """The key=value arguments, parsed."""

    mean: list[list[float]]
    norm: list[list[float]]
    shape: list[list[int]]
    pixel: list[str]
    thread: int
    threads_given: bool
    method: str
    images: bool
    engine: str
    plot: str

    def lines(self) -> list[str]:
        """The settings as the C++ tool echoes them."""
        return [
            f"mean = {format_arrays(self.mean)}",
            f"norm = {format_arrays(self.norm)}",
            f"shape = {format_arrays(self.shape)}",
            f"pixel = {','.join(self.pixel)}",
            f"thread = {self.thread}",
            f"method = {self.method}",
            "---------------------------------------",
        ]


@dataclass(frozen=True)
class Way:
    """How to get to the table: nothing of it changes a scale but `upstream`."""

    workers: int | None
    scheduler: str | None
    memory: int
    checkpoint: str | None
    upstream: bool
    summary: bool

    def processes(self, samples: int, settings: Settings) -> int:
        """How many processes: as many as asked for, or one per processor where there is enough for them to do."""
        if self.workers is not None:
            return self.workers
        if settings.threads_given:
            return settings.thread
        return max(min(settings.thread, samples // SAMPLES_PER_PROCESS), 1)


@click.command("ncnn2table", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("words", nargs=-1, metavar="PARAM BIN [LISTS] TABLE [KEY=VALUE]...")
@click.option("--mean", help="Subtracted from each channel, an array for each input: [104,117,123],...")
@click.option("--norm", help="Multiplied to each channel, an array for each input.")
@click.option("--shape", help="[w,h] or [w,h,c] for each input; a side of 0 keeps the aspect ratio, [0,0] the size.")
@click.option("--pixel", help=f"{', '.join(PIXEL_CHANNELS)}: one for each input.")
@click.option("--thread", help="How many processes share the samples; the table does not depend on it.")
@click.option("--method", help="kl (default), aciq or eq.")
@click.option("--type", "type_", help="0: the lists name pictures (default); 1: they name npy files.")
@click.option("--plot", help="Write pictures of what was found, and why, to this folder.")
@click.option(
    "--executor", type=click.Choice(EXECUTORS), help="serial: this process; process: several; dask: a cluster."
)
@click.option("--workers", type=click.IntRange(1), help="How many processes; the same as --thread.")
@click.option("--scheduler", metavar="ADDRESS", help="Where the scheduler of the Dask cluster listens.")
@click.option("--memory", default="2GiB", show_default=True, help="How much of the activations to keep in memory.")
@click.option("--checkpoint", help="Keep statistics in this file, and go on from it after an interruption.")
@click.option("--summary/--no-summary", default=True, help="Print what the scales mean, and what to do about trouble.")
@engine_option
@upstream_option
@click.pass_context
def command(
    context: click.Context,
    /,
    words: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    scheduler: str | None,
    memory: str,
    checkpoint: str | None,
    summary: bool,
    engine: str,
    upstream: bool,
    **options: str | None,
) -> int:
    """Calibrate the float model PARAM BIN and write the TABLE that ncnn2int8 reads.

    LISTS are the names of text files, one for each input and separated by commas; each names one sample a line. Without
    LISTS only the layers that need no samples get rows. Every option can also be given as KEY=VALUE.
    """
    keyed = next((i for i, word in enumerate(words) if i >= 3 and is_key_value(word, KEYS)), len(words))
    paths, keys = words[: min(keyed, 4)], words[min(keyed, 4) :]
    if len(paths) < 3:
        raise click.UsageError("expected PARAM BIN TABLE or PARAM BIN LISTS TABLE", context)
    given = [f"{key.rstrip('_')}={value}" for key, value in options.items() if value is not None]
    values = parse_key_values([*keys, *given], KEYS, upstream=upstream, report=report)
    settings = parse_settings({"engine": engine, **values})
    graph = _refusing(lambda: read_model(paths[0], paths[1]))
    if len(paths) == 3:
        return write_static_table(graph, paths[2], settings)
    check_executor(executor, workers, scheduler)
    if executor == "serial":
        workers = 1
    elif executor == "process":
        workers = workers or settings.thread
    way = Way(workers, scheduler, parse_bytes(memory), checkpoint, upstream, summary)
    if settings.engine == "spec" and ((workers or 1) > 1 or scheduler or checkpoint):
        raise UsageError("the spec runs in one process and without a checkpoint: use engine=fastpath")
    return write_calibrated_table(graph, paths, settings, way)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, or 255 or 1 with a message on stderr."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    atexit.register(gc.freeze)  # the end of the process frees all memory: nobody need look for cycles first
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            result = command.main(args=arguments, prog_name="ncnn2table", standalone_mode=False)
        except click.UsageError as error:
            report(f"{USAGE}\n{error.format_message()}")
            return REFUSED
        except click.Abort:
            report("interrupted")
            return INTERRUPTED
        except UsageError as error:
            report(str(error))
            return REFUSED
        except AssayError as error:
            report(f"error: {error}")
            return FAILED
    return result if isinstance(result, int) else 0


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    report(f"warning: {message}")


def parse_settings(values: dict[str, str]) -> Settings:
    """The settings of a run; UsageError for what cannot be read. Unknown pixel types are left out, with a message."""
    pixels = []
    for name in parse_words(values.get("pixel", "")):
        if name == "RAW":
            raise UsageError("pixel RAW is not implemented: the real tool makes empty blobs of it")
        if name in PIXEL_CHANNELS:
            pixels.append(name)
        else:
            report(f"pixel type {name} is unknown: expected {' / '.join(PIXEL_CHANNELS)}")
    engine = values["engine"]
    if engine not in ("fastpath", "spec"):
        raise UsageError(f"unknown engine {engine}, expect fastpath / spec")
    return Settings(
        mean=parse_number_arrays(values.get("mean", "")),
        norm=parse_number_arrays(values.get("norm", "")),
        shape=parse_integer_arrays(values.get("shape", "")),
        pixel=pixels,
        threads_given="thread" in values,
        thread=parse_integer("thread", values.get("thread", str(os.cpu_count() or 1))),
        method=values.get("method", "kl"),
        images=parse_integer("type", values.get("type", "0")) == 0,
        engine=engine,
        plot=values.get("plot", ""),
    )


def write_static_table(graph: Graph, path: str, settings: Settings) -> int:
    """The weight-only form: rows for the layers that need no samples."""
    if any(layer.type in CONVOLUTION_TYPES for layer in graph):
        report("warning: calibration dataset not provided, skip activation calibration and generate weight-only table")
    check_settings(settings)
    rows = engine_of(settings).weight_only(graph).rows()
    _write(graph, [], path, rows)
    return 0


def write_calibrated_table(graph: Graph, paths: Sequence[str], settings: Settings, way: Way) -> int:
    """The calibration form. `paths` are PARAM, BIN, LISTS and TABLE."""
    lists, path = paths[2:]
    entries = read_lists(lists)
    check_counts(graph, len(entries), settings)
    check_settings(settings)
    entries = equal_lists(lists, entries, way.upstream)
    if not Path(path).resolve().parent.is_dir():
        raise UsageError(f"fopen {path} failed: its folder does not exist")
    inputs = input_settings(graph, settings)
    method: Method = next(name for name in METHODS if name == settings.method)
    if way.scheduler:
        entries = [[replace(entry, path=str(Path(entry.path).absolute())) for entry in each] for each in entries]
    checkpoint = None
    if way.checkpoint:
        checkpoint = Checkpoint(way.checkpoint, fingerprint(paths[:2], entries, inputs, way.upstream))
    with shown_progress() as progress:
        if settings.engine == "spec":
            outcome: Any = calibrate_by_spec(graph, entries, inputs, method, way, progress)
        else:
            widen_weights(graph)
            outcome = fast_calibrate.calibrate(
                graph,
                listed_samples(entries, inputs, fast_blob_of),
                fast_calibrate.net_activations(FastNet.from_graph(graph)),
                method,
                upstream=way.upstream,
                histograms=bool(settings.plot),
                workers=way.processes(len(entries[0]), settings),
                executor=way.scheduler,
                memory=way.memory,
                checkpoint=checkpoint,
                report=report,
                progress=progress,
            )
    _write(graph, outcome.layers, path, outcome.rows(), show=lambda: show_summary(outcome.layers, method, way.summary))
    if checkpoint:
        checkpoint.remove()
    if settings.plot:
        from fastpath.calibration.plots import plot_calibration  # matplotlib takes a second to import

        for picture in plot_calibration(outcome.layers, method, settings.plot):
            report(f"wrote {picture}")
    return 0


def engine_of(settings: Settings) -> Any:
    """The module that calibrates. That of the spec is imported only where it is wanted: it takes a while."""
    if settings.engine != "spec":
        return fast_calibrate
    import spec.calibration.calibrate as spec_calibrate

    return spec_calibrate


def calibrate_by_spec(
    graph: Graph,
    entries: Sequence[Sequence[ListEntry]],
    inputs: Sequence[ImageInput | NpyInput],
    method: Method,
    way: Way,
    progress: Callable[[str, int, int], None],
) -> Any:
    """What the spec makes of the samples."""
    import spec.calibration.calibrate as spec_calibrate
    from spec.calibration.samples import blob_of
    from spec.net import Net

    samples = listed_samples(entries, inputs, blob_of)
    activations = spec_calibrate.net_activations(Net.from_graph(graph))
    return spec_calibrate.calibrate(
        graph, samples, activations, method, upstream=way.upstream, report=report, progress=progress
    )


def check_executor(executor: str | None, workers: int | None, scheduler: str | None) -> None:
    """UsageError for options that do not go together."""
    if executor == "serial" and workers is not None and workers > 1:
        raise UsageError(f"--executor serial does not go with --workers {workers}")
    if (executor == "dask") != (scheduler is not None):
        raise UsageError("--executor dask and --scheduler ADDRESS go together")
    if scheduler is not None and workers is not None:
        raise UsageError("the cluster says how many workers there are: leave out --workers")


def parse_bytes(text: str) -> int:
    """A size in bytes, such as 512MiB, 2GiB, 1G or 0; UsageError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise UsageError(f"malformed memory {text}, expect a size such as 512MiB or 2GiB")
    return int(float(match[1]) * BYTES[match[2].upper()])


def fingerprint(
    model: Sequence[str], lists: Sequence[Sequence[ListEntry]], inputs: Sequence[ImageInput | NpyInput], upstream: bool
) -> str:
    """A digest of all that statistics depend on: the model, the names, sizes and times of samples, how to read them."""
    digest = hashlib.sha256()
    for path in model:
        digest.update(b"null" if path == "null" else read_bytes(path))
    for entry in (entry for entries in lists for entry in entries):
        file = Path(entry.path)
        state = file.stat() if file.exists() else None
        digest.update(repr((entry.path, state and (state.st_size, state.st_mtime_ns))).encode())
    digest.update(repr((inputs, upstream)).encode())
    return digest.hexdigest()


def read_lists(lists: str) -> list[Sequence[ListEntry]]:
    """The entries of each list, up to the first list that cannot be read, which is reported."""
    entries: list[Sequence[ListEntry]] = []
    for name in parse_words(lists):
        try:
            entries.append(read_image_list(name))
        except FormatError:
            report(f"fopen {name} failed")
            break
    return entries


def check_counts(graph: Graph, lists: int, settings: Settings) -> None:
    """UsageError unless there is one of everything for each Input layer."""
    expected = len(graph.input_names())
    counts = [("lists", lists), ("shapes", len(settings.shape))]
    if settings.images:
        counts[1:1] = [("means", len(settings.mean)), ("norms", len(settings.norm))]
        counts.append(("pixels", len(settings.pixel)))
    for what, count in counts:
        if count != expected:
            raise UsageError(f"expect {expected} {what}, but got {count}")


def check_settings(settings: Settings) -> None:
    """Echo the settings; UsageError for a thread count or a method that does not exist."""
    if settings.thread < 1:
        raise UsageError(f"malformed thread {settings.thread}")
    for line in settings.lines():
        report(line)
    if settings.method not in METHODS:
        raise UsageError(f"not implemented yet !\nunknown method {settings.method}, expect kl / aciq / eq")


def equal_lists(names: str, entries: Sequence[Sequence[ListEntry]], upstream: bool) -> list[Sequence[ListEntry]]:
    """The lists; UsageError if they are empty, or not equally long. With `upstream` surplus entries are left out."""
    first, *others = zip(parse_words(names), entries, strict=True)
    for name, samples in (first, *others):
        if not samples:
            raise UsageError(f"{name}: the list names no samples")
        if len(samples) < len(first[1]) or (len(samples) > len(first[1]) and not upstream):
            raise UsageError(f"{name} names {len(samples)} samples, but {first[0]} names {len(first[1])}")
    return [samples[: len(first[1])] for samples in entries]


def input_settings(graph: Graph, settings: Settings) -> list[ImageInput | NpyInput]:
    """How the samples of each Input layer are read; UsageError for what cannot be."""
    readers = graph.consumers()
    inputs: list[ImageInput | NpyInput] = []
    for position, name in enumerate(graph.input_names()):
        shape = settings.shape[position]
        if settings.images:
            channels = PIXEL_CHANNELS[settings.pixel[position]]
            if len(shape) < 2:
                raise UsageError(f"shape of input {name}: expected [w,h] or [w,h,c], but got {format_arrays([shape])}")
            for what, values in (("mean", settings.mean[position]), ("norm", settings.norm[position])):
                if len(values) < channels:
                    message = f"{settings.pixel[position]} needs {channels} numbers, but got {len(values)}"
                    raise UsageError(f"{what} of input {name}: {message}")
            inputs.append(
                ImageInput(
                    size=(shape[0], shape[1]),
                    pixel=settings.pixel[position],
                    mean=tuple(settings.mean[position][:channels]),
                    norm=tuple(settings.norm[position][:channels]),
                )
            )
        else:
            if not 1 <= len(shape) <= 4 or any(extent < 1 for extent in shape):
                raise UsageError(
                    f"shape of input {name}: expected 1 to 4 positive numbers, but got {format_arrays([shape])}"
                )
            inputs.append(NpyInput(numpy_shape(shape), integers=any(r.type == "Embed" for r in readers[name])))
    return inputs


def numpy_shape(shape: Sequence[int]) -> Shape:
    """[w], [w,h], [w,h,c] or [w,h,d,c] in numpy order."""
    return tuple(reversed(shape))


def _refusing(read: Callable[[], Graph]) -> Graph:
    """The model, or UsageError for one that cannot be loaded."""
    try:
        return read()
    except AssayError as error:
        raise UsageError(f"error: {error}") from error


def _write(
    graph: Graph,
    layers: Sequence[Any],
    path: str,
    rows: Sequence[tuple[str, list[float]]],
    show: Callable[[], None] = lambda: None,
) -> None:
    """Write the table, print how many layers of each kind it is about, and say that it is done."""
    write_files({path: format_table(rows).encode()})
    for count in (len(layers), *(sum(layer.type == kind for layer in graph) for kind in STATIC_TYPES)):
        print(f"param:{count}")
    show()
    report(SUCCESS)


def show_summary(layers: Sequence[Any], method: Method, everything: bool) -> None:
    """Print the meaning of the scales where there is a terminal, and advice in any case."""
    if everything and sys.stderr.isatty() and layers:
        from fastpath.commands.calibration_progress import print_summary  # rich takes a while to import

        print_summary(method, table_rows(layers))
    elif everything and layers:
        for name, _, _, clipped, snr in table_rows(layers):
            report(f"{name:<40} : clipped = {clipped:<15}  expected SNR = {snr}")
    for line in advice(layers, method):
        report(f"warning: {line}")


def shown_progress() -> AbstractContextManager[Callable[[str, int, int], None]]:
    """A bar with rate and remaining time on a terminal; elsewhere a line for every hundredth sample."""
    if not sys.stderr.isatty():
        return nullcontext(_progress_line)
    from fastpath.commands.calibration_progress import progress_bars  # rich takes a while to import

    return progress_bars()


def _progress_line(stage: str, done: int, total: int) -> None:
    if done % PROGRESS_STEP == 0:
        report(f"{stage} {done * 100.0 / total:.2f}% [ {done} / {total} ]")
