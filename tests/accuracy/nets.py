"""Small networks with weights, for the tests of this room."""

from __future__ import annotations

from array import array

import numpy as np

from fastpath.layers.common import Array
from spec.graph import Graph, Layer, float_weight


def weighted(
    kind: str, name: str, bottom: str, top: str, values: Array, bias: Array | None = None, **params: int
) -> Layer:
    """A convolution or InnerProduct layer."""
    layer = Layer(kind, name, [bottom], [top])
    for key, value in params.items():
        layer.set(key, value)
    layer.set("weight_data_size", values.size)
    layer.weights["weight_data"] = float_weight(
        "weight_data", array("f", values.astype(np.float32).tobytes()), "tagged"
    )
    if bias is not None:
        layer.set("bias_term", 1)
        layer.weights["bias_data"] = float_weight("bias_data", array("f", bias.astype(np.float32).tobytes()), "raw")
    return layer


def branching() -> Graph:
    """data -> conv a -> Split -> convs b and c -> Concat -> InnerProduct of 4 classes."""
    rng = np.random.default_rng(7)
    split = Layer("Split", "split", ["a"], ["a0", "a1"])
    join = Layer("Concat", "join", ["b", "c"], ["bc"])
    return Graph(
        [
            Layer("Input", "data", [], ["data"]),
            weighted("Convolution", "first", "data", "a", rng.normal(size=(6, 2, 3, 3)), num_output=6, kernel_w=3),
            split,
            weighted("Convolution", "left", "a0", "b", rng.normal(size=(4, 6)), num_output=4, kernel_w=1),
            weighted("Convolution", "right", "a1", "c", rng.normal(size=(4, 6)), num_output=4, kernel_w=1),
            join,
            weighted("InnerProduct", "classes", "bc", "out", rng.normal(size=(4, 8 * 36)), num_output=4),
        ]
    )


def blobs(count: int, shape: tuple[int, ...] = (2, 8, 8), seed: int = 1) -> list[Array]:
    """Samples of normal values."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for _ in range(count)]
