"""A network loaded into the fast path and into the real runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastpath
from spec.graph import Graph
from tests.benchmarks import networks

Floats = NDArray[np.float32]

FLOAT_TOLERANCE = 1e-4
"""Float networks: other orders of summation, through up to 60 layers."""

INT8_TOLERANCE = 0.2
"""int8 networks: the wheel fuses multiplications and additions, so codes beside a tie differ by one and spread."""

FLOAT_NETWORKS = ("mobilenet_v1", "resnet_18", "squeezenet_v1_1")
"""Those that are measured in float, too."""

SMALL = 8
"""What tests divide the channels of a network by."""


@dataclass
class Pair:
    """One input through the same network, here and there; `tolerance` is relative to the largest number compared."""

    ours: Callable[[], Floats]
    theirs: Callable[[], Floats]
    compared: Callable[[], tuple[Floats, Floats]]
    """What both compute for the same blob: the output, or for a detector the scores that it chooses boxes by."""
    tolerance: float


Case = Callable[[int], tuple[Graph, Floats]]
"""A network and its input, by a divisor of the channels."""


def _float(name: str) -> Case:
    def make(narrow: int) -> tuple[Graph, Floats]:
        graph = networks.NETWORKS[name](narrow)
        return graph, networks.image(graph)

    return make


def _int8(name: str) -> Case:
    def make(narrow: int) -> tuple[Graph, Floats]:
        graph = networks.quantized(networks.NETWORKS[name](narrow))
        return graph, networks.image(graph)

    return make


def _recurrent(kind: str, hidden: int) -> Case:
    return lambda narrow: (networks.recurrent(kind, hidden, int8=True), networks.sequence(hidden))


PAIRS: dict[str, Case] = {
    **{f"float/{name}": _float(name) for name in FLOAT_NETWORKS},
    **{f"int8/{name}": _int8(name) for name in networks.NETWORKS},
    **{f"recurrent/{kind}-{hidden}": _recurrent(kind, hidden) for kind in networks.GATES for hidden in (128, 512)},
}
"""What is measured: group/name, and what makes the network and its input."""


def compared_blob(graph: Graph) -> str:
    """The output; for a detector what its Softmax gives, because boxes come and go with a small change of a score."""
    detects = any(layer.type == "DetectionOutput" for layer in graph)
    scores = [layer.tops[0] for layer in graph if layer.type == "Softmax"]
    return scores[0] if detects else graph.output_names()[0]


def make_pair(name: str, folder: Path, narrow: int = 1) -> Pair:
    """Write the network `name` into a folder and load it twice. The wheel keeps its binary16 shortcuts for int8."""
    import ncnn

    graph, data = PAIRS[name](narrow)
    param, model = networks.save(graph, folder, "net")
    net = fastpath.Net()
    net.load_param(param)
    net.load_model(model)
    wheel: Any = ncnn.Net()
    wheel.opt.num_threads = 1
    is_float = name.startswith("float/")
    if is_float:
        wheel.opt.use_fp16_packed = wheel.opt.use_fp16_storage = wheel.opt.use_fp16_arithmetic = False
    wheel.load_param(str(param))
    wheel.load_model(str(model))
    source, target, compared = net.input_names()[0], net.output_names()[0], compared_blob(graph)
    mat = ncnn.Mat(data).clone()

    def ours(blob: str = target) -> Floats:
        with net.create_extractor() as extractor:
            extractor.input(source, data)
            return np.asarray(extractor.extract(blob)[1], np.float32)

    def theirs(blob: str = target) -> Floats:
        extractor = wheel.create_extractor()
        extractor.input(source, mat)
        found = extractor.extract(blob)[1]
        # A blob of no boxes has no memory that numpy could read.
        return np.zeros(0, np.float32) if found.empty() else np.array(found)

    tolerance = FLOAT_TOLERANCE if is_float else INT8_TOLERANCE
    return Pair(ours, theirs, lambda: (ours(compared), theirs(compared)), tolerance)
