"""Networks for benchmarks: standard shapes, seeded random weights, int8 by scales that the network itself gives.

Nothing is downloaded: the shapes are those that the publications give, and every convolution is He-initialised, so
that activations keep their magnitude from layer to layer.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import fastpath
from fastpath.quantization import quantize_model
from spec.formats.table import Table
from spec.formats.weights import write_model
from spec.graph import Graph, Layer, float_weight, int8_weight

Floats = NDArray[np.float32]

IMAGE = (3, 224, 224)

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
BIAS_ROWS = {"RNN": 1, "LSTM": 4, "GRU": 4}

STEPS = 32
"""Time steps of the recurrent networks."""


class Builder:
    """Writes a network layer by layer; a blob is named after the layer that makes it."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.layers: list[Layer] = []
        self.channels: dict[str, int] = {}

    def add(
        self, type: str, bottoms: list[str], channels: int, tops: int = 1, **params: int | float | list[float]
    ) -> list[str]:
        """A layer without weights; returns its tops."""
        name = f"{type.lower()}{len(self.layers)}"
        names = [name] if tops == 1 else [f"{name}_{index}" for index in range(tops)]
        layer = Layer(type, name, bottoms, names)
        for key, value in params.items():
            layer.set(key, value)
        self.layers.append(layer)
        self.channels.update(dict.fromkeys(names, channels))
        return names

    def input(self) -> str:
        """The image."""
        return self.add("Input", [], IMAGE[0], w=IMAGE[2], h=IMAGE[1], c=IMAGE[0])[0]

    def convolution(
        self, bottom: str, num_output: int, kernel: int = 1, stride: int = 1, *, relu: bool = True, group: int = 1
    ) -> str:
        """A convolution with a border that keeps the size at stride 1, He-initialised."""
        inputs = self.channels[bottom] // group
        count = num_output * inputs * kernel * kernel
        type = "Convolution" if group == 1 else "ConvolutionDepthWise"
        pad = kernel // 2
        (top,) = self.add(type, [bottom], num_output, num_output=num_output, bias_term=1, weight_data_size=count)
        layer = self.layers[-1]
        values = {"kernel_w": kernel, "stride_w": stride, "pad_left": pad, "activation_type": int(relu)}
        for key, value in values.items():
            layer.set(key, value)
        if group > 1:
            layer.set("group", group)
        deviation = math.sqrt((2.0 if relu else 1.0) / (inputs * kernel * kernel))
        self._weights(layer, "weight_data", count, deviation)
        self._weights(layer, "bias_data", num_output, 0.05)
        return top

    def inner_product(self, bottom: str, num_output: int, inputs: int) -> str:
        """A fully connected layer."""
        count = num_output * inputs
        (top,) = self.add(
            "InnerProduct", [bottom], num_output, num_output=num_output, bias_term=1, weight_data_size=count
        )
        self._weights(self.layers[-1], "weight_data", count, math.sqrt(1.0 / inputs))
        self._weights(self.layers[-1], "bias_data", num_output, 0.05)
        return top

    def average(self, bottom: str) -> str:
        """Global average pooling."""
        return self.add("Pooling", [bottom], self.channels[bottom], pooling_type=1, global_pooling=1)[0]

    def max_pooling(self, bottom: str, kernel: int, stride: int) -> str:
        """Max pooling whose last windows may reach over the border."""
        return self.add("Pooling", [bottom], self.channels[bottom], kernel_w=kernel, stride_w=stride)[0]

    def _weights(self, layer: Layer, name: str, count: int, deviation: float) -> None:
        values = self.random.normal(0, deviation, count).astype(np.float32)
        kind = "tagged" if name == "weight_data" else "raw"
        layer.weights[name] = float_weight(name, array("f", values.tobytes()), "tagged" if kind == "tagged" else "raw")


def mobilenet_v1() -> Graph:
    """MobileNet-v1, width 1: a stem, thirteen depthwise separable blocks, a classifier."""
    build = Builder(1)
    blob = build.convolution(build.input(), 32, 3, 2)
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for num_output, stride in plan:
        blob = build.convolution(blob, build.channels[blob], 3, stride, group=build.channels[blob])
        blob = build.convolution(blob, num_output)
    build.add("Softmax", [build.inner_product(build.average(blob), 1000, 1024)], 1000)
    return Graph(build.layers)


