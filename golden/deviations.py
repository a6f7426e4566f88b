r"""Where spec and fastpath differ from the real tools on purpose: golden/deviations.toml, read.

    [[deviation]]
    name = "reads-strictly"
    reason = "files that cannot be read are errors; the real tool goes on"
    differs = ["exit", "files"]
    cases = ["optimize/args-missing-param", "int8/text-*"]
    engines = ["spec"]                 # optional: only these
    says = "cannot be read"            # optional: a part of our message
    mask = " 6=7\\.07106[78]e-01"       # optional: what may differ in texts; the rest must be equal

An entry that matches no case, and an entry one of whose cases agrees in what it says differs, are failures: the file
tells the truth or it is corrected.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from golden.manifest import ROOT

FILE = ROOT / "deviations.toml"

ENGINES = ("spec", "fastpath")


@dataclass(frozen=True)
class Deviation:
    """One entry."""

    name: str
    reason: str
    differs: frozenset[str]
    cases: tuple[str, ...]
    engines: tuple[str, ...] = ENGINES
    says: str = ""
    mask: str = ""

    def matches(self, case_id: str, engine: str | None = None) -> bool:
        """Whether the entry speaks of this case, on this engine or on any."""
        return (engine is None or engine in self.engines) and any(fnmatchcase(case_id, glob) for glob in self.cases)


def read(path: Path) -> list[Deviation]:
    """The entries of a file; ValueError for an entry with a missing or an unknown word."""
    found = []
    for number, entry in enumerate(tomllib.loads(path.read_text(encoding="utf-8"))["deviation"], start=1):
        missing = {"name", "reason", "differs", "cases"} - set(entry)
        unknown = set(entry) - set(Deviation.__dataclass_fields__)
        if missing or unknown:
            raise ValueError(f"{path}: deviation {number}: missing {sorted(missing)}, unknown {sorted(unknown)}")
        found.append(
            Deviation(
                entry["name"],
                entry["reason"],
                frozenset(entry["differs"]),
                tuple(entry["cases"]),
                tuple(entry.get("engines", ENGINES)),
                entry.get("says", ""),
                entry.get("mask", ""),
            )
        )
    return found


@functools.cache
def deviations() -> tuple[Deviation, ...]:
    """The entries of golden/deviations.toml."""
    return tuple(read(FILE))


def of_case(case_id: str, engine: str | None = None) -> Deviation | None:
    """The first entry that speaks of a case, or None."""
    return next((entry for entry in deviations() if entry.matches(case_id, engine)), None)
