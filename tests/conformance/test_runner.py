"""Outcomes, deviations and reports."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from conformance.adapter import AdapterBroken, Identity, SkippedCase
from conformance.case import Case
from conformance.deviations import Deviation, read_deviations, unmatched
from conformance.parallel import batches, run_in_processes
from conformance.report import Report, ReportFault, as_junit, as_markdown, as_text, read_report, write_report
from conformance.runner import Result, applied_level, exit_status, run, run_case, select
from conformance.suites import all_cases
from conformance.tensor import Tensor, tensor
from tests.conformance.build import IDENTITY, Toy, right, toy_case, wrong
from tests.conformance.wrong import make

KNOWN = [Deviation("toy/*", "it is a toy", "9 everywhere")]


def skip(case: Case) -> dict[str, Tensor]:
    raise SkippedCase("no ReLU today")


def crash(case: Case) -> dict[str, Tensor]:
    raise MemoryError("too small")


@pytest.mark.parametrize(
    ("answer", "deviations", "outcome", "message"),
    [
        (right, [], "passed", ""),
        (wrong, [], "failed", "out0[0]: got 0x1.2"),
        (skip, [], "skipped", "no ReLU today"),
        (crash, [], "errored", "MemoryError: too small"),
        (wrong, KNOWN, "deviating", "out0[0]"),
        (crash, KNOWN, "deviating", "MemoryError"),
        (right, KNOWN, "unexpected-pass", "it is a toy"),
    ],
)
def test_outcomes(answer: Any, deviations: list[Deviation], outcome: str, message: str) -> None:
    result = run_case(Toy(answer), toy_case(), deviations)
    assert result.outcome == outcome
    assert message in result.message


def test_layers_that_are_not_claimed_are_not_asked_for() -> None:
    assert run_case(Toy(crash), toy_case(layers=("ReLU", "GRU"))).outcome == "not-applicable"


def test_a_broken_adapter_is_no_verdict() -> None:
    def broken(case: Case) -> dict[str, Tensor]:
        raise AdapterBroken("no program")

    with pytest.raises(AdapterBroken):
        run_case(Toy(broken), toy_case())


def test_other_functions_are_judged_by_the_named_tolerance() -> None:
    other = Identity("c", "1", "C", "other", ("ReLU",))
    case = toy_case(tolerance="gru")
    near = {"out0": tensor((3,), [1.0, 1e-7, 3.0])}
    assert applied_level(case, other) == "near:gru"
    assert applied_level(toy_case(), other) == "exact"
    assert run_case(Toy(lambda _: near, other), case).outcome == "passed"
    assert run_case(Toy(lambda _: near), case).outcome == "failed"


def test_selection() -> None:
    cases = [toy_case("toy/a/1"), toy_case("toy/a/2", flags=("smoke",)), toy_case("toy/b/1")]
    assert [case.id for case in select(cases, ["toy/a/*"])] == ["toy/a/1", "toy/a/2"]
    assert list(select(cases)) == cases


def test_deviation_files(tmp_path: Path) -> None:
    path = tmp_path / "toy.toml"
    path.write_text(
        '[[deviation]]\nid = "toy/*"\nreason = "r"\nobserved = "o"\n'
        'condition = { platform = "x86*", version = "1.*" }\n'
    )
    (entry,) = read_deviations(path)
    assert entry.matches("toy/relu/plain")
    assert entry.applies(IDENTITY)
    assert not entry.applies(Identity("toy", "2.0", "C", "other", (), platform="x86_64"))
    assert unmatched([entry], ["other/case"]) == [entry]
    assert unmatched([entry], ["toy/case"]) == []


def test_an_entry_that_depends_on_more_than_an_identity_may_find_agreement() -> None:
    known = [Deviation("toy/*", "it is a toy", "9 everywhere", depends_on="the phase of the moon")]
    result = run_case(Toy(right), toy_case(), known)
    assert (result.outcome, result.reason) == ("passed", "")
    result = run_case(Toy(wrong), toy_case(), known)
    assert (result.outcome, result.reason) == ("deviating", "it is a toy")


def test_an_entry_is_judged_where_its_condition_holds() -> None:
    known = [Deviation("toy/*", "wide registers", "9 everywhere", (("cpu", "avx*"),))]
    narrow, wide = replace(IDENTITY, cpu="sse2"), replace(IDENTITY, cpu="avx2")
    assert run_case(Toy(right, narrow), toy_case(), known).outcome == "passed"
    assert run_case(Toy(wrong, narrow), toy_case(), known).outcome == "failed"
    assert run_case(Toy(right, wide), toy_case(), known).outcome == "unexpected-pass"
    assert run_case(Toy(wrong, wide), toy_case(), known).outcome == "deviating"


ENTRY = "[[deviation]]\nid='x'\nobserved='o'\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reason = ' '", "'x': reason is empty"),
        ("reason = 'r'\ndepends_on = ''", "depends_on is empty"),
        ("reason = 'r'\ncondition = { platfrom = 'x86_64' }", "a condition is a table of name, version"),
        ("reason = 'r'\ncondition = 'x86_64'", "a condition is a table of name, version"),
    ],
)
def test_entries_that_say_nothing(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "toy.toml"
    path.write_text(ENTRY + text)
    with pytest.raises(AdapterBroken, match=message):
        read_deviations(path)


@pytest.mark.parametrize(
    "text", ["[[deviation]]\nid = 'x'\n", "[[deviation]]\nid='x'\nreason='r'\nobserved='o'\nextra=1\n", "[[[", None]
)
def test_deviation_files_that_are_none(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "toy.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AdapterBroken):
        read_deviations(path)


def test_exit_status() -> None:
    good, bad = Result("a", "passed", "exact"), Result("b", "unexpected-pass", "exact")
    assert exit_status([good, Result("c", "deviating", "exact"), Result("d", "skipped", "exact")]) == 0
    assert exit_status([good, bad]) == 1
    assert exit_status([good], KNOWN) == 1


def report_lines() -> list[str]:
    stream = io.StringIO()
    cases = [toy_case("toy/relu/a"), toy_case("toy/relu/b"), toy_case("toy/gru/c", layers=("GRU",))]
    adapter = Toy(lambda case: (right if case.id.endswith("a") else wrong)(case))
    list(write_report(stream, IDENTITY, "toy", run(adapter, cases)))
    return stream.getvalue().splitlines()


def test_reports_can_be_read_again() -> None:
    report = read_report(report_lines())
    assert report.identity == IDENTITY
    assert report.suite == "toy"
    assert [result.outcome for result in report.results] == ["passed", "failed", "not-applicable"]
    assert report.counts()["failed"] == 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: lines[1:], "header"),
        (lambda lines: lines[:-1], "footer"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], "twice"),
        (lambda lines: [lines[0], *lines[2:]], "counts"),
        (lambda lines: [*lines[:2], "{", *lines[2:]], "not JSON"),
        (lambda lines: [*lines[:2], '{"odd": 1}', *lines[2:]], "no result"),
        (lambda lines: [], "header"),
    ],
)
def test_damaged_reports_are_refused(damage: Any, message: str) -> None:
    with pytest.raises(ReportFault, match=message):
        read_report(damage(report_lines()))


def test_summaries() -> None:
    report = read_report(report_lines())
    text = as_text([report, report])
    assert "toy/relu/a  1/1" in text
    assert "0/1 (1 failed)" in text
    assert "failed toy/relu/b [exact]" in text
    assert "| total | 1/2 (1 failed) | 1/2 (1 failed) |" in as_markdown([report, report])
    suites = ElementTree.fromstring(as_junit([report]))
    counted = {"name": "toy 1.2", "tests": "3", "failures": "1", "errors": "0", "skipped": "1"}
    assert {key: value for key, value in suites[0].attrib.items() if key != "time"} == counted
    assert [[child.tag for child in case] for case in suites[0]] == [[], ["failure"], ["skipped"]]


def test_junit_takes_every_message() -> None:
    """Bytes of a program's standard error, and the reason of a listed deviation."""
    crashed = Result("a/b/c", "errored", "exact", message="status 1: \x00\x1b[31m <no>")
    known = Result("a/b/d", "deviating", "exact", message="9 apart", reason="it is a toy")
    suites = ElementTree.fromstring(as_junit([Report(IDENTITY, "toy", (crashed, known))]))
    error, skipped = suites[0][0][0], suites[0][1][0]
    assert (error.tag, error.text) == ("error", "status 1: \ufffd\ufffd[31m <no>")
    assert (skipped.attrib["message"], skipped.text) == ("deviating: it is a toy", "9 apart")


