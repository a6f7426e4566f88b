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


@dataclass
class Pair:
    """One input through the same network, here and there; `tolerance` is relative to the largest output."""

    ours: Callable[[], Floats]
    theirs: Callable[[], Floats]
    tolerance: float


def _float(name: str) -> Callable[[], tuple[Graph, Floats]]:
    return lambda: (networks.NETWORKS[name](), networks.image())


def _int8(name: str) -> Callable[[], tuple[Graph, Floats]]:
    return lambda: (networks.quantized(networks.NETWORKS[name]()), networks.image())


def _recurrent(kind: str, hidden: int) -> Callable[[], tuple[Graph, Floats]]:
    return lambda: (networks.recurrent(kind, hidden, int8=True), networks.sequence(hidden))


PAIRS: dict[str, Callable[[], tuple[Graph, Floats]]] = {
    **{f"float/{name}": _float(name) for name in networks.NETWORKS},
    **{f"int8/{name}": _int8(name) for name in networks.NETWORKS},
    **{f"recurrent/{kind}-{hidden}": _recurrent(kind, hidden) for kind in networks.GATES for hidden in (128, 512)},
}
"""What is measured: group/name, and what makes the network and its input."""


def make_pair(name: str, folder: Path) -> Pair:
    """Write the network `name` into a folder and load it twice. The wheel keeps its binary16 shortcuts for int8."""
    import ncnn

    graph, data = PAIRS[name]()
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
    source, target = net.input_names()[0], net.output_names()[0]
    mat = ncnn.Mat(data).clone()

    def ours() -> Floats:
        with net.create_extractor() as extractor:
            extractor.input(source, data)
            return np.asarray(extractor.extract(target)[1], np.float32)

    def theirs() -> Floats:
        extractor = wheel.create_extractor()
        extractor.input(source, mat)
        return np.array(extractor.extract(target)[1])

    return Pair(ours, theirs, FLOAT_TOLERANCE if is_float else INT8_TOLERANCE)
