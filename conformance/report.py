"""Reports: a JSONL stream with header and footer, and what is computed from it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any
from xml.sax.saxutils import escape, quoteattr

from conformance.adapter import Identity
from conformance.runner import BAD, OUTCOMES, Outcome, Result

FORMAT = "ncnn-assay-conformance-1"

SHOWN_FAILURES = 20
"""Failures that a text report spells out; more are counted."""


class ReportFault(Exception):
    """A report that cannot be believed: no header, no footer, a case twice, or counts that do not add up."""


@dataclass(frozen=True)
class Report:
    """A finished run."""

    identity: Identity
    suite: str
    results: tuple[Result, ...]

    def counts(self) -> dict[str, int]:
        """How many results of each outcome."""
        return count(self.results)


def count(results: Iterable[Result]) -> dict[str, int]:
    """How many results of each outcome, in the order of `OUTCOMES`."""
    counter = Counter(result.outcome for result in results)
    return {outcome: counter[outcome] for outcome in OUTCOMES}


def write_report(stream: IO[str], identity: Identity, suite: str, results: Iterable[Result]) -> Iterator[Result]:
    """Pass results on while writing them: header first, footer when the last one came."""
    _write(stream, {"format": FORMAT, "suite": suite, "identity": identity.to_json()})
    seen: list[Result] = []
    for result in results:
        _write(
            stream, {name: value for name, value in asdict(result).items() if value not in ("", ()) and value != 0.0}
        )
        seen.append(result)
        yield result
    _write(stream, {"footer": count(seen)})


def _write(stream: IO[str], record: dict[str, Any]) -> None:
    stream.write(json.dumps(record) + "\n")
    stream.flush()


def read_report(lines: Iterable[str]) -> Report:
    """A report from its lines. ReportFault where it is not whole."""
    try:
        records = [json.loads(line) for line in lines if line.strip()]
    except ValueError as error:
        raise ReportFault(f"a line is not JSON: {error}") from error
    if not records or records[0].get("format") != FORMAT:
        raise ReportFault("the header is missing")
    if "footer" not in records[-1] or len(records) < 2:
        raise ReportFault("the footer is missing: the run did not end")
    results = tuple(_result(record) for record in records[1:-1])
    twice = [case_id for case_id, times in Counter(result.id for result in results).items() if times > 1]
    if twice:
        raise ReportFault(f"{twice[0]} is there twice")
    if count(results) != records[-1]["footer"]:
        raise ReportFault("the footer counts other results")
    return Report(Identity.from_json(records[0]["identity"]), records[0]["suite"], results)


def _result(record: dict[str, Any]) -> Result:
    try:
        heat = tuple(tuple(row) for row in record.get("heat", ()))
        return Result(**{**record, "diagnosis": tuple(record.get("diagnosis", ())), "heat": heat})
    except TypeError as error:
        raise ReportFault(f"a line is no result: {error}") from error


def family(case_id: str) -> str:
    """The part of an id that a summary has a row for: suite, layer, topic.

    >>> family("recurrent/gru/ties/input-d0")
    'recurrent/gru/ties'
    """
    return "/".join(case_id.split("/")[:3])


def rows(reports: Sequence[Report]) -> list[list[str]]:
    """The table: a row for each family, a column for each report: passed/applicable, with others counted behind."""
    families = list(dict.fromkeys(family(result.id) for report in reports for result in report.results))
    header = ["family", *(label(report.identity) for report in reports)]
    return [header, *([name, *(_cell(report, name) for report in reports)] for name in families), _total(reports)]


def label(identity: Identity) -> str:
    """An implementation's name, version and options."""
    return " ".join(part for part in (identity.name, identity.version, identity.options) if part)


def _total(reports: Sequence[Report]) -> list[str]:
    return ["total", *(_cell(report, "") for report in reports)]


def _cell(report: Report, name: str) -> str:
    counts = count(result for result in report.results if not name or family(result.id) == name)
    applicable = sum(counts.values()) - counts["not-applicable"]
    rest = [f"{counts[outcome]} {outcome}" for outcome in OUTCOMES[1:-1] if counts[outcome]]
    if not applicable:
        return "not applicable" if counts["not-applicable"] else ""
    return f"{counts['passed']}/{applicable}" + (f" ({', '.join(rest)})" if rest else "")


def as_text(reports: Sequence[Report]) -> str:
    """The table in columns, then the failures."""
    table = rows(reports)
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
    return "\n".join([*lines, *failures(reports)])


def failures(reports: Sequence[Report]) -> list[str]:
    """The first failures of each report, one paragraph each."""
    lines: list[str] = []
    for report in reports:
        bad = [result for result in report.results if result.outcome in BAD]
        for result in bad[:SHOWN_FAILURES]:
            lines += ["", f"{result.outcome} {result.id} [{result.level}]", f"  {result.message}"]
            lines += [f"  {line}" for line in result.diagnosis]
        if len(bad) > SHOWN_FAILURES:
            lines += ["", f"… and {len(bad) - SHOWN_FAILURES} more of {label(report.identity)}"]
    return lines


def as_markdown(reports: Sequence[Report]) -> str:
    """The table for a README."""
    header, *body = rows(reports)
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in body)])


def as_junit(reports: Sequence[Report]) -> str:
    """JUnit's XML: a testsuite for each report. Listed deviations and what does not apply are skipped."""
    parts = ['<?xml version="1.0" encoding="utf-8"?>', "<testsuites>"]
    for report in reports:
        elements = Counter(_junit_element(result.outcome) for result in report.results)
        seconds = sum(result.seconds for result in report.results)
        parts.append(
            f'<testsuite name={_attribute(label(report.identity))} tests="{len(report.results)}"'
            f' failures="{elements["failure"]}" errors="{elements["error"]}" skipped="{elements["skipped"]}"'
            f' time="{seconds:.3f}">'
        )
        parts += [_junit_case(result) for result in report.results]
        parts.append("</testsuite>")
    return "\n".join([*parts, "</testsuites>"])


def _junit_element(outcome: Outcome) -> str:
    if outcome == "passed":
        return ""
    return "error" if outcome == "errored" else "failure" if outcome in BAD else "skipped"


def _junit_case(result: Result) -> str:
    begin = (
        f'<testcase classname={_attribute(family(result.id))} name={_attribute(result.id)} time="{result.seconds:.6f}"'
    )
    element = _junit_element(result.outcome)
    if not element:
        return f"{begin}/>"
    reason = f"{result.outcome}: {result.reason or result.message}"
    details = "\n".join([result.message, *result.diagnosis])
    return f"{begin}><{element} message={_attribute(reason)}>{escape(_printable(details))}</{element}></testcase>"


def _attribute(text: str) -> str:
    return quoteattr(_printable(text))


def _printable(text: str) -> str:
    """Without the characters that XML has no way to write."""
    return "".join(letter if letter >= " " or letter in "\t\n" else "\ufffd" for letter in text)
