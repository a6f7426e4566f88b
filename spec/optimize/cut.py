"""Cutting a piece out of a network, by the names of its first and last layer.

The passes run on the whole network; the cut is made afterwards. A named layer that was fused away still marks its
place.

Follows: ncnn tools/ncnnoptimize.cpp, tools/modelwriter.h @ a4d2ea1d.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spec.errors import UsageError
from spec.formats.param import format_param
from spec.graph import Graph, Layer, ncnn_extents


@dataclass(frozen=True)
class Cut:
    """The names of the layers that stay."""

    names: frozenset[str]


def find_cut(
    graph: Graph, start: str | None, end: str | None, *, upstream: bool = False, report: Callable[[str], None]
) -> Cut:
    """Where to cut a network that no pass has changed yet. UsageError for a name that no layer has.

    ncnn's tool cannot name the first layer; nor can this one in the upstream mode.
    """
    names = [layer.name for layer in graph]
    first = 0 if start is None else _position(names, "cutstart", start, upstream, report)
    last = len(names) - 1 if end is None else _position(names, "cutend", end, upstream, report)
    if first > last:
        raise UsageError(f"cutend layer {end} stands before cutstart layer {start}")
    return Cut(frozenset(names[first : last + 1]))


def _position(names: list[str], what: str, name: str, upstream: bool, report: Callable[[str], None]) -> int:
    if name not in names or (upstream and names.index(name) == 0):
        report(f"find_layer_index_by_name {name} failed")
        raise UsageError(f"not find target {what} layer {name}")
    report(f"{what} layer {names.index(name)}:{name}")
    return names.index(name)


def cut_graph(graph: Graph, cut: Cut, *, upstream: bool = False) -> Graph:
    """The piece of an optimized network that stays.

    Blobs that nobody makes any more become Inputs, with their shapes where these are known. In the upstream mode they
    do not, and a runtime has to feed them by name.
    """
    piece = Graph([layer for layer in graph if layer.name in cut.names], graph.file)
    piece.null_weights = graph.null_weights
    if not upstream:
        made = piece.producers()
        missing = dict.fromkeys(blob for layer in piece for blob in layer.bottoms if blob not in made)
        piece.layers[:0] = [_input(graph, blob) for blob in missing]
    return piece


def format_cut_as_upstream(graph: Graph, piece: Graph) -> str:
    """The param text that ncnn's tool writes for a piece of `graph`: its header counts the whole network."""
    magic, _, lines = format_param(piece, upstream=True).split("\n", 2)
    return "\n".join((magic, f"{len(graph.layers)} {len(graph.blob_names())}", lines))


def _input(graph: Graph, blob: str) -> Layer:
    shape = graph.blob_shapes().get(blob)
    layer = Layer("Input", blob, [], [blob], hints=[shape])
    if shape is not None:
        _, w, h, d, c = ncnn_extents(shape)
        extents = {1: {"w": w}, 2: {"w": w, "h": h}, 3: {"w": w, "h": h, "c": c}, 4: {"w": w, "h": h, "d": d, "c": c}}
        for name, extent in extents[len(shape)].items():
            layer.set(name, extent)
    return layer
