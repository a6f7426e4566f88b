"""Known deviations of an implementation: a TOML file beside its adapter.

    [[deviation]]
    id = "recurrent/lstm/*"        # a glob over case ids
    reason = "the gate sums are fused multiply-adds"
    observed = "one code flips at step 20"
    condition = { platform = "x86_64", cpu = "avx*" }   # optional: globs over the fields of the identity
    depends_on = "memory that nobody wrote"             # optional: what decides whether a case differs or agrees

An entry that matches no case, and an entry one of whose cases passes, are failures: the file tells the truth or it is
corrected. Where the condition does not hold, the entry says nothing and the case must pass. Only an entry that names
what it depends on, beyond what an identity can say, may find agreement.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path

from conformance.adapter import AdapterBroken, Identity

CONDITIONS = ("name", "version", "language", "platform", "cpu", "options", "rounding")
"""What a condition may speak of: the fields of an identity that are text."""


@dataclass(frozen=True)
class Deviation:
    """One entry."""

    id: str
    reason: str
    observed: str
    condition: tuple[tuple[str, str], ...] = ()
    depends_on: str = ""

    def matches(self, case_id: str) -> bool:
        """Whether the entry speaks of this case."""
        return fnmatchcase(case_id, self.id)

    def applies(self, identity: Identity) -> bool:
        """Whether the entry's condition holds for this implementation."""
        return all(fnmatchcase(str(getattr(identity, name)), pattern) for name, pattern in self.condition)


def read_deviations(path: Path) -> list[Deviation]:
    """The entries of a file. AdapterBroken for a file that is no such file."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("deviation", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise AdapterBroken(f"{path}: {error}") from error
    return [_entry(path, number, entry) for number, entry in enumerate(entries, start=1)]


def _entry(path: Path, number: int, entry: dict[str, object]) -> Deviation:
    where = f"{path}: deviation {number}"
    unknown = sorted(set(entry) - {field.name for field in fields(Deviation)})
    missing = [name for name in ("id", "reason", "observed") if not isinstance(entry.get(name), str)]
    if unknown or missing:
        raise AdapterBroken(f"{where}: missing {missing}, unknown {unknown}")
    empty = [name for name in ("id", "reason", "depends_on") if not str(entry.get(name, "-")).strip()]
    if empty:
        raise AdapterBroken(f"{where}, {entry['id']!r}: {empty[0]} is empty")
    return Deviation(
        str(entry["id"]),
        str(entry["reason"]),
        str(entry["observed"]),
        _condition(where, entry.get("condition", {})),
        str(entry.get("depends_on", "")),
    )


def _condition(where: str, condition: object) -> tuple[tuple[str, str], ...]:
    """Field of the identity to glob; AdapterBroken for what is no field, which would never hold."""
    if not isinstance(condition, dict) or set(condition) - set(CONDITIONS):
        raise AdapterBroken(f"{where}: a condition is a table of {', '.join(CONDITIONS)}, not {condition!r}")
    return tuple((str(name), str(pattern)) for name, pattern in condition.items())


def unmatched(deviations: Sequence[Deviation], case_ids: Iterable[str]) -> list[Deviation]:
    """The entries that match no case of the suite."""
    ids = list(case_ids)
    return [entry for entry in deviations if not any(entry.matches(case_id) for case_id in ids)]
