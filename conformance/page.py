"""The report as one HTML page that needs nothing else: a table of suites and implementations, then every difference."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from conformance.report import Report, count, family, label
from conformance.runner import BAD, Outcome, Result

TEMPLATE = Path(__file__).with_name("page.html")

OUTCOMES: tuple[Outcome, ...] = ("failed", "errored", "unexpected-pass", "deviating")
"""Outcomes that are spelled out, what is not known first."""

SHOWN = 12
"""Cases that are spelled out under one explanation; the rest is counted."""

SHOWN_LETTERS = 160
"""Of an error that stands above a group."""

MOST_COLUMNS = 72
"""Columns of a heat map."""

FEW, CELL, SMALL_CELL, TICK = 16, 22, 11, 8
"""Up to so many steps and units the cells of a heat map are large and all are numbered; sizes in pixels."""

DECADES = 8
"""Shades of a heat map: the largest difference, and powers of ten below it."""


def as_html(reports: Sequence[Report]) -> str:
    """The page."""
    suites = list(dict.fromkeys(_suite(result.id) for report in reports for result in report.results))
    return _template().render(
        reports=[
            {
                "label": label(report.identity),
                "identity": report.identity,
                "counts": report.counts(),
                "verdict": _verdict(report.results),
                "cells": [_cell([r for r in report.results if _suite(r.id) == suite]) for suite in suites],
                "details": _details(report),
                "reasons": _reasons(report),
            }
            for report in reports
        ],
        suites=suites,
        families=[_family_row(name, reports) for name in _families(reports)],
        decades=DECADES,
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def _suite(case_id: str) -> str:
    return case_id.split("/")[0]


def _families(reports: Sequence[Report]) -> list[str]:
    return list(dict.fromkeys(family(result.id) for report in reports for result in report.results))


def _family_row(name: str, reports: Sequence[Report]) -> dict[str, Any]:
    return {"name": name, "cells": [_cell([r for r in report.results if family(r.id) == name]) for report in reports]}


def _cell(results: Sequence[Result]) -> dict[str, Any]:
    """The numbers of a cell, and the widths of its bar in percent."""
    counts = count(results)
    applicable = len(results) - counts["not-applicable"]
    bad = sum(counts[outcome] for outcome in BAD)
    share = {"good": counts["passed"], "known": counts["deviating"], "bad": bad, "skipped": counts["skipped"]}
    rest = [f"{number} {outcome}" for outcome, number in counts.items() if number and outcome != "passed"]
    return {
        "total": len(results),
        "applicable": applicable,
        "passed": counts["passed"],
        "state": "bad" if bad else "known" if counts["deviating"] else "good" if applicable else "none",
        "bar": {name: 100 * number / applicable for name, number in share.items()} if applicable else {},
        "rest": ", ".join(rest),
    }


def _verdict(results: Sequence[Result]) -> tuple[str, str]:
    """Words, and the class of their colour."""
    if any(result.outcome in BAD for result in results):
        return "deviates", "failed"
    known = sum(result.outcome == "deviating" for result in results)
    return ("conforms, as listed", "deviating") if known else ("conforms", "passed")


def _details(report: Report) -> list[dict[str, Any]]:
    """Every difference, by outcome and then by what explains it, the most frequent first."""
    found = []
    for outcome in OUTCOMES:
        chosen = [result for result in report.results if result.outcome == outcome]
        groups: dict[str, list[Result]] = {}
        for result in chosen:
            groups.setdefault(explanation(result), []).append(result)
        explained = [
            {
                "explanation": text,
                "count": len(results),
                "results": [{"result": result, "heat": heat(result.heat)} for result in results[:SHOWN]],
                "left_out": max(0, len(results) - SHOWN),
            }
            for text, results in sorted(groups.items(), key=lambda item: -len(item[1]))
        ]
        if chosen:
            found.append({"outcome": outcome, "count": len(chosen), "groups": explained})
    return found


def explanation(result: Result) -> str:
    """The reason that is listed, the error, what the diagnosis ends with if it names a cause, or the family."""
    if result.reason or result.outcome == "errored":
        return result.reason or _first_line(result.message)
    last = result.diagnosis[-1] if result.diagnosis else ""
    return last if last and not re.search(r"\d|^No ", last) else family(result.id)


def _first_line(message: str) -> str:
    return message.partition("\n")[0][:SHOWN_LETTERS]


def _reasons(report: Report) -> list[tuple[str, int]]:
    """Why cases are not applicable or skipped, and how many."""
    reasons = Counter(r.message for r in report.results if r.outcome in ("not-applicable", "skipped"))
    return reasons.most_common()


def heat(rows: Sequence[Sequence[float]]) -> dict[str, Any] | None:
    """The cells of a heat map: a shade from 0 (equal) to `DECADES` (the largest difference, on a logarithmic scale).

    `rows` are time steps. The longer side of the map lies across. Where there is much of it, neighbours share a cell,
    which shows the largest of them.
    """
    largest = max((value for row in rows for value in row), default=0.0)
    if not largest:
        return None
    turned = len(rows) > len(rows[0])
    lines = list(zip(*rows)) if turned else rows
    share = -(-len(lines[0]) // MOST_COLUMNS)
    pooled = [[max(line[at : at + share]) for at in range(0, len(line), share)] for line in lines]
    down, across = ("unit", "time step") if turned else ("time step", "unit")
    return {
        "largest": f"{largest:.2g}",
        "down": down,
        "across": across,
        "share": share,
        "size": CELL if len(pooled[0]) <= FEW else SMALL_CELL,
        "columns": [_tick(column, share, len(pooled[0])) for column in range(len(pooled[0]))],
        "rows": [
            (_tick(index, 1, len(pooled)), [(_shade(value, largest), f"{value:.2g}") for value in line])
            for index, line in enumerate(pooled)
        ],
    }


def _tick(index: int, share: int, count: int) -> str:
    """What stands beside a row or above a column: every number, or some where there are many."""
    return str(index * share) if count <= FEW or index % TICK == 0 else ""


def _shade(value: float, largest: float) -> int:
    if value <= 0.0:
        return 0
    return max(1, DECADES - int(math.log10(largest / value)))
