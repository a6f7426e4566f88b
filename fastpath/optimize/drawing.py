"""Networks as drawings: layers in rows by their distance from the inputs, arrows along the blobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spec.graph import Graph, Shape

ROW_HEIGHT = 0.62
COLUMN_WIDTH = 1.9
MARGIN = 0.6
EDGE = 0.19
BOX = 0.5
SIDE = 0.85
"""Inches."""

PLAIN, GONE, CHANGED = "#eef2f7", "#f7d4d0", "#d5ecd4"
"""Fill colours: layers of both networks, of the first only, and those that took over the work of others."""

LINE = "#5b6b7f"
TEXT = "#1c2733"


@dataclass(frozen=True)
class Node:
    """One layer: where it stands, and what it says."""

    name: str
    type: str
    shape: Shape | None
    row: int
    column: float
    tops: tuple[str, ...]


@dataclass(frozen=True)
class Drawing:
    """A network laid out: nodes by name, arrows from name to name."""

    nodes: Mapping[str, Node]
    arrows: tuple[tuple[str, str], ...]
    blob_count: int

    @property
    def rows(self) -> int:
        """Rows of layers."""
        return 1 + max((node.row for node in self.nodes.values()), default=0)

    @property
    def columns(self) -> float:
        """Layers side by side, at most."""
        return 1 + 2 * max((abs(node.column) for node in self.nodes.values()), default=0.0)


def drawing_of(graph: Graph, shapes: Mapping[str, Shape]) -> Drawing:
    """Lay a network out: a layer stands one row below the lowest layer that feeds it, near the middle of those."""
    producers = graph.producers()
    feeders = {layer.name: [producers[blob].name for blob in layer.bottoms if blob in producers] for layer in graph}
    rows: dict[str, int] = {}
    for layer in graph:
        rows[layer.name] = 1 + max((rows[name] for name in feeders[layer.name]), default=-1)
    columns: dict[str, float] = {}
    for row in range(1 + max(rows.values(), default=0)):
        members = [name for name in rows if rows[name] == row]
        wished = {name: _mean([columns[feeder] for feeder in feeders[name]]) for name in members}
        members.sort(key=lambda name: wished[name])
        for place, name in enumerate(members):
            columns[name] = place - (len(members) - 1) / 2
    nodes = {
        layer.name: Node(
            layer.name,
            layer.type,
            shapes.get(layer.tops[0]) if layer.tops else None,
            rows[layer.name],
            columns[layer.name],
            tuple(layer.tops),
        )
        for layer in graph
    }
    arrows = tuple((feeder, name) for name in feeders for feeder in feeders[name])
    return Drawing(nodes, arrows, len(graph.blob_names()))


def draw_side_by_side(before: Drawing, after: Drawing, path: str) -> None:
    """Write an SVG file with both networks: what is gone in red, what has changed in green."""
    height = MARGIN * 2 + ROW_HEIGHT * max(before.rows, after.rows)
    widths = [MARGIN * 2 + COLUMN_WIDTH * drawing.columns for drawing in (before, after)]
    figure = Figure(figsize=(sum(widths), height))
    left = widths[0] / sum(widths)
    old = figure.add_axes((0.0, 0.0, left, 1.0))
    _draw(old, before, after, GONE, _is_gone, f"before: {len(before.nodes)} layers", height)
    new = figure.add_axes((left, 0.0, 1 - left, 1.0))
    _draw(new, after, before, CHANGED, _is_changed, f"after: {len(after.nodes)} layers", height)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "ncnnoptimize"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def _draw(
    axes: Axes,
    drawing: Drawing,
    other: Drawing,
    colour: str,
    differs: Callable[[Node, Node | None], bool],
    title: str,
    height: float,
) -> None:
    axes.set_axis_off()
    half = drawing.columns * COLUMN_WIDTH / 2 + MARGIN
    axes.set_xlim(-half, half)
    axes.set_ylim(-height, 0)
    axes.text(0, -MARGIN / 2, title, ha="center", va="center", fontsize=11, color=TEXT)
    places = {
        node.name: (node.column * COLUMN_WIDTH, -MARGIN - ROW_HEIGHT * (node.row + 0.5))
        for node in drawing.nodes.values()
    }
    for feeder, name in drawing.arrows:
        skips = drawing.nodes[name].row - drawing.nodes[feeder].row > 1
        _draw_arrow(axes, places[feeder], places[name], beside=skips and places[feeder][0] == places[name][0])
    for node in drawing.nodes.values():
        x, y = places[node.name]
        fill = colour if differs(node, other.nodes.get(node.name)) else PLAIN
        frame = {"boxstyle": "round,pad=0.25", "facecolor": fill, "edgecolor": LINE, "linewidth": 0.6}
        shape = "" if node.shape is None else " " + "×".join(map(str, node.shape))
        label = _literal(f"{node.type}{shape}\n{node.name}")
        axes.text(x, y, label, ha="center", va="center", fontsize=6, color=TEXT, bbox=frame)


def _draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], *, beside: bool) -> None:
    """An arrow from box to box; `beside` leads it around the boxes that stand between in the same column."""
    (x0, y0), (x1, y1) = start, end
    arrow = {"arrowstyle": "->", "color": LINE, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
    if beside:
        axes.plot((x0, x0 + SIDE, x0 + SIDE), (y0, y0, y1), color=LINE, linewidth=0.7, zorder=1)
        axes.annotate("", (x1 + BOX, y1), (x1 + SIDE, y1), arrowprops=arrow)
    else:
        axes.annotate("", (x1, y1 + EDGE), (x0, y0 - EDGE), arrowprops=arrow)


def _is_gone(node: Node, other: Node | None) -> bool:
    return other is None


def _is_changed(node: Node, other: Node | None) -> bool:
    return other is None or (node.type, node.tops) != (other.type, other.tops)


def _literal(text: str) -> str:
    """Text that matplotlib does not read as mathematics."""
    return text.replace("$", r"\$")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
