"""Faults inside the vectors: what the schema cannot say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from golden import vectors
from golden.vectors import Case


def faults(folder: Path | None = None) -> list[str]:
    """Every fault: wrong names or counts, ids twice, references to nothing, flags without a note."""
    paths = sorted((folder or vectors.FOLDER).rglob("*.json"))
    found: list[str] = []
    cases: dict[str, Case] = {}
    for path in paths:
        document = json.loads(path.read_text(encoding="utf-8"))
        label = f"{path.parent.name}/{path.name}"
        found += [f"{label}: {fault}" for fault in _family(path, document)]
        for case in vectors.read_family(document):
            if case.id in cases:
                found.append(f"{case.id}: twice")
            cases[case.id] = case
    for case in cases.values():
        found += [f"{case.id}: {fault}" for fault in _case(case)]
        found += [f"{case.id}: needs {name}, which is not here" for name in case.needs if name not in cases]
    return found


def _family(path: Path, document: dict[str, Any]) -> Iterator[str]:
    if (document["group"], document["family"]) != (path.parent.name, path.stem):
        yield f"calls itself {document['group']}/{document['family']}"
    count = sum(len(group["cases"]) for group in document["groups"])
    if count != document["count"]:
        yield f"says {document['count']} cases, but has {count}"


def _case(case: Case) -> Iterator[str]:
    for flag in case.flags:
        if flag not in case.notes:
            yield f"the flag {flag} has no note"
    for name in case.files:
        try:
            case.data(name)
        except KeyError as error:
            yield f"{name} refers to {error}, which is not here"
    for name in _named(case):
        if name.startswith("../../"):
            if "/".join(name.split("/")[2:4]) not in case.needs:
                yield f"speaks of {name}, but does not need that case"
        elif name not in case.files:
            yield f"speaks of the file {name}, which it does not have"


def _named(case: Case) -> Iterator[str]:
    for command in case.commands:
        yield from command.get("outputs", [])
        yield from (command[stream] for stream in ("stderr", "stdout") if stream in command)
    for run in case.facts.get("inference") or []:
        yield from run["inputs"].values()
        yield from (output["file"] for output in run["outputs"].values())
