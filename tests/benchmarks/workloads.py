"""Workloads, and a network loaded into the fast path and into the real runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastpath
from fastpath.profile import layer_costs
from spec.formats.weights import read_model
from spec.graph import Graph
from tests.benchmarks import networks
from tests.models import model_folder, optimized_files

Floats = NDArray[np.float32]

FLOAT_TOLERANCE = 1e-4
"""Float networks: other orders of summation, through up to 60 layers."""

INT8_TOLERANCE = 0.2
"""int8 networks: the wheel fuses multiplications and additions, so codes beside a tie differ by one and spread."""

TRAINED_TOLERANCE = 0.3
"""Deep int8 networks with trained weights: depthwise layers of the wheel take an approximate reciprocal besides."""

TOLERANCES = {"float": FLOAT_TOLERANCE, "shared": TRAINED_TOLERANCE}
"""By group, where it is another than `INT8_TOLERANCE`."""

FLOAT_NETWORKS = ("mobilenet_v1", "resnet_18", "squeezenet_v1_1")
"""Those that are measured in float, too."""

SHARED_NETWORKS = ("fastestdet", "rfb320", "realesr-animevideov3-x2")
"""Networks of the shared corpus: shuffled channels, many small layers, and large blobs."""

SMALL = 8
"""What tests divide the channels of a network by."""


@dataclass
class Workload:
    """A network in two files, and its input."""

    param: Path
    model: Path
    source: str
    data: Floats
    target: str
    judged: str
    """The blob that is compared: the output, or for a detector the scores that it chooses boxes by."""
    tolerance: float
    """Of differences to the real runtime, relative to the largest number compared."""
    is_float: bool
    exact: bool
    """Whether all implementations of ours give the same bits: there is no float matrix product."""
    macs: int


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


def _stored(name: str) -> Case:
    """A network as it is, of this repository or of the shared corpus; skips where that is not here."""

    def make(narrow: int) -> tuple[Graph, Floats]:
        folder = model_folder(name)
        graph = read_model(folder / "int8-kl.param", folder / "int8-kl.bin")
        return graph, np.load(folder / f"input-0-{graph.input_names()[0]}.npy")

    return make


def _optimized(name: str) -> Case:
    """The float model of a stored network, as it was before quantization."""

    def make(narrow: int) -> tuple[Graph, Floats]:
        folder = model_folder(name)
        graph = read_model(*optimized_files(folder))
        return graph, np.load(folder / f"input-0-{graph.input_names()[0]}.npy")

    return make


def _recurrent(kind: str, hidden: int) -> Case:
    return lambda narrow: (networks.recurrent(kind, hidden, int8=True), networks.sequence(hidden))


WORKLOADS: dict[str, Case] = {
    **{f"float/{name}": _float(name) for name in FLOAT_NETWORKS},
    "float/rfb320": _optimized("rfb320"),
    **{f"int8/{name}": _int8(name) for name in networks.NETWORKS},
    **{f"shared/{name}": _stored(name) for name in SHARED_NETWORKS},
    **{f"recurrent/{kind}-{hidden}": _recurrent(kind, hidden) for kind in networks.GATES for hidden in (128, 512)},
}
"""What is measured: group/name, and what makes the network and its input."""


TINY: dict[str, Case] = {f"tiny/{name}": _stored(name) for name in ("digits-cnn", "digits-lstm", "digits-gru64")}
"""What even the spec runs in a moment; it has no floors."""


def compared_blob(graph: Graph) -> str:
    """The output; for a detector what its Softmax gives, because boxes come and go with a small change of a score."""
    detects = any(layer.type == "DetectionOutput" for layer in graph)
    scores = [layer.tops[0] for layer in graph if layer.type == "Softmax"]
    return scores[0] if detects else graph.output_names()[0]


def products(graph: Graph, source: str, data: Floats) -> int:
    """The multiplications of one inference."""
    with fastpath.Net.from_graph(graph) as net, net.create_extractor() as extractor:
        extractor.set_light_mode(False)
        extractor.input(source, data)
        shapes = {top: extractor.extract(top, copy=False)[1].shape for layer in graph for top in layer.tops}
    return sum(layer_costs(graph, shapes).values())


def has_float_products(graph: Graph) -> bool:
    """Whether a layer with weights stays float: BLAS adds its products in an order of its own."""
    return any(
        weight.name.startswith("weight") and weight.dtype != "int8" and not weight.name.endswith("scales")
        for layer in graph
        for weight in layer.weights.values()
    )


def make_workload(name: str, folder: Path, narrow: int = 1) -> Workload:
    """Write the network `name` into a folder."""
    graph, data = (WORKLOADS | TINY)[name](narrow)
    source, exact = graph.input_names()[0], not has_float_products(graph)
    macs = products(graph, source, data)
    param, model = networks.save(graph, folder, "net")
    is_float = name.startswith("float/")
    tolerance = TOLERANCES.get(name.partition("/")[0], INT8_TOLERANCE)
    return Workload(
        param, model, source, data, graph.output_names()[0], compared_blob(graph), tolerance, is_float, exact, macs
    )


def fastpath_net(work: Workload) -> fastpath.Net:
    """A workload in the fast path."""
    net = fastpath.Net()
    net.load_param(work.param)
    net.load_model(work.model)
    return net


def wheel_net(work: Workload, threads: int) -> Any:
    """A workload in the real runtime, as fast as it can be: only float networks do without its binary16 shortcuts."""
    import ncnn

    net: Any = ncnn.Net()
    net.opt.num_threads = threads
    if work.is_float:
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.load_param(str(work.param))
    net.load_model(str(work.model))
    return net
