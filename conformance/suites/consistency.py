"""One value, one answer: at every position, in every length from 1 to 33, and with every number of threads.

Vector code treats the body and the tail of a row differently, and threads take shares of it. In these cases every
position holds the same value, so every position of the output must; the cases of a family form a group with one answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from conformance.case import Case, Source
from conformance.suites.recurrent import Sizes, float_record, int8_record, net
from conformance.tensor import Dtype, Tensor, tensor

FILE = Path(__file__).resolve().parent.parent / "vectors" / "consistency.json"
"""The one answer of each family, from the spec."""

LENGTHS = range(1, 34)
THREADS = (1, 2, 3, 4)
THREADS_LENGTH = 33
FLAGS = {
    "length": "every length from 1 to 33: bodies and tails of vectors agree",
    "threads": "every number of threads",
}


@dataclass(frozen=True)
class Layer:
    """A layer on one value everywhere: how its line, records, input and output depend on the length."""

    type: str
    params: str
    """`{n}` is the length."""
    records: tuple[tuple[str, str, float], ...]
    """(kind, count, value)."""
    shape: tuple[str, ...]
    value: float
    output: tuple[str, ...]
    dtype: Dtype = "float32"
    result: Dtype = "float32"
    tolerance: str = "elementwise"


LAYERS = {
    "quantize": Layer("Quantize", "0=1", (("raw", "1", 37.3),), ("n",), 0.8713, ("n",), result="int8", tolerance=""),
    "dequantize": Layer(
        "Dequantize", "0=1 1=1", (("raw", "1", 0.0371), ("raw", "1", 0.3)), ("n",), 977, ("n",), "int32"
    ),
    "requantize": Layer(
        "Requantize",
        "0=1 1=1 2=1",
        (("raw", "1", 0.00371), ("raw", "1", 41.7), ("raw", "1", 0.3)),
        ("n",),
        577,
        ("n",),
        "int32",
        "int8",
        "",
    ),
    "convolution": Layer(
        "Convolution",
        "0=3 1=1 5=1 6=6 8=2",
        (("int8", "6", 57), ("raw", "3", 0.3), ("raw", "3", 61.7), ("raw", "1", 41.3)),
        ("2", "3", "n"),
        0.8713,
        ("3", "3", "n"),
    ),
    "convolution-outputs": Layer(
        "Convolution",
        "0={n} 1=1 5=1 6={n} 8=2",
        (("int8", "n", 57), ("raw", "n", 0.3), ("raw", "n", 61.7), ("raw", "1", 41.3)),
        ("1", "2", "5"),
        0.8713,
        ("n", "2", "5"),
    ),
    "depthwise": Layer(
        "ConvolutionDepthWise",
        "0=3 1=1 5=1 6=3 7=3 8=1",
        (("int8", "3", 57), ("raw", "3", 0.3), ("raw", "3", 61.7), ("raw", "1", 41.3)),
        ("3", "2", "n"),
        0.8713,
        ("3", "2", "n"),
    ),
    "innerproduct": Layer(
        "InnerProduct",
        "0={n} 1=1 2={n5} 8=2",
        (("int8", "n5", 57), ("raw", "n", 0.3), ("raw", "n", 61.7), ("raw", "1", 41.3)),
        ("5",),
        0.8713,
        ("n",),
    ),
    "embed": Layer(
        "Embed",
        "0=3 1=4 2=0 3=12 18=2",
        (("int8", "12", 57), ("raw", "1", 61.7)),
        ("n",),
        2,
        ("n", "3"),
        "int32",
    ),
    "gemm": Layer(
        "Gemm",
        "3=1 5=1 6=1 8={n} 9=5 10=-1 18=2",
        (("int8", "n5", 57), ("raw", "1", 61.7)),
        ("3", "5"),
        0.8713,
        ("3", "n"),
        tolerance="gemm",
    ),
}

KINDS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM", "lstm-projection": "LSTM"}
CLOSED = {"rnn": {}, "gru": {1: -200.0}, "lstm": {1: -200.0}, "lstm-projection": {1: -200.0}}
"""Bias rows that shut out the past: the update gate, the forget gate. The recurrent weights are zero."""


def recurrent_cases() -> Iterator[Case]:
    """The same row at every time; nothing comes from the step before."""
    for kind in KINDS:
        for length in LENGTHS:
            yield _recurrent(kind, length, f"t{length}", "length")
        for threads in THREADS:
            case = _recurrent(kind, THREADS_LENGTH, f"threads-{threads}", "threads")
            yield replace(case, options={"threads": str(threads)}, formats=("threads",))


def layer_cases() -> Iterator[Case]:
    """The other int8 layers."""
    for name in LAYERS:
        for length in LENGTHS:
            yield _layer(name, length, f"n{length}", "length")
        for threads in THREADS:
            case = _layer(name, THREADS_LENGTH, f"threads-{threads}", "threads")
            yield replace(case, options={"threads": str(threads)}, formats=("threads",))


def _recurrent(kind: str, length: int, name: str, flag: str) -> Case:
    layer = KINDS[kind]
    sizes = Sizes(layer, 3, 2, length, 5 if kind == "lstm-projection" else 0)
    bias = {str(row): value for row, value in CLOSED[kind].items()}
    fills: dict[str, Any] = {
        "x": {"p": [1, 0, 1, 1], "plus": 0.8713},
        "wx": {"p": [1, 0, 1, 1], "plus": 57},
        "wh": {"p": [1, 0, 1, 1]},
        "b": {"p": [1, 0, 1, 1], "plus": 0.125, "rows": bias},
        "wr": {"p": [1, 0, 1, 1], "plus": 0.375},
        "sx": {"p": [1, 0, 1, 1], "plus": 161.7},
        "sh": {"p": [1, 0, 1, 1], "plus": 100},
    }

    param, data, inputs = net(sizes, fills)
    group = f"recurrent/{kind}/consistency"
    return _case(group, name, flag, layer, param, data, inputs, (length, 2), "float32", kind.split("-")[0])


def _layer(name: str, length: int, suffix: str, flag: str) -> Case:
    layer = LAYERS[name]
    counts = {"n": length, "n5": 5 * length}

    def number(word: str) -> int:
        return counts.get(word) or int(word)

    shape, output = tuple(map(number, layer.shape)), tuple(map(number, layer.output))
    records = [
        int8_record([value] * number(count)) if kind == "int8" else float_record([value] * number(count), tagged=False)
        for kind, count, value in layer.records
    ]
    line = f"{layer.type} layer 1 1 in0 out0 {layer.params.format(**counts)}"
    param = f"7767517\n2 2\nInput in0 0 1 in0\n{line}\n"
    values: Any = [layer.value if layer.dtype == "float32" else int(layer.value)] * math.prod(shape)
    inputs = {"in0": tensor(shape, values, layer.dtype)}
    group = f"int8-layers/consistency/{name}"
    return _case(
        group, suffix, flag, layer.type, param, b"".join(records), inputs, output, layer.result, layer.tolerance
    )


def _case(
    group: str,
    name: str,
    flag: str,
    layer: str,
    param: str,
    data: bytes,
    inputs: dict[str, Tensor],
    shape: tuple[int, ...],
    dtype: Dtype,
    tolerance: str,
) -> Case:
    answer = bytes.fromhex(_answers().get(group, "00" * (1 if dtype == "int8" else 4)))
    return Case(
        id=f"{group}/{name}",
        note=f"One value everywhere has one answer everywhere. {FLAGS[flag].capitalize()}.",
        flags=("uniform", flag),
        layers=(layer,),
        param=param,
        bin=data,
        inputs=inputs,
        expected={"out0": {"reference": Tensor(shape, dtype, answer * math.prod(shape))}},
        level="exact",
        tolerance=tolerance,
        source=Source("derived", "python -m conformance.suites.consistency_answers, spec, reference profile"),
        group=group,
    )


@cache
def _answers() -> dict[str, str]:
    answers: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8"))["answers"] if FILE.exists() else {}
    return answers
