"""Drawings for the page, as SVG text: the graph with its errors, errors along the depth, histograms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from fastpath.accuracy.compare import InputFigures, LayerTrace
from fastpath.accuracy.network import split_sources
from spec.graph import Graph, Layer

COLOURS = ("#b2182b", "#d6604d", "#f4a582", "#fddbc7", "#d1e5f0", "#92c5de", "#4393c3", "#2166ac")
"""From bad to good; readers who do not tell red from green tell these apart."""

COLOUR_RANGE = (5.0, 45.0)
"""The dB of the first and of the last colour."""

NO_FIGURE = "#c8ccd2"

SHOWN_RANGE = (-5.0, 75.0)
"""Signal-to-noise ratios are drawn between these; exact blobs lie on the upper one."""

ROW, LANE = 24, 16
"""Distances in the graph: rows from layer to layer, lanes side by side."""

BARS = 80
"""Bars of a histogram."""

Point = tuple[float, float]


def colour(snr: float) -> str:
    """The colour of a signal-to-noise ratio."""
    low, high = COLOUR_RANGE
    share = (min(max(snr, low), high) - low) / (high - low)
    return COLOURS[min(int(share * len(COLOURS)), len(COLOURS) - 1)]


def snr_text(snr: float) -> str:
    """A signal-to-noise ratio in words."""
    if math.isinf(snr):
        return "exact" if snr > 0 else "lost"
    return f"{snr:.1f}"


def _text(x: float, y: float, text: str, **attributes: str) -> str:
    extra = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{escape(text)}</text>'


def _line(a: Point, b: Point, style: str) -> str:
    return f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" class="{style}"/>'


def _svg(width: float, height: float, parts: Iterable[str], label: str) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img"'
    return f'{head} aria-label="{escape(label)}" style="max-width:{width:.0f}px">{"".join(parts)}</svg>'


@dataclass(frozen=True)
class _Node:
    layer: Layer
    row: int
    lane: int
    bottoms: list[int]
    """The rows of the layers that it reads from."""


def place(graph: Graph) -> list[_Node]:
    """The layers but Split in rows, in lanes such that no line runs through a foreign layer."""
    sources = split_sources(graph)
    layers = [layer for layer in graph if layer.type != "Split"]
    makers = {top: row for row, layer in enumerate(layers) for top in layer.tops}
    reads = []
    for layer in layers:
        origins = [sources.get(bottom, bottom) for bottom in layer.bottoms]
        reads.append(sorted({makers[origin] for origin in origins if origin in makers}))
    last = {row: reader for reader, rows in enumerate(reads) for row in rows}
    taken: dict[int, int] = {}
    nodes: list[_Node] = []
    for row, layer in enumerate(layers):
        free = [nodes[source].lane for source in reads[row] if last[source] == row]
        for lane in free:
            taken.pop(lane, None)
        lane = min(free) if free else next(i for i in range(len(taken) + 1) if i not in taken)
        if row in last:
            taken[lane] = row
        nodes.append(_Node(layer, row, lane, reads[row]))
    return nodes


def graph_chart(graph: Graph, traces: Sequence[LayerTrace], worst: LayerTrace | None) -> str:
    """The graph from top to bottom, one layer a row, with bars for the total and ticks for the own error."""
    nodes = place(graph)
    by_name = {trace.layer.name: trace for trace in traces}
    lanes = max((node.lane for node in nodes), default=0) + 1
    names = lanes * LANE + 26
    types = names + 8 + 7.3 * min(max((len(node.layer.name) for node in nodes), default=1), 34)
    bars = types + 215
    columns = {"own": bars + 280, "inherited": bars + 350, "alone": bars + 410, "saturated": bars + 490}
    width, top = columns["saturated"] + 10, 34
    parts = [
        _text(names, 18, "layer", class_="head"),
        _text(types, 18, "type", class_="head"),
        _text(bars - 10, 18, "SNR", class_="head", text_anchor="end"),
        _text(bars, 18, "total as bar, own as tick", class_="head"),
        *(_text(x, 18, heading, class_="head", text_anchor="end") for heading, x in columns.items()),
    ]

    def centre(node: _Node) -> Point:
        return 16 + node.lane * LANE, top + node.row * ROW + ROW / 2

    for node in nodes:
        parts += [_wire(centre(nodes[source]), centre(node)) for source in node.bottoms]
    for node in nodes:
        parts += _row(node, centre(node), by_name.get(node.layer.name), worst, (names, types, bars), columns)
    return _svg(width, top + len(nodes) * ROW + 10, parts, "the int8 network, coloured by signal-to-noise ratio")


def _wire(a: Point, b: Point) -> str:
    """A line down the lane of the maker, and over to the reader in the last row."""
    if a[0] == b[0]:
        return _line(a, b, "wire")
    turn = b[1] - ROW * 0.8
    down = f"L {a[0]:.1f} {turn:.1f} " if turn > a[1] else ""
    over = f"C {a[0]:.1f} {b[1]:.1f} {b[0]:.1f} {turn:.1f} {b[0]:.1f} {b[1]:.1f}"
    return f'<path d="M {a[0]:.1f} {a[1]:.1f} {down}{over}" class="wire"/>'


def _row(
    node: _Node,
    centre: Point,
    trace: LayerTrace | None,
    worst: LayerTrace | None,
    places: tuple[float, float, float],
    columns: dict[str, float],
) -> list[str]:
    names, types, bars = places
    x, y = centre
    base = y + 4
    is_worst = trace is not None and trace is worst
    name = node.layer.name if len(node.layer.name) <= 34 else node.layer.name[:33] + "…"
    parts = []
    if is_worst:
        parts.append(f'<rect x="0" y="{y - ROW / 2:.1f}" width="100%" height="{ROW}" class="worst"/>')
    fill = NO_FIGURE if trace is None else colour(trace.total.snr)
    shape = (
        f'<rect x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12" rx="2" fill="{fill}" class="node"/>'
        if trace is not None and trace.int8
        else f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" class="node"/>'
    )
    parts.append(f"<g><title>{escape(describe(trace) if trace else node.layer.name)}</title>{shape}</g>")
    parts.append(_text(names, base, name, class_="strong" if is_worst else "name"))
    parts.append(_text(types, base, node.layer.type, class_="type"))
    if trace is None:
        return parts
    scale = 220 / (SHOWN_RANGE[1] - SHOWN_RANGE[0])
    length = max(_shown(trace.total.snr) - SHOWN_RANGE[0], 0) * scale
    parts.append(f'<rect x="{bars}" y="{y - 7:.1f}" width="{max(length, 1):.1f}" height="14" fill="{fill}"/>')
    parts.append(_text(bars - 10, base, snr_text(trace.total.snr), class_="figure", text_anchor="end"))
    if trace.int8:
        tick = bars + (_shown(trace.own.snr) - SHOWN_RANGE[0]) * scale
        parts.append(_line((tick, y - 9), (tick, y + 9), "own"))
        alone = min((d.snr for d in trace.alone.values()), default=math.inf)
        figures = {"own": trace.own.snr, "inherited": trace.inherited.snr, "alone": alone}
        for key, value in figures.items():
            parts.append(_text(columns[key], base, snr_text(value), class_="figure", text_anchor="end"))
    if trace.input is not None:
        share = f"{trace.input.saturated_share:.2%}"
        parts.append(_text(columns["saturated"], base, share, class_="figure", text_anchor="end"))
    return parts


def describe(trace: LayerTrace) -> str:
    """A layer's figures in words, for the pointer to show."""
    lines = [f"{trace.layer.name} ({trace.layer.type}{', int8' if trace.int8 else ''})"]
    lines.append(
        f"total {snr_text(trace.total.snr)} dB, cosine {trace.total.cosine:.6f}, max {trace.total.largest:.4g}"
    )
    if trace.int8:
        lines.append(f"own {snr_text(trace.own.snr)} dB, inherited {snr_text(trace.inherited.snr)} dB")
    if trace.input is not None:
        lines.append(f"threshold {trace.input.threshold:.5g} of range {trace.input.absmax:.5g}")
    return "\n".join(lines)


