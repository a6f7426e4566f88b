"""Cases as plain files, for people who have no Python at hand.

    OUT/recurrent/gru/ties/d0-input-2^0/case.json       note, level, source, and which file is what
                                        net.param net.bin in0.npy expected/out0.npy

Values of the operations other than `infer` are files too: net.table, int8.param, rows of a table as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from conformance.case import Case
from conformance.tensor import Tensor

DTYPES = {"float32": "<f4", "int8": "|i1", "int32": "<i4", "uint8": "|u1"}


def copy_cases(cases: Iterable[Case], folder: Path) -> int:
    """Write each case into a folder of its own below `folder`; how many."""
    count = 0
    for case in cases:
        copy_case(case, folder / case.id)
        count += 1
    return count


def copy_case(case: Case, folder: Path) -> None:
    """Write one case."""
    (folder / "expected").mkdir(parents=True, exist_ok=True)
    files = {"net.param": case.param.encode(), "net.bin": case.bin} if case.operation == "infer" else case.files
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, blob in case.inputs.items():
        _save(folder / f"{file_name(name)}.npy", blob)
    record = {
        "id": case.id,
        "note": case.note,
        "operation": case.operation,
        "options": case.options,
        "refusal": case.refusal,
        "level": case.level,
        "levels": case.levels,
        "tolerance": case.tolerance,
        "source": {"kind": case.source.kind, "detail": case.source.detail},
        "files": sorted(files),
        "inputs": {name: f"{file_name(name)}.npy" for name in case.inputs},
        "expected": _expected(case, folder),
    }
    (folder / "case.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _expected(case: Case, folder: Path) -> dict[str, Any]:
    """Result to behaviour to file; the rows of a table and loaded values stand in one text."""
    if case.operation in ("parse", "table") and case.expected:
        rows = {name: next(iter(results.values())).values().tolist() for name, results in case.expected.items()}
        lines = [f"{name} {' '.join(map(str, values))}" for name, values in rows.items()]
        (folder / "expected" / "values.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return {"*": "expected/values.txt"}
    listed: dict[str, Any] = {}
    for name, results in case.expected.items():
        listed[name] = {}
        for behaviour, value in results.items():
            suffix = "" if len(results) == 1 else f"-{file_name(behaviour)}"
            path = folder / "expected" / f"{file_name(name)}{suffix}"
            if value.dtype == "uint8":
                path.write_bytes(value.data)
            else:
                path = path.with_name(f"{path.name}.npy")
                _save(path, value)
            listed[name][behaviour] = f"expected/{path.name}"
    return listed


def file_name(name: str) -> str:
    """A name without what folders and shells take amiss."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)


def _save(path: Path, blob: Tensor) -> None:
    np.save(path, np.frombuffer(blob.data, DTYPES[blob.dtype]).reshape(blob.shape))
