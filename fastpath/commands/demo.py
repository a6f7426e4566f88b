"""`ncnn-assay demo`: two small networks through all three commands, and what became of their accuracy."""

from __future__ import annotations

import importlib.util
import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import golden
from fastpath.commands import ncnn2int8, ncnn2table, ncnnoptimize
from fastpath.commands.engines import Engine, open_engine
from spec.errors import AssayError

MODELS = Path(golden.__file__).parent / "models"
"""The networks that the package carries; `python -m golden explain models/NAME/float.bin` tells where from."""

SPEC_SAMPLES = 20
"""Samples that the spec runs: it is written to be read, not to be fast."""

TOOLS: dict[str, Callable[[Sequence[str]], int]] = {
    "ncnnoptimize": ncnnoptimize.main,
    "ncnn2table": ncnn2table.main,
    "ncnn2int8": ncnn2int8.main,
}


@dataclass(frozen=True)
class Example:
    """One network of the demonstration."""

    name: str
    shape: str
    """As ncnn2table's shape=, in the order w, h, c."""
    heldout: str
    remark: str


EXAMPLES = (
    Example(
        "digits-cnn",
        "[8,8,1]",
        "heldout-digits-8x8x1",
        "kl fails here, and rightly so: the input has only 17 grey levels, so its histogram has 17 spikes, and the "
        "divergence is smallest where the threshold cuts nearly all of them off. The real tool does the same. "
        "aciq looks at the range instead, and keeps the accuracy.",
    ),
    Example(
        "digits-lstm",
        "[8,8]",
        "heldout-digits-8x8",
        "The LSTM's weights are quantized row by row; its input and hidden state get a new scale at every time step.",
    ),
)


@click.command("demo")
@click.argument("folder", default="demo-output")
def command(folder: str) -> None:
    """Optimise, calibrate, quantize and run two digit classifiers, and write everything to FOLDER."""
    console = Console()
    for example in EXAMPLES:
        demonstrate(example, Path(folder), console)


def demonstrate(example: Example, folder: Path, console: Console) -> None:
    """Take one network the whole way and print what happened."""
    console.rule(example.name)
    home = MODELS / example.name
    work = folder / example.name
    work.mkdir(parents=True, exist_ok=True)
    _tool(console, "ncnnoptimize", home / "float.param", home / "float.bin", work / "opt.param", work / "opt.bin", 0)
    samples = _sample_list(home / "calib.txt", work / "calib.txt")
    for method in ("kl", "aciq"):
        table = work / f"{method}.table"
        arguments = [f"shape={example.shape}", "type=1", f"method={method}"]
        if method == "kl":
            arguments.append(f"plot={work / 'plots'}")
        _tool(console, "ncnn2table", work / "opt.param", work / "opt.bin", samples, table, *arguments)
        int8 = (work / f"int8-{method}.param", work / f"int8-{method}.bin")
        _tool(console, "ncnn2int8", work / "opt.param", work / "opt.bin", *int8, table)
    _accuracy(console, example, work)
    _agreement(console, example, work)
    console.print(f"\n{example.remark}\n")
    for picture in sorted((work / "plots").glob("*.png"))[:1]:
        console.print(f"Histogram of the activations with the chosen thresholds: {picture}", soft_wrap=True)


def _tool(console: Console, name: str, *arguments: object) -> None:
    words = [str(argument) for argument in arguments]
    console.print(f"$ {name} {shlex.join(words)}", style="bold", soft_wrap=True, highlight=False)
    status = TOOLS[name](words)
    if status != 0:
        raise AssayError(f"{name} ended with status {status}")


def _sample_list(source: Path, target: Path) -> Path:
    """The calibration list with its paths, relative to the model's folder, made to hold from anywhere."""
    lines = [os.path.normpath(source.parent / line) for line in source.read_text().split()]
    target.write_text("".join(f"{line}\n" for line in lines))
    return target


def _accuracy(console: Console, example: Example, work: Path) -> None:
    x = np.load(MODELS / example.heldout / "x.npy")
    y = np.load(MODELS / example.heldout / "y.npy")
    table = Table(title=f"Accuracy on {len(x)} held-out digits (fastpath)")
    for heading in ("model", "accuracy", "ms per digit"):
        table.add_column(heading, justify="right")
    for label, stem in (("float", "opt"), ("int8, kl", "int8-kl"), ("int8, aciq", "int8-aciq")):
        answers, milliseconds = _classify(open_engine("fastpath", *_model(work, stem)), x)
        table.add_row(label, f"{np.mean(answers.argmax(axis=1) == y):.1%}", f"{milliseconds:.3f}")
    console.print(table)


def _agreement(console: Console, example: Example, work: Path) -> None:
    """spec, fastpath and the real runtime on one int8 model."""
    x = np.load(MODELS / example.heldout / "x.npy")
    model = _model(work, "int8-aciq")
    reference, milliseconds = _classify(open_engine("fastpath", *model), x)
    table = Table(title="One int8 model (aciq), three engines")
    for heading in ("engine", "digits", "same class as fastpath", "largest difference", "ms per digit"):
        table.add_column(heading, justify="right")
    table.add_row("fastpath", str(len(x)), "", "", f"{milliseconds:.3f}")
    engines = [("spec", SPEC_SAMPLES)]
    if importlib.util.find_spec("ncnn") is not None:
        engines.append(("wheel", len(x)))
    for engine, count in engines:
        answers, milliseconds = _classify(open_engine(engine, *model), x[:count])
        same = np.mean(answers.argmax(axis=1) == reference[:count].argmax(axis=1))
        difference = float(np.abs(answers - reference[:count]).max())
        shown = "none, bit for bit" if difference == 0.0 else f"{difference:.2g}"
        table.add_row(engine, str(count), f"{same:.1%}", shown, f"{milliseconds:.3f}")
    console.print(table)
    if len(engines) == 1:
        console.print("The ncnn wheel is not installed; `pip install ncnn` adds its row.")


def _model(work: Path, stem: str) -> tuple[str, str]:
    return str(work / f"{stem}.param"), str(work / f"{stem}.bin")


def _classify(net: Engine, x: np.ndarray) -> tuple[np.ndarray, float]:
    """Outputs for every sample, and milliseconds per sample."""
    (source,), (sink,) = net.input_names(), net.output_names()
    start = time.perf_counter()
    outputs = np.stack([net.run({source: sample}, [sink])[sink].reshape(-1) for sample in x])
    return outputs, (time.perf_counter() - start) * 1000 / len(x)
