"""Known deviations of an implementation: a TOML file beside its adapter.

    [[deviation]]
    id = "recurrent/lstm/*"        # a glob over case ids
    condition = { platform = "x86_64" }   # optional: globs over the fields of the identity
    reason = "the gate sums are fused multiply-adds"
    observed = "one code flips at step 20"

An entry that matches no case, and an entry one of whose cases passes, are failures: the file tells the truth or it is
corrected.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from conformance.adapter import AdapterBroken, Identity


@dataclass(frozen=True)
class Deviation:
    """One entry."""

    id: str
    reason: str
    observed: str
    condition: tuple[tuple[str, str], ...] = ()

    def matches(self, case_id: str) -> bool:
        """Whether the entry speaks of this case."""
        return fnmatchcase(case_id, self.id)

    def applies(self, identity: Identity) -> bool:
        """Whether the entry's condition holds for this implementation."""
        fields = identity.to_json()
        return all(fnmatchcase(str(fields.get(name, "")), pattern) for name, pattern in self.condition)


def read_deviations(path: Path) -> list[Deviation]:
    """The entries of a file. AdapterBroken for a file that is no such file."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("deviation", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise AdapterBroken(f"{path}: {error}") from error
    return [_entry(path, number, entry) for number, entry in enumerate(entries, start=1)]


def _entry(path: Path, number: int, entry: dict[str, object]) -> Deviation:
    unknown = set(entry) - {"id", "reason", "observed", "condition"}
    missing = [name for name in ("id", "reason", "observed") if not isinstance(entry.get(name), str)]
    if unknown or missing:
        raise AdapterBroken(f"{path}: deviation {number}: missing {missing}, unknown {sorted(unknown)}")
    condition = entry.get("condition", {})
    assert isinstance(condition, dict)
    pairs = tuple((str(name), str(pattern)) for name, pattern in condition.items())
    return Deviation(str(entry["id"]), str(entry["reason"]), str(entry["observed"]), pairs)


def unmatched(deviations: Sequence[Deviation], case_ids: Iterable[str]) -> list[Deviation]:
    """The entries that match no case of the suite."""
    ids = list(case_ids)
    return [entry for entry in deviations if not any(entry.matches(case_id) for case_id in ids)]
