"""Run cases against an adapter and give each its outcome."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from conformance.adapter import Adapter, AdapterBroken, Identity, NotApplicable, Refused, SkippedCase
from conformance.case import Case
from conformance.deviations import Deviation
from conformance.diagnosis import Tracer, diagnose
from conformance.levels import TOLERANCES, Verdict, judge, place, text
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

Answers = dict[str, tuple[str, bytes]]
"""Group to the case that first answered, and its one number."""

SMOKE_FLAG = "smoke"

HEAT_INFINITE = 1e38
"""What stands for differences that are no numbers."""


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
    source: str = ""
    reason: str = ""
    """Of the deviation that is listed."""
    heat: tuple[tuple[float, ...], ...] = ()
    """For a recurrent case that differs: the differences, a row for each time step and a column for each unit."""


def applied_level(case: Case, identity: Identity, level: str = "") -> str:
    """The stored level, or what an implementation is bound to that claims less."""
    level = level or case.level
    claim = identity.tightest
    if claim == "exact" or not case.tolerance:
        return level
    return f"near:{case.tolerance}" if claim == "near" else f"stat:{TOLERANCES[case.tolerance].noise:g}"


def judge_case(case: Case, identity: Identity, got: dict[str, Tensor]) -> Verdict:
    """The stored level first; then, where the implementation claims less, that."""
    verdict = judge(case.level, case.expected, got, case.levels)
    if verdict.agrees or applied_level(case, identity) == case.level:
        return verdict
    levels = {name: applied_level(case, identity, level) for name, level in case.levels.items()}
    return judge(applied_level(case, identity), case.expected, got, levels)


def run_case(
    adapter: Adapter,
    case: Case,
    deviations: Sequence[Deviation] = (),
    tracer: Tracer | None = None,
    answers: Answers | None = None,
) -> Result:
    """Run one case. AdapterBroken is not caught: the verdict would not be about the implementation.

    `answers` remembers what the groups of cases answered so far.
    """
    identity = adapter.identity
    blank = Result(case.id, "not-applicable", applied_level(case, identity), source=case.source.kind)
    lacking = identity.lacks(case)
    if lacking:
        return replace(blank, message=lacking)
    known = next((entry for entry in deviations if entry.matches(case.id) and entry.applies(identity)), None)
    began = time.perf_counter()
    try:
        verdict, got = _verdict(adapter, case)
        if verdict.agrees and case.group and answers is not None:
            verdict = _one_answer(case, got, answers) or verdict
    except NotApplicable as reason:
        return replace(blank, message=str(reason))
    except SkippedCase as reason:
        return replace(blank, outcome="skipped", seconds=time.perf_counter() - began, message=str(reason))
    except AdapterBroken:
        raise
    except Exception as error:
        outcome: Outcome = "deviating" if known else "errored"
        message = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - began
        return replace(blank, outcome=outcome, seconds=seconds, message=message, reason=known.reason if known else "")
    timed = replace(blank, seconds=time.perf_counter() - began, reason=known.reason if known else "")
    if verdict.agrees:
        if known and not known.depends_on:
            return replace(timed, outcome="unexpected-pass", message=f"listed as deviating: {known.reason}")
        return replace(timed, outcome="passed", behaviour=verdict.behaviour, reason="")
    lines = tuple(diagnose(case, tracer(case), got)) if tracer is not None and case.details and got else ()
    return replace(
        timed,
        outcome="deviating" if known else "failed",
        message=verdict.message,
        diagnosis=lines,
        heat=heat_of(case, got),
    )


def _verdict(adapter: Adapter, case: Case) -> tuple[Verdict, dict[str, Tensor]]:
    """The verdict, and what was answered."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            got = adapter.run(case)
    except Refused as refusal:
        taken = case.refusal != "wrong"
        return Verdict(taken, "refused" if taken else "", "" if taken else f"refused: {refusal}"), {}
    if case.refusal == "required":
        return Verdict(False, message="accepted, but the files are faulty"), got
    return judge_case(case, adapter.identity, got), got


def _one_answer(case: Case, got: dict[str, Tensor], answers: Answers) -> Verdict | None:
    """A fault if the numbers of the first output are not all the same, or not those of the group."""
    blob = got[case.outputs[0]]
    values = blob.values()
    size = len(blob.data) // len(values)
    pieces = [blob.data[at : at + size] for at in range(0, len(blob.data), size)]
    where, answer = answers.setdefault(case.group, (case.id, pieces[0]))
    index = next((i for i, piece in enumerate(pieces) if piece != answer), None)
    if index is None:
        return None
    wanted = Tensor((1,), blob.dtype, answer).values()[0]
    return Verdict(
        False,
        message=f"{place(blob.shape, index)}: got {text(values[index])}, but the same value gave {text(wanted)}"
        + (" at the first position" if where == case.id else f" in {where}"),
    )


def heat_of(case: Case, got: dict[str, Tensor]) -> tuple[tuple[float, ...], ...]:
    """How far the sequence of a recurrent case is off, by time step and unit; empty for other cases."""
    name = next(iter(case.expected), "")
    if not case.details or name not in got or len(got[name].shape) != 2:
        return ()
    wanted = next(iter(case.expected[name].values()))
    if wanted.shape != got[name].shape:
        return ()
    steps, units = wanted.shape
    pairs = zip(wanted.values(), got[name].values(), strict=True)
    distances = [_rounded(abs(a - b)) for a, b in pairs]
    return tuple(tuple(distances[t * units : t * units + units]) for t in range(steps))


def _rounded(distance: float) -> float:
    return float(f"{distance:.2g}") if math.isfinite(distance) else HEAT_INFINITE


def select(cases: Iterable[Case], patterns: Sequence[str] = ()) -> Iterator[Case]:
    """The cases whose id matches one of the globs; all without globs."""
    return (case for case in cases if not patterns or any(fnmatchcase(case.id, pattern) for pattern in patterns))


def run(
    adapter: Adapter, cases: Iterable[Case], deviations: Sequence[Deviation] = (), tracer: Tracer | None = None
) -> Iterator[Result]:
    """Run cases in order."""
    answers: Answers = {}
    for case in cases:
        yield run_case(adapter, case, deviations, tracer, answers)


def exit_status(results: Sequence[Result], unmatched: Sequence[Deviation] = ()) -> int:
    """0: conforms. 1: deviates, or the list of deviations is not true."""
    return 1 if unmatched or any(result.outcome in BAD for result in results) else 0
