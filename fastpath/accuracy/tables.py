"""Tables that this room writes: the scales of a choice, and layers switched off so that every reader sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from fastpath.calibration.weight_scales import STATIC_TYPES, Row
from fastpath.quantization import quantize_model
from spec.formats.table import format_table, parse_table
from spec.graph import Graph, Layer


def as_written(scale: float) -> float:
    """The scale that a table gives back: six decimals, read as binary32."""
    return float(np.float32(f"{scale:f}"))


def table_text(rows: Sequence[Row], floats: Collection[str]) -> str:
    """A table with the rows of the layers `floats` commented out, the activation rows too.

    A reader that skips comments finds no rows for these layers. The real ncnn2int8 knows no comments and takes the rows
    for those of layers called `#NAME`, with the same effect: a layer without an activation row stays float.
    """
    text = []
    for key, scales in rows:
        line = format_table([(key, scales)])
        text.append(f"#{line}" if _owner(key) in floats else line)
    return "".join(text)


def _owner(key: str) -> str:
    name, separator, index = key.rpartition("_param_")
    return name if separator and index.isdigit() else key


def quantized(graph: Graph, table: str) -> Graph:
    """The int8 network that ncnn2int8 makes of a float one by the text of a table; `graph` stays as it is."""
    result = copied(graph)
    quantize_model(result, parse_table(table, "the table"))
    return result


def copied(graph: Graph) -> Graph:
    """A graph whose layers can be changed; weight records are shared."""
    return replace(graph, layers=[copied_layer(layer) for layer in graph])


def copied_layer(layer: Layer) -> Layer:
    """A layer whose parameters and set of records can be changed."""
    return replace(layer, params=dict(layer.params), weights=dict(layer.weights))


def later_of_type(graph: Graph, layer: Layer) -> list[str]:
    """The layers that stay float if this one does: where weight rows alone decide, all later ones of the type.

    The real ncnn2int8 ends its pass over a type where a weight row is missing.
    """
    if layer.type not in STATIC_TYPES:
        return [layer.name]
    names = [other.name for other in graph if other.type == layer.type]
    return names[names.index(layer.name) :]