def _shown(snr: float) -> float:
    return min(max(snr, SHOWN_RANGE[0]), SHOWN_RANGE[1])


def depth_chart(traces: Sequence[LayerTrace]) -> str:
    """Signal-to-noise ratios along the depth: total as a line, own and inherited of the int8 layers as marks."""
    width, height, left, bottom = 1080, 330, 48, 40
    low, high = SHOWN_RANGE
    step = (width - left - 20) / max(len(traces) - 1, 1)

    def at(position: int, snr: float) -> Point:
        return left + position * step, 14 + (high - _shown(snr)) / (high - low) * (height - bottom - 14)

    parts = []
    for level in range(0, int(high) + 1, 10):
        y = at(0, level)[1]
        parts += [_line((left, y), (width - 20, y), "grid"), _text(left - 6, y + 4, f"{level}", text_anchor="end")]
    parts.append(_text(left - 6, at(0, high)[1] + 4, "exact", text_anchor="end", class_="type"))
    parts.append(_text(left, height - 8, "first layer", class_="type"))
    parts.append(_text(width - 20, height - 8, "last layer", class_="type", text_anchor="end"))
    total = [at(i, trace.total.snr) for i, trace in enumerate(traces)]
    parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in total)}" class="total"/>')
    for i, trace in enumerate(traces):
        title = f"<title>{escape(describe(trace))}</title>"
        x, y = total[i]
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="totaldot">{title}</circle>')
        if trace.int8:
            y = at(i, trace.inherited.snr)[1]
            parts.append(f'<path d="M {x - 4:.1f} {y:.1f} h 8" class="inherited">{title}</path>')
            y = at(i, trace.own.snr)[1]
            parts.append(f'<path d="M {x:.1f} {y - 5:.1f} l 5 5 l -5 5 l -5 -5 z" class="owndot">{title}</path>')
    return _svg(width, height, parts, "errors along the depth")


