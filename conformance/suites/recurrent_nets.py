"""Recurrent layers one after another, with other layers between them; and float layers, which int8 ones come from.

A stored net is a list of parts, each a recurrent layer (sizes and fills), or a step between two:

    {"net": {...}, "fill": {...}}          RNN, LSTM or GRU in int8; its input width is what comes
    {"product": n, "fill": {...}}          int8 InnerProduct to n outputs, row by row
    {"activation": "TanH"}                 a layer without weights
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from conformance.case import Case, Source
from conformance.suites.recipe import Fill, expand
from conformance.suites.recurrent import (
    BIAS_ROWS,
    DEFAULT_FILLS,
    Sizes,
    float_record,
    int8_record,
    net,
    weights,
)
from conformance.tensor import Tensor, tensor

FILE = Path(__file__).resolve().parent.parent / "vectors" / "recurrent-nets.json"

Part = dict[str, Any]

BOTTOM_SCALE = 60.0
"""Of InnerProduct, whose inputs are outputs of recurrent layers."""

FLOAT_DIVISOR = 256
"""Float weights are the codes of the fills divided by this."""


def chain(parts: list[Part], steps: int, size: int, x: Fill) -> tuple[str, bytes, dict[str, Tensor], list[str]]:
    """The .param text, the .bin bytes, the input and the layer types of a chain on `steps` rows of `size`."""
    lines = ["Input in0 0 1 in0"]
    records = []
    bottom, width = "in0", size
    for index, part in enumerate(parts):
        top = f"b{index}" if index < len(parts) - 1 else "out0"
        line, data, width = _part(part, f"layer{index}", width, steps)
        kind, params = line
        lines.append(f"{kind} layer{index} 1 1 {bottom} {top} {params}".rstrip())
        records.append(data)
        bottom = top
    param = "\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines]) + "\n"
    inputs = {"in0": tensor((steps, size), expand(x, steps * size, size))}
    return param, b"".join(records), inputs, sorted({line.split()[0] for line in lines[1:]})


def _part(part: Part, name: str, width: int, steps: int) -> tuple[tuple[str, str], bytes, int]:
    """Type and parameters, the records, and the width of the rows that come out."""
    fill = {**DEFAULT_FILLS, **part.get("fill", {})}
    if "activation" in part:
        return (part["activation"], ""), b"", width
    if "product" in part:
        outputs = int(part["product"])
        data = [
            int8_record(expand(fill["wx"], outputs * width, width)),
            float_record(expand(fill["b"], outputs, outputs), tagged=False),
            float_record(expand(fill["sx"], outputs, 1), tagged=False),
            float_record([BOTTOM_SCALE], tagged=False),
        ]
        return ("InnerProduct", f"0={outputs} 1=1 2={outputs * width} 8=2"), b"".join(data), outputs
    sizes = Sizes(**{**part["net"], "size": width, "steps": steps})
    params = f"0={sizes.num_output} 1={sizes.rows * width} 2={sizes.direction}"
    params += f" 3={sizes.hidden}" if sizes.type == "LSTM" else ""
    return (sizes.type, f"{params} 8=2"), weights(sizes, fill), sizes.directions * sizes.num_output


def float_net(sizes: Sizes, fills: dict[str, Fill]) -> tuple[str, bytes, dict[str, Tensor]]:
    """The same layer with float weights: .param text, .bin bytes and inputs."""
    param, _, inputs = net(sizes, fills)
    rows, hidden, num_output = sizes.rows, sizes.hidden, sizes.num_output
    bias = sizes.directions * BIAS_ROWS[sizes.type] * hidden
    records = [
        float_record(_floats(fills["wx"], rows * sizes.size, sizes.size), tagged=True),
        float_record(expand(fills["b"], bias, hidden), tagged=True),
        float_record(_floats(fills["wh"], rows * num_output, num_output), tagged=True),
    ]
    if hidden != num_output:
        records.append(float_record(expand(fills["wr"], sizes.directions * num_output * hidden, hidden), tagged=True))
    return param.replace(" 8=2", ""), b"".join(records), inputs


def _floats(fill: Fill, count: int, width: int) -> list[float]:
    return [value / FLOAT_DIVISOR for value in expand(fill, count, width)]


def build(entry: dict[str, Any], group: dict[str, Any]) -> Case:
    """A stored case with what its group says."""
    stored = {name: Tensor.from_json(value) for name, value in entry.get("expected", {}).items()}
    if "parts" in entry:
        steps, size = entry["steps"], entry["size"]
        param, data, inputs, layers = chain(entry["parts"], steps, size, entry["x"])
        outputs = ["out0"]
    else:
        sizes = Sizes(**entry["net"])
        param, data, inputs = float_net(sizes, {**DEFAULT_FILLS, **entry["fill"]})
        layers = [sizes.type]
        outputs = [name for name in sizes.shapes() if name.startswith("out")]
    return Case(
        id=entry["id"],
        note=entry["note"],
        flags=tuple(entry["flags"]),
        layers=tuple(layers),
        param=param,
        bin=data,
        inputs=inputs,
        expected={name: {"reference": stored[name]} if name in stored else {} for name in outputs},
        level=group["level"],
        tolerance=group["tolerance"],
        source=Source(group["source"]["kind"], group["source"]["detail"]),
        formats=("nets",) if "parts" in entry else ("float",),
    )


@cache
def _cases() -> tuple[Case, ...]:
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return tuple(build(entry, group) for group in content["groups"] for entry in group["cases"])


def cases() -> Iterator[Case]:
    """The stored cases."""
    yield from _cases()
