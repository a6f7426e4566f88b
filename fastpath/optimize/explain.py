"""What the optimizer did to a network, as a table and as a drawing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from fastpath.optimize.drawing import Drawing, draw_side_by_side, drawing_of
from spec.graph import Graph
from spec.optimize.mac_estimate import mac_count
from spec.optimize.pipeline import PASSES
from spec.optimize.rewriting import Firing
from spec.optimize.shape_inference import infer_shapes


class Explanation:
    """Remembers a network as it was; `show` compares it with what became of it."""

    def __init__(self, graph: Graph) -> None:
        inferred = infer_shapes(graph)
        self._before = drawing_of(graph, inferred.shapes)
        self._weights = _weight_count(graph)
        self._macs = mac_count(graph, inferred.shapes)

    def show(self, graph: Graph, firings: Sequence[Firing], path: str, console: Console | None = None) -> None:
        """Print two tables, and write an SVG drawing of both networks to `path`."""
        console = console or Console(highlight=False)
        after = drawing_of(graph, graph.blob_shapes())
        console.print(_firing_table(firings))
        console.print(self._size_table(graph, after))
        draw_side_by_side(self._before, after, path)
        console.print(f"drawing: {path}", soft_wrap=True)

    def _size_table(self, graph: Graph, after: Drawing) -> Table:
        table = Table("", "before", "after", box=box.SIMPLE)
        macs = mac_count(graph, graph.blob_shapes())
        for name, old, new in (
            ("layers", len(self._before.nodes), len(after.nodes)),
            ("blobs", self._before.blob_count, after.blob_count),
            ("weights", self._weights, _weight_count(graph)),
            ("multiply-accumulates", self._macs, macs),
        ):
            table.add_row(name, f"{old:,}", f"{new:,}")
        return table


def _firing_table(firings: Sequence[Firing]) -> Table:
    """One row a pass that was applied, in the order of the passes."""
    counts = Counter(firing.rule for firing in firings)
    order = {step.name: place for place, step in enumerate(PASSES)}
    table = Table("pass", "times", "layers", box=box.SIMPLE)
    for rule in sorted(counts, key=lambda name: order[name]):
        layers = "\n".join(" ← ".join(firing.layers) for firing in firings if firing.rule == rule)
        table.add_row(rule, str(counts[rule]), layers)
    if not firings:
        table.add_row("no pass was applied", "0", "")
    return table


def _weight_count(graph: Graph) -> int:
    return sum(len(weight) for layer in graph for weight in layer.weights.values())
