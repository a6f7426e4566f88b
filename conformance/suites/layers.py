"""The other int8 layers, one layer a case: quantization steps, convolutions, products, attention.

A stored case holds one layer line, its weight records and its inputs as fills, and the expected bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from conformance.case import Case, Source
from conformance.suites.recipe import expand
from conformance.suites.recurrent import REFERENCE, float_record, int8_record
from conformance.tensor import Dtype, Tensor, tensor

FILE = Path(__file__).resolve().parent.parent / "vectors" / "int8-layers.json"


def record(kind: str, count: int, fill: Any) -> bytes:
    """A weight record: `int8`, `tagged` or `raw` binary32."""
    values = expand(fill, count, 1)
    return int8_record(values) if kind == "int8" else float_record(values, tagged=kind == "tagged")


def blob(shape: list[int], dtype: Dtype, fill: Any) -> Tensor:
    """An input; integers are given as integers."""
    values = expand(fill, math.prod(shape), shape[-1])
    return tensor(shape, values if dtype == "float32" else map(int, values), dtype)


def build(entry: dict[str, Any], group: dict[str, Any]) -> Case:
    """A stored case with what its group says."""
    inputs = {name: blob(*content) for name, content in entry["inputs"].items()}
    layer_type, outputs = entry["layer"].split()[0], list(entry["outputs"])
    words = entry["layer"].split()[1:]
    lines = [
        "7767517",
        f"{len(inputs) + 1} {len(inputs) + len(outputs)}",
        *(f"Input {name} 0 1 {name}" for name in inputs),
        " ".join([layer_type, "layer", str(len(inputs)), str(len(outputs)), *inputs, *outputs, *words]),
    ]
    expected: dict[str, dict[str, Tensor]] = {name: {} for name in outputs}
    for name, content in entry.get("expected", {}).items():
        expected[name] = {REFERENCE: Tensor.from_json(content)}
    source = group["source"]
    return Case(
        id=entry["id"],
        note=entry["note"],
        flags=tuple(entry["flags"]),
        layers=(layer_type,),
        param="\n".join(lines) + "\n",
        bin=b"".join(record(*content) for content in entry["records"]),
        inputs=inputs,
        expected=expected,
        level=entry.get("level", group["level"]),
        tolerance=entry["tolerance"],
        source=Source(source["kind"], entry.get("working", source["detail"])),
    )


@cache
def _cases() -> tuple[Case, ...]:
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return tuple(build(entry, group) for group in content["groups"] for entry in group["cases"])


def cases() -> Iterator[Case]:
    """The stored cases."""
    yield from _cases()
