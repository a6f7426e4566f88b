"""Fill the page: everything it shows stands in it, drawings and styles included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from fastpath.accuracy.compare import Comparison, LayerTrace, cause
from fastpath.accuracy.report import charts
from fastpath.accuracy.samples import counted
from spec.graph import Graph

TEMPLATE = Path(__file__).with_name("page.html")

SHOWN_WORST = 6
"""Layers with a histogram."""


def render(comparisons: Sequence[Comparison], int8_graph: Graph, title: str, samples: int) -> str:
    """The page for one or more engines, the first of which is drawn."""
    first = comparisons[0]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["snr"] = charts.snr_text
    worst = first.worst()
    ranked = worst_layers(first)
    return environment.from_string(TEMPLATE.read_text()).render(
        title=title,
        samples=counted(samples),
        comparisons=comparisons,
        first=first,
        worst=worst,
        cause=cause,
        alone=lambda trace: min((d.snr for d in trace.alone.values()), default=math.inf),
        colours=charts.COLOURS,
        colour_range=charts.COLOUR_RANGE,
        graph=Markup(charts.graph_chart(int8_graph, first.traces, worst)),
        depth=Markup(charts.depth_chart(first.traces)),
        ranked=[(trace, trace.input and Markup(charts.histogram_chart(trace.input))) for trace in ranked],
        beside=list(zip(*(comparison.traces for comparison in comparisons), strict=True)),
        int8_count=sum(trace.int8 for trace in first.traces),
    )


def worst_layers(comparison: Comparison) -> list[LayerTrace]:
    """The int8 layers that harm the outputs most, the worst first."""
    found = [trace for trace in comparison.traces if trace.int8]
    return sorted(found, key=lambda trace: (-trace.harm, trace.own.snr))[:SHOWN_WORST]
