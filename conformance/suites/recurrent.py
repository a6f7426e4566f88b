"""RNN, LSTM and GRU in int8: every row of the input and every hidden state is quantized while the network runs.

A stored case holds sizes, fills and expected bytes; here it becomes a one-layer network.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from conformance.case import Case, Source
from conformance.suites.recipe import Fill, expand
from conformance.tensor import Tensor, tensor

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "recurrent"

FILES = ("rnn", "gru", "lstm", "lstm-projection")
"""Vector files, in the order of the suite."""

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
BIAS_ROWS = {"RNN": 1, "GRU": 4, "LSTM": 4}
INT8_TAG = 0x000D4B38
REFERENCE = "reference"
"""The behaviour of the written formulas, with correctly rounded exp and tanh."""

DEFAULT_FILLS: dict[str, Fill] = {
    "x": [1789, 402, 4099, 1024],
    "h0": [1171, 77, 2053, 1024],
    "c0": [907, 311, 2053, 700],
    "wx": [37, 11, 255, 1],
    "wh": [29, 5, 255, 1],
    "b": [7, 3, 11, 16],
    "wr": [3, 1, 7, 8],
    "sx": {"p": [37, 11, 97, 1], "plus": 148},
    "sh": {"p": [23, 7, 89, 1], "plus": 134},
}
"""What is not said in a case."""


@dataclass(frozen=True)
class Sizes:
    """The `net` of a stored case."""

    type: str
    size: int
    num_output: int
    steps: int
    hidden_size: int = 0
    """0: as num_output."""
    direction: int = 0
    states_in: int = 0
    states_out: int = 0
    flat: int = 0
    """1: a single input row, and states of one direction, come as vectors."""

    @property
    def hidden(self) -> int:
        """Units of a gate."""
        return self.hidden_size or self.num_output

    @property
    def directions(self) -> int:
        """Directions that run."""
        return 2 if self.direction == 2 else 1

    @property
    def rows(self) -> int:
        """Rows of each weight matrix, of all directions."""
        return self.directions * GATES[self.type] * self.hidden

    @property
    def state_widths(self) -> list[int]:
        """Hidden state, and cell state of an LSTM."""
        return [self.num_output, self.hidden] if self.type == "LSTM" else [self.num_output]

    def state_shape(self, width: int) -> tuple[int, ...]:
        """Of initial and final states."""
        return (width,) if self.flat and self.directions == 1 and self.states_in else (self.directions, width)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of all input and output blobs."""
        x = (self.size,) if self.flat and self.steps == 1 else (self.steps, self.size)
        shapes: dict[str, tuple[int, ...]] = {"in0": x, "out0": (self.steps, self.directions * self.num_output)}
        for index, width in enumerate(self.state_widths, start=1):
            if self.states_in:
                shapes[f"in{index}"] = self.state_shape(width)
            if self.states_out:
                shapes[f"out{index}"] = self.state_shape(width)
        return shapes


def net(sizes: Sizes, fills: dict[str, Fill]) -> tuple[str, bytes, dict[str, Tensor]]:
    """The .param text, the .bin bytes and the inputs."""
    shapes = sizes.shapes()
    inputs = [name for name in shapes if name.startswith("in")]
    outputs = [name for name in shapes if name.startswith("out")]
    params = [
        f"0={sizes.num_output}",
        f"1={sizes.rows * sizes.size}",
        f"2={sizes.direction}",
        *([f"3={sizes.hidden}"] if sizes.type == "LSTM" else []),
        "8=2",
    ]
    lines = [
        "7767517",
        f"{len(inputs) + 1} {len(inputs) + len(outputs)}",
        *(f"Input {name} 0 1 {name}" for name in inputs),
        " ".join([sizes.type, "recurrent", str(len(inputs)), str(len(outputs)), *inputs, *outputs, *params]),
    ]
    blobs = {
        name: tensor(shapes[name], expand(fills[key], _count(shapes[name]), shapes[name][-1]))
        for name, key in zip(inputs, ("x", "h0", "c0"))
    }
    return "\n".join(lines) + "\n", weights(sizes, fills), blobs


def weights(sizes: Sizes, fills: dict[str, Fill]) -> bytes:
    """The records of the layer, in file order."""
    rows, hidden, num_output = sizes.rows, sizes.hidden, sizes.num_output
    bias_count = sizes.directions * BIAS_ROWS[sizes.type] * hidden
    records = [
        int8_record(expand(fills["wx"], rows * sizes.size, sizes.size)),
        float_record(expand(fills["b"], bias_count, hidden), tagged=True),
        int8_record(expand(fills["wh"], rows * num_output, num_output)),
    ]
    if hidden != num_output:
        records.append(float_record(expand(fills["wr"], sizes.directions * num_output * hidden, hidden), tagged=True))
    records.append(float_record(expand(fills["sx"], rows, 1), tagged=False))
    records.append(float_record(expand(fills["sh"], rows, 1), tagged=False))
    return b"".join(records)


def int8_record(values: list[float]) -> bytes:
    """A tagged record of int8 codes, padded to four bytes."""
    codes = array("b", map(int, values)).tobytes()
    return struct.pack("<I", INT8_TAG) + codes + bytes(-len(codes) % 4)


def float_record(values: list[float], *, tagged: bool) -> bytes:
    """A record of binary32 numbers."""
    return (bytes(4) if tagged else b"") + tensor((len(values),), values).data


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


def build(entry: dict[str, Any], group: dict[str, Any]) -> Case:
    """A stored case with what its group says."""
    sizes = Sizes(**entry["net"])
    param, data, inputs = net(sizes, {**DEFAULT_FILLS, **entry.get("fill", {})})
    shapes = sizes.shapes()
    stored = entry.get("expected", {})
    expected = {blob: _results(stored.get(blob, {}), shape) for blob, shape in shapes.items() if blob.startswith("out")}
    source = group["source"]
    return Case(
        id=entry["id"],
        note=entry["note"],
        flags=tuple(entry["flags"]),
        layers=(sizes.type,),
        param=param,
        bin=data,
        inputs=inputs,
        expected=expected,
        level=group["level"],
        tolerance=group["tolerance"],
        source=Source(source["kind"], entry.get("working", source["detail"])),
        details={"steps": sizes.steps, "num_output": sizes.num_output, "direction": sizes.direction},
    )


def _results(stored: str | dict[str, str], shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Behaviour to result; a bare string is what the written formulas give."""
    named = {REFERENCE: stored} if isinstance(stored, str) else stored
    return {behaviour: Tensor(shape, "float32", bytes.fromhex(text)) for behaviour, text in named.items()}


@cache
def read_file(name: str) -> dict[str, Any]:
    """A vector file."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


@cache
def _file_cases(name: str) -> tuple[Case, ...]:
    return tuple(build(entry, group) for group in read_file(name)["groups"] for entry in group["cases"])


def cases(flag: str = "") -> Iterator[Case]:
    """The stored cases, file by file; or only those with a flag, which is sooner done."""
    for name in FILES:
        if flag:
            groups = read_file(name)["groups"]
            yield from (build(case, group) for group in groups for case in group["cases"] if flag in case["flags"])
        else:
            yield from _file_cases(name)
