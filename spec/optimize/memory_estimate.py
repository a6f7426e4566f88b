"""How much memory the blobs of a network need.

ncnn's tool runs the network and counts what its allocator gives out, which depends on the processor. This estimate
runs nothing: blobs are float32, a blob lives from its layer until its last reader has run, a Split shares its bottom,
and the largest sum of living blobs is the footprint. Weights and workspaces are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from spec.graph import Graph
from spec.optimize.shape_inference import input_shape

BYTES_PER_ELEMENT = 4


def memory_footprint(graph: Graph) -> int:
    """The largest number of bytes that blobs of known shape occupy at one time."""
    shapes = graph.blob_shapes()
    storage: dict[str, str] = {}
    readers: dict[str, int] = {}
    for layer in graph:
        for blob in layer.bottoms:
            owner = storage.get(blob, blob)
            readers[owner] = readers.get(owner, 0) + 1
        for blob in layer.tops:
            storage[blob] = storage.get(layer.bottoms[0], layer.bottoms[0]) if layer.type == "Split" else blob
    living: dict[str, int] = {}
    peak = 0
    for layer in graph:
        for blob in layer.tops:
            if storage[blob] == blob and blob in shapes:
                living[blob] = math.prod(shapes[blob]) * BYTES_PER_ELEMENT
        peak = max(peak, sum(living.values()))
        for blob in layer.bottoms:
            owner = storage.get(blob, blob)
            readers[owner] -= 1
            if readers[owner] == 0:
                living.pop(owner, None)
    return peak


def report_memory(graph: Graph, outputs: Sequence[str], *, report: Callable[[str], None]) -> None:
    """Log inputs, outputs and the estimate, in upstream's form. `outputs` are the blobs to extract."""
    if any(layer.layer_type is None for layer in graph):
        report("model has custom layer, estimate_memory_footprint skipped")
        return
    for layer in graph:
        if layer.type != "Input":
            continue
        if input_shape(layer) is None:
            report(f"Input layer {layer.name} without shape info, estimate_memory_footprint skipped")
            return
        report(f"input = {layer.tops[0]}")
    for name in outputs:
        report(f"extract = {name}")
    size = memory_footprint(graph)
    report(f"estimated memory footprint = {size / 1024:.2f} KB = {size / 1024 / 1024:.2f} MB")
