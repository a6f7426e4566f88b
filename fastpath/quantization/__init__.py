"""ncnn2int8 with vectorised arithmetic."""

from __future__ import annotations

from collections.abc import Callable

from fastpath.quantization.arithmetic import NUMPY_ARITHMETIC
from spec.formats.table import Table
from spec.graph import Graph
from spec.quantization import quantize_model as _rule

__all__ = ["quantize_model"]


def quantize_model(
    graph: Graph, table: Table | None, *, upstream: bool = False, report: Callable[[str], None] = lambda line: None
) -> None:
    """Quantize `graph` in place: `spec.quantization.quantize_model`, the numbers computed by numpy."""
    _rule.quantize_model(graph, table, arithmetic=NUMPY_ARITHMETIC, upstream=upstream, report=report)
