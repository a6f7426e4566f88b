"""One case as a JSON file, to be run again: what generated cases leave behind when they fail."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from conformance.adapter import AdapterBroken
from conformance.case import Case, Source
from conformance.tensor import Tensor

FORMAT = "ncnn-assay-case-1"


def write_case(case: Case, path: Path) -> None:
    """Write a case; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"format": FORMAT, **to_json(case)}, indent=1) + "\n", encoding="utf-8")


def read_case(path: Path) -> Case:
    """The case of a file; AdapterBroken for another file."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.pop("format") != FORMAT:
            raise ValueError("another format")
        return from_json(record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AdapterBroken(f"{path} is no case: {error!r}") from error


def to_json(case: Case) -> dict[str, Any]:
    """The JSON form: bytes in hexadecimal."""
    return {
        **{field.name: getattr(case, field.name) for field in fields(case)},
        "bin": case.bin.hex(),
        "inputs": {name: blob.to_json() for name, blob in case.inputs.items()},
        "expected": {
            name: {behaviour: value.to_json() for behaviour, value in results.items()}
            for name, results in case.expected.items()
        },
        "source": asdict(case.source),
        "files": {name: data.hex() for name, data in case.files.items()},
    }


def from_json(record: dict[str, Any]) -> Case:
    """The case of its JSON form."""
    lists = ("flags", "layers", "formats")
    return Case(
        **{
            **record,
            **{name: tuple(record[name]) for name in lists},
            "bin": bytes.fromhex(record["bin"]),
            "inputs": {name: Tensor.from_json(value) for name, value in record["inputs"].items()},
            "expected": {
                name: {behaviour: Tensor.from_json(value) for behaviour, value in results.items()}
                for name, results in record["expected"].items()
            },
            "source": Source(**record["source"]),
            "files": {name: bytes.fromhex(data) for name, data in record["files"].items()},
        }
    )
