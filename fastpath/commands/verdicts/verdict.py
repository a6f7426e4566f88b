"""What a judge finds out about one case on one engine, and what that means in the light of the known deviations."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from golden.deviations import Deviation

Outcome = Literal["passed", "explained", "failed"]


@dataclass
class Verdict:
    """`differs` maps what differs (exit, param, output ...) to a sentence; it is empty where all agrees.

    `how` counts the ways in which parts agree. `said` is what our commands printed. `texts` holds, for differing texts,
    ours and the record's.
    """

    differs: dict[str, str] = field(default_factory=dict)
    how: Counter[str] = field(default_factory=Counter)
    said: str = ""
    texts: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def differ(self, what: str, sentence: str) -> None:
        """Note a difference; the first sentence about it is kept."""
        self.differs.setdefault(what, sentence)

    def compare_texts(self, what: str, ours: str, theirs: str) -> None:
        """Note a difference between two texts, if there is one."""
        if ours == theirs:
            self.how["equal"] += 1
            return
        self.texts.setdefault(what, []).append((ours, theirs))
        self.differ(what, first_difference(ours, theirs))


def first_difference(ours: str, theirs: str) -> str:
    """The first line in which two texts differ."""
    mine, real = ours.splitlines(), theirs.splitlines()
    for line, (a, b) in enumerate(zip(mine, real), start=1):
        if a != b:
            return f"line {line}: {a!r}, but the record has {b!r}"
    return f"{len(mine)} lines, but the record has {len(real)}"


def outcome_of(verdict: Verdict, deviation: Deviation | None) -> tuple[Outcome, str]:
    """Passed, explained by the deviation, or failed; and a sentence that says why."""
    found = "; ".join(f"{what}: {sentence}" for what, sentence in verdict.differs.items())
    if deviation is None:
        return ("failed", found) if verdict.differs else ("passed", "")
    if set(verdict.differs) != deviation.differs:
        listed = ", ".join(sorted(deviation.differs))
        return "failed", f"{deviation.name} says that {listed} differ, but found: {found or 'no difference'}"
    if deviation.says not in verdict.said:
        return "failed", f"{deviation.name} says that we say {deviation.says!r}, but we said: {verdict.said}"
    if deviation.mask and not _equal_but_for(deviation.mask, verdict):
        return "failed", f"{deviation.name} does not explain all of it: {found}"
    return "explained", f"{deviation.name}: {deviation.reason}"


def _equal_but_for(mask: str, verdict: Verdict) -> bool:
    pairs = [pair for texts in verdict.texts.values() for pair in texts]
    return bool(pairs) and all(re.sub(mask, "", ours) == re.sub(mask, "", theirs) for ours, theirs in pairs)
