"""A network as this room sees it: who quantizes which blob, what a layer costs, and how to run parts of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from fastpath.calibration.weight_scales import CONVOLUTION_TYPES, STATIC_TYPES
from fastpath.layers import PREPARE
from fastpath.layers.common import Array, Operator
from fastpath.net import Net
from spec.graph import Graph, Layer, Shape

Blobs = dict[str, Array]
"""Blobs by name."""

INT8_OUTPUT_TERM = 100
"""An int8_scale_term above this means int8 output."""


class Engine(Protocol):
    """A loaded network, of any implementation."""

    def input_names(self) -> list[str]:
        """Names of the input blobs."""

    def output_names(self) -> list[str]:
        """Names of the output blobs."""

    def run(self, feeds: Mapping[str, Array], wanted: Sequence[str]) -> Blobs:
        """Feed blobs by name and extract others; int8 codes come as float32 of the same numbers."""


class FastEngine:
    """A graph on the fast path."""

    def __init__(self, graph: Graph) -> None:
        self._net = Net.from_graph(graph)

    def input_names(self) -> list[str]:
        """Names of the input blobs."""
        return self._net.input_names()

    def output_names(self) -> list[str]:
        """Names of the output blobs."""
        return self._net.output_names()

    def run(self, feeds: Mapping[str, Array], wanted: Sequence[str]) -> Blobs:
        """Feed blobs by name and extract others."""
        with self._net.create_extractor() as extractor:
            extractor.set_light_mode(len(wanted) == 1)
            for name, data in feeds.items():
                extractor.input(name, data)
            return {name: extractor.extract(name)[1] for name in wanted}


def operators(graph: Graph) -> list[Operator]:
    """Each layer of the graph, prepared to run by itself. Layers of unknown types raise UnsupportedError in Net."""
    return [PREPARE[layer.type](layer) for layer in graph]


def is_int8(layer: Layer) -> bool:
    """Whether a layer computes with int8 codes."""
    if layer.type in (*CONVOLUTION_TYPES, "Embed", "RNN", "LSTM", "GRU", "SDPA"):
        return layer.get.integer("int8_scale_term") != 0
    if layer.type in ("Gemm", "MultiHeadAttention"):
        return layer.get.integer("quantize_term") != 0
    return False


def quantizable(graph: Graph) -> list[Layer]:
    """The float layers for which a table decides whether they become int8."""
    return [
        layer
        for layer in graph
        if layer.type in STATIC_TYPES
        or (
            layer.type in CONVOLUTION_TYPES
            and (layer.type == "InnerProduct" or not layer.get.integer("dynamic_weight"))
        )
    ]


def split_sources(graph: Graph) -> dict[str, str]:
    """For each blob the one that it is a copy of: Split layers looked through."""
    sources: dict[str, str] = {}
    for layer in graph:
        for top in layer.tops:
            origin = layer.bottoms[0] if layer.type == "Split" else top
            sources[top] = sources.get(origin, origin)
    return sources


def code_scales(graph: Graph) -> dict[str, float]:
    """The scale of each blob that holds int8 codes: made by an int8 convolution, or by a Split behind one."""
    scales: dict[str, float] = {}
    for layer in graph:
        if layer.type in CONVOLUTION_TYPES and layer.get.integer("int8_scale_term") > INT8_OUTPUT_TERM:
            scales[layer.tops[0]] = layer.weight("top_blob_int8_scales").floats()[0]
        elif layer.type == "Quantize":
            values = layer.weight("scale_data").floats()
            if len(values) == 1:
                scales[layer.tops[0]] = values[0]
        elif layer.type == "Split" and layer.bottoms[0] in scales:
            scales.update(dict.fromkeys(layer.tops, scales[layer.bottoms[0]]))
    return scales


def dequantized(blob: Array, scale: float | None) -> Array:
    """A blob of codes as numbers; any other blob as it is."""
    return blob if scale is None else np.asarray(blob, np.float32) / np.float32(scale)


def blob_shapes(blobs: Mapping[str, Array]) -> dict[str, Shape]:
    """The shapes of blobs."""
    return {name: blob.shape for name, blob in blobs.items()}
