"""ncnnoptimize with vectorised arithmetic."""

from __future__ import annotations

from collections.abc import Callable

from fastpath.optimize.arithmetic import NUMPY_ARITHMETIC
from spec.graph import Graph
from spec.optimize import pipeline
from spec.optimize.rewriting import Firing

__all__ = ["optimize"]


def optimize(
    graph: Graph,
    *,
    upstream: bool = False,
    report: Callable[[str], None] = lambda line: None,
    firings: list[Firing] | None = None,
) -> Graph:
    """Optimize `graph` in place: `spec.optimize.pipeline.optimize`, the numbers computed by numpy."""
    return pipeline.optimize(graph, arithmetic=NUMPY_ARITHMETIC, upstream=upstream, report=report, firings=firings)