def histogram_chart(seen: InputFigures) -> str:
    """How often magnitudes occur, on a logarithmic scale, and where the threshold cuts."""
    width, height, left, bottom = 520, 210, 14, 34
    values = seen.values()
    end = max(seen.absmax, min(seen.threshold, 1.6 * seen.absmax)) * 1.02 or 1.0
    counts, edges = np.histogram(values[values > 0], bins=BARS, range=(0.0, end))
    peak = math.log10(max(int(counts.max(initial=0)), 9) + 1)
    unit = (width - 2 * left) / end
    parts = []
    for count, start, stop in zip(counts, edges, edges[1:]):
        tall = math.log10(int(count) + 1) / peak * (height - bottom - 24)
        style = "clipped" if start >= seen.threshold else "kept"
        title = f"<title>{start:.4g} to {stop:.4g}: {int(count)} of {values.size} values</title>"
        x, y = left + start * unit, height - bottom - tall
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max((stop - start) * unit - 1, 1):.1f}" '
            f'height="{tall:.1f}" class="{style}">{title}</rect>'
        )
    parts.append(_line((left, height - bottom), (width - left, height - bottom), "axis"))
    parts.append(_text(left, height - bottom + 16, "0"))
    parts.append(_text(width - left, height - bottom + 16, f"{end / 1.02:.4g}", text_anchor="end"))
    if seen.threshold <= end:
        x = left + seen.threshold * unit
        right = x > width / 2
        parts.append(_line((x, 12), (x, height - bottom), "threshold"))
        label = f"threshold {seen.threshold:.4g}"
        parts.append(_text(x + (-6 if right else 6), 20, label, class_="head", text_anchor="end" if right else "start"))
    else:
        label = f"threshold {seen.threshold:.4g}, beyond this axis →"
        parts.append(_text(width - left, 20, label, class_="head", text_anchor="end"))
    return _svg(width, height, parts, "histogram of magnitudes")
