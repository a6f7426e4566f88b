"""Make golden/vectors from the corpus of recorded runs of the real tools.

The corpus is a folder of cases, each a folder with `case.json` and the files of the run, and a MANIFEST.json with the
sha256 of every file. The same corpus gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from golden.contents import Content, encode
from golden.layout import layout
from golden.manifest import ROOT
from golden.vectors import FOLDER, SCHEMA, VERSION

GROUPS = ("formats", "int8", "layers-int8", "optimize", "tables")
"""What is carried; the other groups of the corpus need models that are too big for the repository."""

NOTES = ROOT / "notes.toml"
"""What each group and each flag means."""

FEWEST_CASES = 3
"""Smaller families are put together, in the family `various`."""

RENAMED = {"inputs": "feeds", "outputs": "results"}
"""Entries of case.json that name blobs; `inputs` and `expected` are files here."""

Record = dict[str, Any]


class CorpusError(Exception):
    """The corpus is not there, or not what its manifest says."""


def import_corpus(corpus: Path, target: Path = FOLDER) -> int:
    """Write one JSON file a family under `target`, anew for each group; return the number of cases.

    CorpusError if the corpus is absent or a file of it differs from its manifest: then nothing is written.
    """
    manifest = read_manifest(corpus)
    notes = tomllib.loads(NOTES.read_text(encoding="utf-8"))
    documents = {group: list(_families(corpus, group, manifest, notes)) for group in GROUPS}
    for group, families in documents.items():
        shutil.rmtree(target / group, ignore_errors=True)
        (target / group).mkdir(parents=True)
        for document in families:
            write_family(document, target)
    return sum(document["count"] for families in documents.values() for document in families)


def write_family(document: Record, target: Path = FOLDER) -> None:
    """Write one family's file."""
    path = target / document["group"] / f"{document['family']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(layout(document) + "\n", encoding="utf-8")


def read_manifest(corpus: Path) -> Record:
    """The corpus' manifest; CorpusError unless every file of the carried groups is as it says."""
    path = corpus / "MANIFEST.json"
    if not path.is_file():
        raise CorpusError(f"{corpus}: there is no corpus here (no MANIFEST.json)")
    manifest: Record = json.loads(path.read_text(encoding="utf-8"))
    for group in GROUPS:
        found = {file.relative_to(corpus).as_posix() for file in (corpus / group).rglob("*") if file.is_file()}
        listed = {
            f"{case}/{name}": digest
            for case, entry in manifest["cases"].items()
            if case.split("/")[0] == group
            for name, digest in entry["sha256"].items()
        }
        if found != set(listed):
            raise CorpusError(f"{corpus}: missing or not listed: {', '.join(sorted(found ^ set(listed))[:5])}")
        for name, digest in listed.items():
            if hashlib.sha256((corpus / name).read_bytes()).hexdigest() != digest:
                raise CorpusError(f"{corpus / name}: differs from the corpus' manifest")
    return manifest


def _families(corpus: Path, group: str, manifest: Record, notes: Record) -> Iterator[Record]:
    folders = sorted(path.parent for path in (corpus / group).glob("*/case.json"))
    by_name = defaultdict(list)
    for folder in folders:
        by_name[folder.name.split("-")[0]].append(folder)
    small = [name for name, members in by_name.items() if len(members) < FEWEST_CASES]
    by_name["various"] = sorted(folder for name in small for folder in by_name.pop(name))
    for name, members in sorted(by_name.items()):
        if members:
            yield _family(group, name, members, manifest, notes)


def _family(group: str, name: str, folders: list[Path], manifest: Record, notes: Record) -> Record:
    seen: dict[str, str] = {}
    by_source: dict[str, list[Record]] = {}
    provenances: dict[str, Record] = {}
    for folder in folders:
        described = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        provenance = _provenance(described, manifest)
        key = json.dumps(provenance)
        provenances[key] = provenance
        by_source.setdefault(key, []).append(_record(folder, described, seen))
    flags = sorted({flag for records in by_source.values() for record in records for flag in record["flags"]})
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "group": group,
        "family": name,
        "count": len(folders),
        "header": notes["groups"][group],
        "notes": {flag: notes["flags"][flag] for flag in flags},
        "groups": [_group(provenances[key], records) for key, records in by_source.items()],
    }


def _group(provenance: Record, records: list[Record]) -> Record:
    """The cases of one provenance; what all of them say alike is said once."""
    own = {"id", "comment", "flags", "needs", "inputs", "expected"}
    keys = [key for key in records[0] if key not in own] if len(records) > 1 else []
    shared = {
        key: records[0][key]
        for key in keys
        if all(key in record and record[key] == records[0][key] for record in records)
    }
    cases = [{key: value for key, value in record.items() if key not in shared} for record in records]
    return {"provenance": provenance} | ({"shared": shared} if shared else {}) | {"cases": cases}


def _provenance(described: Record, manifest: Record) -> Record:
    """Who made the expected files of a case."""
    tools = manifest["tools"]
    provenance = {"class": "observed"}
    if described.get("commands"):
        provenance["tools"] = f"ncnn {tools['ncnn_commit']}, {tools['build']}"
    if "observed" in described or any(not run.get("wheel") for run in described.get("inference") or []):
        provenance["wheel"] = str(manifest["wheel"])
    variants = [
        output["variants"]
        for run in described.get("inference") or []
        for output in run["outputs"].values()
        if "variants" in output
    ]
    if any("generic" in variant for variant in variants):
        provenance["portable"] = f"the portable C++ layers of {tools['ncnn_commit']}, without fused multiply-adds"
    if "observed_source_build" in described:
        provenance["loader"] = f"the loader of {tools['ncnn_commit']}"
    return provenance


def _record(folder: Path, described: Record, seen: dict[str, str]) -> Record:
    record: Record = {
        "id": f"{described['group']}/{described['case']}",
        "comment": described["what"],
        "flags": described.get("tags", []),
    }
    if "tables_case" in described:
        record["needs"] = [described["tables_case"]]
    for key, value in described.items():
        if key not in ("group", "case", "what", "tags"):
            record[RENAMED.get(key, key)] = value
    record |= {"inputs": {}, "expected": {}}
    outputs = _outputs(described)
    for path in sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "case.json"):
        name = path.relative_to(folder).as_posix()
        record["expected" if name in outputs else "inputs"][name] = _content(f"{folder.name}/{name}", path, seen)
    return record


def _content(label: str, path: Path, seen: dict[str, str]) -> Content:
    """The content of a file; a reference if the family has the same bytes already and they are long enough."""
    data = path.read_bytes()
    content = encode(data)
    digest = hashlib.sha256(data).hexdigest()
    if digest in seen and len(json.dumps(content)) > len(seen[digest]) + len('{"same_as": ""}'):
        return {"same_as": seen[digest]}
    seen.setdefault(digest, label)
    return content


def _outputs(described: Record) -> set[str]:
    """The names of all files that the real tools and runtimes made."""
    outputs = described.get("outputs", {})
    found: set[str] = set(outputs.values() if isinstance(outputs, dict) else [])
    for command in described.get("commands", []):
        found.update(command.get("outputs", []))
        found.update(str(command[stream]) for stream in ("stderr", "stdout") if stream in command)
    for run in described.get("inference") or []:
        for output in run["outputs"].values():
            found.add(str(output["file"]))
            for variant in output.get("variants", {}).values():
                found.add(str(variant.get("file") if isinstance(variant, dict) else variant))
    return found
