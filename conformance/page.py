"""The report as one HTML page that needs nothing else: a table of suites and implementations, then every difference."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from conformance.report import Report, count, family, label
from conformance.runner import BAD, Outcome, Result

TEMPLATE = Path(__file__).with_name("page.html")

SHOWN: dict[Outcome, int] = {"failed": 200, "errored": 200, "unexpected-pass": 200, "deviating": 200}
"""Outcomes that are spelled out, and how many of each; the rest is counted."""

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


def _verdict(results: Sequence[Result]) -> str:
    return "deviates" if any(result.outcome in BAD for result in results) else "conforms"


def _details(report: Report) -> list[dict[str, Any]]:
    """Every difference, what is not known first."""
    found = []
    for outcome, limit in SHOWN.items():
        chosen = [result for result in report.results if result.outcome == outcome]
        found.append(
            {
                "outcome": outcome,
                "count": len(chosen),
                "results": [{"result": result, "heat": heat(result.heat)} for result in chosen[:limit]],
                "left_out": max(0, len(chosen) - limit),
            }
        )
    return [group for group in found if group["count"]]


def _reasons(report: Report) -> list[tuple[str, int]]:
    """Why cases are not applicable or skipped, and how many."""
    reasons = Counter(r.message for r in report.results if r.outcome in ("not-applicable", "skipped"))
    return reasons.most_common()


def heat(rows: Sequence[Sequence[float]]) -> dict[str, Any] | None:
    """The cells of a heat map: a shade from 0 (equal) to `DECADES` (the largest difference, on a logarithmic scale)."""
    largest = max((value for row in rows for value in row), default=0.0)
    if not largest:
        return None
    return {
        "largest": f"{largest:.2g}",
        "rows": [[(_shade(value, largest), f"{value:.2g}") for value in row] for row in rows],
    }


def _shade(value: float, largest: float) -> int:
    if value <= 0.0:
        return 0
    return max(1, DECADES - int(math.log10(largest / value)))