def resnet_18() -> Graph:
    """ResNet-18: a stem, eight residual blocks of two 3 by 3 convolutions, a classifier."""
    build = Builder(2)
    blob = build.max_pooling(build.convolution(build.input(), 64, 7, 2), 3, 2)
    for num_output, first_stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first_stride, 1):
            left, right = build.add("Split", [blob], build.channels[blob], 2)
            if stride != 1 or build.channels[blob] != num_output:
                left = build.convolution(left, num_output, 1, stride, relu=False)
            right = build.convolution(build.convolution(right, num_output, 3, stride), num_output, 3, relu=False)
            (blob,) = build.add("Eltwise", [left, right], num_output, op_type=1)
            (blob,) = build.add("ReLU", [blob], num_output)
    build.add("Softmax", [build.inner_product(build.average(blob), 1000, 512)], 1000)
    return Graph(build.layers)


def squeezenet() -> Graph:
    """SqueezeNet v1.1: a stem, eight fire modules, a convolution as classifier."""
    build = Builder(3)
    blob = build.convolution(build.input(), 64, 3, 2)
    for number, (squeeze, expand) in enumerate([(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]):  # fmt: skip # noqa: E501
        if number in (0, 2, 4):
            blob = build.max_pooling(blob, 3, 2)
        left, right = build.add("Split", [build.convolution(blob, squeeze)], squeeze, 2)
        parts = [build.convolution(left, expand), build.convolution(right, expand, 3)]
        (blob,) = build.add("Concat", parts, 2 * expand)
    build.add("Softmax", [build.average(build.convolution(blob, 1000))], 1000)
    return Graph(build.layers)


NETWORKS: dict[str, Callable[[], Graph]] = {
    "mobilenet_v1": mobilenet_v1,
    "resnet_18": resnet_18,
    "squeezenet": squeezenet,
}
"""Networks from images to probabilities."""


def image() -> Floats:
    """An input for these networks."""
    return np.random.default_rng(0).normal(0, 1, IMAGE).astype(np.float32)


def quantized(graph: Graph) -> Graph:
    """The same network in int8: scales from the weights, and from the activations of one image."""
    table = Table()
    with fastpath.Net.from_graph(graph) as net, net.create_extractor() as extractor:
        extractor.set_light_mode(False)
        extractor.input(graph.input_names()[0], image())
        for layer in graph:
            if "weight_data" in layer.weights:
                weight = np.array(layer.weights["weight_data"].floats(), np.float32)
                rows = np.abs(weight.reshape(layer.get.integer("num_output"), -1)).max(axis=1)
                table.weight_scales[f"{layer.name}_param_0"] = (np.float32(127) / rows).tolist()
                _, blob = extractor.extract(layer.bottoms[0])
                table.bottom_scales[layer.name] = [float(np.float32(127) / np.abs(blob).max())]
    quantize_model(graph, table)
    return graph


def recurrent(kind: str, hidden: int, *, int8: bool) -> Graph:
    """A layer of kind RNN, LSTM or GRU whose inputs are as wide as its hidden state."""
    random = np.random.default_rng(hidden)
    rows = GATES[kind] * hidden
    layer = Layer(kind, "recurrent", ["x"], ["y"])
    layer.set("num_output", hidden)
    layer.set("weight_data_size", rows * hidden)

    def put(name: str, count: int) -> None:
        values = random.normal(0, 1 / math.sqrt(hidden), count).astype(np.float32)
        if int8 and name != "bias_c_data":
            scale = np.float32(127) / np.abs(values.reshape(rows, -1)).max(axis=1)
            codes = np.rint(values.reshape(rows, -1) * scale[:, np.newaxis]).astype(np.int8)
            layer.weights[name] = int8_weight(name, array("b", codes.tobytes()))
            scales[f"{name}_int8_scales"] = scale
        else:
            layer.weights[name] = float_weight(name, array("f", values.tobytes()), "tagged")

    scales: dict[str, Floats] = {}
    put("weight_xc_data", rows * hidden)
    put("bias_c_data", BIAS_ROWS[kind] * hidden)
    put("weight_hc_data", rows * hidden)
    for name, scale in scales.items():
        layer.weights[name] = float_weight(name, array("f", scale.tobytes()), "raw")
    if int8:
        layer.set("int8_scale_term", 2)
    source = Layer("Input", "x", [], ["x"])
    source.set("w", hidden)
    source.set("h", STEPS)
    return Graph([source, layer])


def sequence(hidden: int) -> Floats:
    """An input for `recurrent`."""
    return np.random.default_rng(1).normal(0, 1, (STEPS, hidden)).astype(np.float32)


def save(graph: Graph, folder: Path, name: str) -> tuple[Path, Path]:
    """Write a network; returns its two files."""
    param, model = folder / f"{name}.param", folder / f"{name}.bin"
    write_model(graph, param, model, fp16=False)
    return param, model
