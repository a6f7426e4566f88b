"""The file operations of this project, for the adapters of both engines: load, calibrate, quantize.

They do what the real tools do, faults included: what stands in the stored cases is what those wrote.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from conformance.adapter import Refused
from conformance.case import Case
from conformance.tensor import Tensor, tensor
from fastpath.commands import ncnn2int8, ncnn2table
from spec.errors import AssayError
from spec.formats.param import parse_param
from spec.formats.param_bin import parse_param_bin
from spec.formats.table import read_table
from spec.formats.weights import load_weights
from spec.graph import Graph

FORMATS = ("param", "bin", "param.bin", "values", "images", "nets", "float", "fp16")
"""What both engines read; `values` means that loaded values are told."""


EVERYTHING = "*"
"""The output that asks for all loaded values."""


def perform(case: Case, engine: str) -> dict[str, Tensor]:
    """Do what a case asks other than `infer`; Refused where its files are faulty."""
    if case.operation == "parse":
        return parse(case)
    return table(case, engine) if case.operation == "table" else quantize(case, engine)


def parse(case: Case) -> dict[str, Tensor]:
    """Load the model file; the values that a case asks for."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = _graph(case.files)
    except AssayError as error:
        raise Refused(str(error)) from error
    values = dict(loaded_values(graph)) if case.outputs else {}
    return values if case.outputs == [EVERYTHING] else {name: values[name] for name in case.outputs if name in values}


def _graph(files: dict[str, bytes]) -> Graph:
    if "net.param.bin" in files:
        graph = parse_param_bin(files["net.param.bin"])
    else:
        graph = parse_param(files["net.param"], "net.param")
    load_weights(graph, files["net.bin"], "net.bin")
    return graph


def loaded_values(graph: Graph) -> Iterator[tuple[str, Tensor]]:
    """What a loader holds: how many layers and blobs, parameters as `layer:id`, weight records as `layer/name`."""
    layers = list(graph)
    blobs = {top for layer in layers for top in layer.tops}
    yield "layers", tensor((1,), [len(layers)], "int32")
    yield "blobs", tensor((1,), [len(blobs)], "int32")
    for layer in layers:
        for number, value in layer.params.items():
            if not isinstance(value, str):
                yield f"{layer.name}:{number}", _numbers(value)
        for name, weight in layer.weights.items():
            codes = weight.dtype == "int8"
            values = weight.values if codes else weight.floats()
            yield f"{layer.name}/{name}", tensor((len(values),), values, "int8" if codes else "float32")


def _numbers(value: Any) -> Tensor:
    values = [value] if isinstance(value, (int, float)) else list(value)
    integers = all(isinstance(number, int) for number in values)
    return tensor((len(values),), values, "int32" if integers else "float32")


def table(case: Case, engine: str) -> dict[str, Tensor]:
    """The rows of the table that calibration writes, as their text has them."""
    options = [f"{name}={value}" for name, value in case.options.items() if name != "list"]
    lists = [case.options["list"]] if "list" in case.options else []
    upstream = ["--upstream"] if case.options.get("method") == "eq" else []
    words = ["net.param", "net.bin", *lists, "out.table", *options, *upstream, f"engine={engine}"]
    with _laid_out(case) as folder:
        _call(ncnn2table.main, words)
        rows = read_table(folder / "out.table")
        return {
            name: tensor((len(values),), values)
            for name, values in (*rows.weight_scales.items(), *rows.bottom_scales.items())
        }


def quantize(case: Case, engine: str) -> dict[str, Tensor]:
    """The bytes of both files."""
    names = [*(["net.table"] if "net.table" in case.files else []), f"engine={engine}", "--upstream"]
    data = "net.bin" if "net.bin" in case.files else "null"
    with _laid_out(case) as folder:
        _call(ncnn2int8.main, ["net.param", data, "int8.param", "int8.bin", *names])
        return {name: raw((folder / name).read_bytes()) for name in ("int8.param", "int8.bin")}


def raw(data: bytes) -> Tensor:
    """The bytes of a file as a tensor."""
    return Tensor((len(data),), "uint8", data)


@contextlib.contextmanager
def _laid_out(case: Case) -> Iterator[Path]:
    """The files of a case in a folder, which is the current one meanwhile."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        for file, data in case.files.items():
            path = Path(name, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield Path(name)


def _call(main: Callable[[list[str]], int], words: list[str]) -> None:
    messages = io.StringIO()
    with contextlib.redirect_stderr(messages), contextlib.redirect_stdout(io.StringIO()):
        status = main(words)
    if status != 0:
        raise Refused(messages.getvalue().strip()[-500:])
