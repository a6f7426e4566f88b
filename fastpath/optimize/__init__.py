"""ncnnoptimize with vectorised arithmetic."""

from __future__ import annotations

from collections.abc import Callable

from fastpath.optimize.arithmetic import NUMPY_ARITHMETIC
from spec.graph import Graph, float_weight
from spec.optimize import pipeline
from spec.optimize.rewriting import Firing

__all__ = ["optimize", "widen_weights"]


def optimize(
    graph: Graph,
    *,
    upstream: bool = False,
    report: Callable[[str], None] = lambda line: None,
    firings: list[Firing] | None = None,
) -> Graph:
    """Optimize `graph` in place: `spec.optimize.pipeline.optimize`, the numbers computed by numpy."""
    return pipeline.optimize(graph, arithmetic=NUMPY_ARITHMETIC, upstream=upstream, report=report, firings=firings)


def widen_weights(graph: Graph) -> None:
    """Turn all binary16 records into binary32 ones, which is exact."""
    for layer in graph:
        for name, weight in layer.weights.items():
            if weight.dtype == "float16":
                layer.weights[name] = float_weight(name, NUMPY_ARITHMETIC.widen(weight.values), weight.kind)