def test_failures_are_capped_and_say_so() -> None:
    stream = io.StringIO()
    cases = [toy_case(f"toy/relu/{i}") for i in range(25)]
    list(write_report(stream, IDENTITY, "toy", run(Toy(wrong), cases)))
    text = as_text([read_report(stream.getvalue().splitlines())])
    assert text.count("failed toy/relu/") == 20
    assert "and 5 more of toy 1.2" in text


def test_a_report_is_written_while_the_run_goes_on() -> None:
    stream = io.StringIO()
    results = write_report(stream, IDENTITY, "toy", run(Toy(right), [toy_case(), toy_case("toy/x/y")]))
    next(results)
    assert len(stream.getvalue().splitlines()) == 2
    assert json.loads(stream.getvalue().splitlines()[0])["suite"] == "toy"


def test_several_processes_give_what_one_gives() -> None:
    """Groups are not cut, so they are judged as a whole; results keep their order."""
    chosen = list(select(all_cases("recurrent"), ["recurrent/rnn/consistency/t*", "recurrent/gru/by-hand/*"]))
    chosen += list(select(all_cases("tables"), ["tables/fc/fc-*-aciq"]))
    cut = list(batches(chosen))
    assert [case for batch in cut for case in batch] == chosen
    assert all(len(batch) == 1 for batch in cut if batch[0].operation == "table")
    groups = [{case.group for case in batch if case.group} for batch in cut]
    assert sum("recurrent/rnn/consistency" in group for group in groups) == 1
    one = list(run(make(), chosen))
    two = list(run_in_processes(2, make, chosen))
    assert [(r.id, r.outcome, r.message) for r in one] == [(r.id, r.outcome, r.message) for r in two]


def test_a_process_that_ends_is_no_verdict() -> None:
    with pytest.raises(AdapterBroken, match="ended in the middle of a case"):
        list(run_in_processes(2, mortal, [toy_case()]))


def mortal() -> Toy:
    return Toy(lambda case: os._exit(3))
