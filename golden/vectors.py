"""Read the vectors: what the real tools and runtimes gave, case by case.

    for case in golden.vectors.cases("int8"):
        folder = case.unpack(scratch)

Every case has an id, `group/name`, that never changes. Its files are in memory; `unpack` lays them out as the real
tools saw them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from golden.contents import Content, decode
from golden.manifest import ROOT

FOLDER = ROOT / "vectors"
"""One folder a group, in it one file a family."""

SCHEMA = "ncnn-assay/vectors"
VERSION = 1


@dataclass(frozen=True)
class Case:
    """One case.

    `facts` holds what the record says: commands, inference, observed and so on. `flags` have explanations in `notes`.
    `inputs` are the files that were there before, `expected` those that the real tools and runtimes made.
    """

    id: str
    family: str
    comment: str
    flags: tuple[str, ...]
    notes: Mapping[str, str]
    provenance: Mapping[str, Any]
    facts: Mapping[str, Any]
    needs: tuple[str, ...]
    _contents: Mapping[str, tuple[bool, Content]] = field(repr=False)
    _family: Mapping[str, Content] = field(repr=False)

    @property
    def group(self) -> str:
        """What comes before the slash of the id."""
        return self.id.split("/")[0]

    @property
    def name(self) -> str:
        """What comes after the slash of the id."""
        return self.id.split("/")[1]

    @property
    def commands(self) -> list[dict[str, Any]]:
        """The command lines that were run, with their exit status, messages and outputs."""
        return list(self.facts.get("commands", []))

    @property
    def files(self) -> list[str]:
        """The names of all files."""
        return list(self._contents)

    @property
    def inputs(self) -> list[str]:
        """The names of the files that were there before."""
        return [name for name, (expected, _) in self._contents.items() if not expected]

    @property
    def expected(self) -> list[str]:
        """The names of the files that the real tools and runtimes made."""
        return [name for name, (expected, _) in self._contents.items() if expected]

    def data(self, name: str) -> bytes:
        """The bytes of one file; KeyError if the case has no such file."""
        content = self._contents[name][1]
        if "same_as" in content:
            content = self._family[content["same_as"]]
        return decode(content)

    def text(self, name: str) -> str:
        """The text of one file; KeyError if the case has no such file."""
        return self.data(name).decode()

    def unpack(self, folder: Path) -> Path:
        """Lay all files out in FOLDER/group/name, with those of the cases it needs beside; return that folder."""
        for other in self.needs:
            case(other).unpack(folder)
        target = folder / self.group / self.name
        for name in self.files:
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.data(name))
        target.mkdir(parents=True, exist_ok=True)
        return target


def groups() -> list[str]:
    """The names of the groups."""
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def families(group: str) -> list[Path]:
    """The files of a group; KeyError if there is no such group."""
    paths = sorted((FOLDER / group).glob("*.json"))
    if not paths:
        raise KeyError(group)
    return paths


def cases(group: str | None = None) -> list[Case]:
    """All cases of a group, or of all groups, sorted by id; KeyError if there is no such group."""
    wanted = groups() if group is None else [group]
    return [found for name in wanted for found in _group(name).values()]


def case(case_id: str) -> Case:
    """The case of this id; KeyError if there is none."""
    return _group(case_id.split("/")[0])[case_id]


@functools.cache
def _group(group: str) -> dict[str, Case]:
    found = [entry for path in families(group) for entry in read_family(json.loads(path.read_text(encoding="utf-8")))]
    return {entry.id: entry for entry in sorted(found, key=lambda entry: entry.id)}


def read_family(document: Mapping[str, Any]) -> Iterator[Case]:
    """The cases of one file."""
    contents: dict[str, Content] = {}
    for group in document["groups"]:
        for record in group["cases"]:
            files = {
                name: (role == "expected", content)
                for role in ("inputs", "expected")
                for name, content in record.get(role, {}).items()
            }
            name = record["id"].split("/")[1]
            contents |= {f"{name}/{file}": content for file, (_, content) in files.items() if "same_as" not in content}
            facts = {**group.get("shared", {}), **record}
            yield Case(
                id=record["id"],
                family=document["family"],
                comment=record["comment"],
                flags=tuple(record.get("flags", [])),
                notes=document["notes"],
                provenance=group["provenance"],
                facts={key: value for key, value in facts.items() if key not in ("inputs", "expected", "needs")},
                needs=tuple(record.get("needs", [])),
                _contents=files,
                _family=contents,
            )
