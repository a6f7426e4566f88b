"""Judge a case: all that its record holds, on one engine."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fastpath.commands.verdicts.inference import judge_inference
from fastpath.commands.verdicts.loading import judge_loading, judge_tokens
from fastpath.commands.verdicts.tables import judge_table
from fastpath.commands.verdicts.tools import judge_command
from fastpath.commands.verdicts.verdict import Outcome, Verdict, outcome_of
from golden import deviations
from golden.vectors import Case


def judge(case: Case, engine: str) -> Verdict:
    """Run the case's commands, inference and files on `engine`, in a folder of its own for each command."""
    verdict = Verdict()
    with tempfile.TemporaryDirectory() as scratch:
        for number, command in enumerate(case.commands):
            folder = case.unpack(Path(scratch) / str(number))
            if command["tool"] == "ncnn2table":
                judge_table(case, command, folder, engine, verdict)
            else:
                judge_command(case, command, folder, engine, verdict)
        folder = case.unpack(Path(scratch) / "inference")
        judge_inference(case, folder, engine, verdict)
        if "accepted" in case.facts.get("observed", {}):
            judge_loading(case, folder, engine, verdict)
    if "tokens" in case.facts:
        judge_tokens(case, verdict)
    return verdict


def result(case: Case, engine: str) -> tuple[Outcome, str, Verdict]:
    """Passed, explained or failed, why, and the verdict."""
    verdict = judge(case, engine)
    outcome, sentence = outcome_of(verdict, deviations.of_case(case.id, engine))
    return outcome, sentence, verdict
