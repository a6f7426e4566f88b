"""Networks of several layers with a recurrent one among them, from a few numbers: for stored and for generated cases.

A net is a list of parts, each a recurrent layer (`Sizes` and fills), or a step between two:

    {"net": {...}, "fill": {...}}          RNN, LSTM or GRU, int8; the sizes must fit what comes
    {"product": n, "fill": {...}}          int8 InnerProduct to n outputs, row by row
    {"activation": "TanH"}                 a layer without weights
    {"codes": scale}                       Quantize, then Dequantize by the reciprocal: what a static int8 step leaves
"""

from __future__ import annotations

from typing import Any

from conformance.case import Case, Source
from conformance.suites.recipe import expand
from conformance.suites.recurrent import DEFAULT_FILLS, GATES, Sizes, float_record, int8_record, weights
from conformance.tensor import Tensor, tensor

Part = dict[str, Any]

TOLERANCE = "nets"


def build_net(
    case_id: str,
    note: str,
    parts: list[Part],
    steps: int,
    size: int,
    x: Any,
    source: Source,
    expected: dict[str, dict[str, Tensor]] | None = None,
) -> Case:
    """The case of a chain of parts on a sequence of `steps` rows of `size`; `x` is the fill of the input."""
    lines = ["Input in0 0 1 in0"]
    records = []
    blob, width = "in0", size
    for index, part in enumerate(parts):
        top = f"b{index}" if index < len(parts) - 1 else "out0"
        text, data, width = _part(part, index, blob, top, width, steps)
        lines += text
        records.append(data)
        blob = top
    blobs = {word for line in lines for word in _tops(line)}
    return Case(
        id=case_id,
        note=note,
        flags=("stacked",),
        layers=tuple(sorted({line.split()[0] for line in lines} - {"Input"})),
        param="\n".join(["7767517", f"{len(lines)} {len(blobs)}", *lines]) + "\n",
        bin=b"".join(records),
        inputs={"in0": tensor((steps, size), expand(x, steps * size, size))},
        expected=expected or {"out0": {}},
        level="exact",
        tolerance=TOLERANCE,
        source=source,
    )


def _tops(line: str) -> list[str]:
    words = line.split()
    bottoms, tops = int(words[2]), int(words[3])
    return words[4 + bottoms : 4 + bottoms + tops]


def _part(part: Part, index: int, bottom: str, top: str, width: int, steps: int) -> tuple[list[str], bytes, int]:
    """The lines, the records and the width of the rows that come out."""
    name = f"layer{index}"
    fill = {**DEFAULT_FILLS, **part.get("fill", {})}
    if "activation" in part:
        return [f"{part['activation']} {name} 1 1 {bottom} {top}"], b"", width
    if "codes" in part:
        lines = [f"Quantize {name}q 1 1 {bottom} {top}q 0=1", f"Dequantize {name} 1 1 {top}q {top} 0=1 1=0"]
        scale = float(part["codes"])
        return lines, float_record([scale], tagged=False) + float_record([1.0 / scale], tagged=False), width
    if "product" in part:
        outputs = int(part["product"])
        line = f"InnerProduct {name} 1 1 {bottom} {top} 0={outputs} 1=1 2={outputs * width} 8=2"
        data = [
            int8_record(expand(fill["wx"], outputs * width, width)),
            float_record(expand(fill["b"], outputs, outputs), tagged=False),
            float_record(expand(fill["sx"], outputs, 1), tagged=False),
            float_record([60.0], tagged=False),
        ]
        return [line], b"".join(data), outputs
    sizes = Sizes(**{**part["net"], "size": width, "steps": steps})
    params = f"0={sizes.num_output} 1={sizes.rows * width} 2={sizes.direction}"
    params += f" 3={sizes.hidden}" if sizes.type == "LSTM" else ""
    line = f"{sizes.type} {name} 1 1 {bottom} {top} {params} 8=2"
    return [line], weights(sizes, fill), sizes.directions * sizes.num_output


def recurrent_part(kind: str, num_output: int, direction: int = 0, hidden_size: int = 0, **fill: Any) -> Part:
    """A recurrent layer of a chain."""
    assert kind in GATES
    net = {"type": kind, "num_output": num_output, "direction": direction, "hidden_size": hidden_size}
    return {"net": net, "fill": fill}
