"""Run cases against an adapter and give each its outcome."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from conformance.adapter import Adapter, AdapterBroken, Identity, SkippedCase
from conformance.case import Case
from conformance.deviations import Deviation
from conformance.diagnosis import Tracer, diagnose
from conformance.levels import Verdict, judge
from conformance.tensor import Tensor

Outcome = Literal["passed", "failed", "deviating", "unexpected-pass", "skipped", "errored", "not-applicable"]
OUTCOMES: tuple[Outcome, ...] = (
    "passed",
    "failed",
    "deviating",
    "unexpected-pass",
    "skipped",
    "errored",
    "not-applicable",
)
BAD: tuple[Outcome, ...] = ("failed", "unexpected-pass", "errored")
"""Outcomes that keep an implementation from conforming."""

SMOKE_FLAG = "smoke"


@dataclass(frozen=True)
class Result:
    """What became of one case. `level` is the one that was applied."""

    id: str
    outcome: Outcome
    level: str
    seconds: float = 0.0
    message: str = ""
    behaviour: str = ""
    diagnosis: tuple[str, ...] = ()


def applied_level(case: Case, identity: Identity) -> str:
    """The case's level, or its named tolerance for an implementation whose exp and tanh are not correctly rounded."""
    if identity.functions == "correctly-rounded" or not case.tolerance:
        return case.level
    return f"near:{case.tolerance}"


def judge_case(case: Case, identity: Identity, got: dict[str, Tensor]) -> Verdict:
    """The stored level first; then, where the implementation's exp and tanh are its own, the tolerance."""
    verdict = judge(case.level, case.expected, got)
    level = applied_level(case, identity)
    return verdict if verdict.agrees or level == case.level else judge(level, case.expected, got)


def run_case(
    adapter: Adapter, case: Case, deviations: Sequence[Deviation] = (), tracer: Tracer | None = None
) -> Result:
    """Run one case. AdapterBroken is not caught: the verdict would not be about the implementation."""
    identity = adapter.identity
    level = applied_level(case, identity)
    if not set(case.layers) <= set(identity.layers):
        return Result(case.id, "not-applicable", level)
    known = next((entry for entry in deviations if entry.matches(case.id) and entry.applies(identity)), None)
    began = time.perf_counter()
    try:
        got = adapter.run(case)
    except SkippedCase as reason:
        return Result(case.id, "skipped", level, time.perf_counter() - began, str(reason))
    except AdapterBroken:
        raise
    except Exception as error:
        outcome: Outcome = "deviating" if known else "errored"
        return Result(case.id, outcome, level, time.perf_counter() - began, f"{type(error).__name__}: {error}")
    seconds = time.perf_counter() - began
    verdict = judge_case(case, identity, got)
    if verdict.agrees:
        if known:
            return Result(case.id, "unexpected-pass", level, seconds, f"listed as deviating: {known.reason}")
        return Result(case.id, "passed", level, seconds, behaviour=verdict.behaviour)
    lines = tuple(diagnose(case, tracer(case), got)) if tracer is not None and case.details else ()
    return Result(case.id, "deviating" if known else "failed", level, seconds, verdict.message, diagnosis=lines)


def select(cases: Iterable[Case], patterns: Sequence[str] = (), *, smoke: bool = False) -> Iterator[Case]:
    """The cases whose id matches one of the globs (all without globs), or only the few of the smoke run."""
    for case in cases:
        if smoke and SMOKE_FLAG not in case.flags:
            continue
        if not patterns or any(fnmatchcase(case.id, pattern) for pattern in patterns):
            yield case


def run(
    adapter: Adapter, cases: Iterable[Case], deviations: Sequence[Deviation] = (), tracer: Tracer | None = None
) -> Iterator[Result]:
    """Run cases in order."""
    for case in cases:
        yield run_case(adapter, case, deviations, tracer)


def exit_status(results: Sequence[Result], unmatched: Sequence[Deviation] = ()) -> int:
    """0: conforms. 1: deviates, or the list of deviations is not true."""
    return 1 if unmatched or any(result.outcome in BAD for result in results) else 0
