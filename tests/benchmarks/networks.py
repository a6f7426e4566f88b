"""Networks for benchmarks: standard shapes, seeded random weights, int8 by scales that the network itself gives.

Nothing is downloaded: the shapes are those that the publications give, with batch normalization folded into the
convolutions. Each takes a divisor of its channels, for tests that want the same structure in small.
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
from tests.benchmarks.builder import Builder

Floats = NDArray[np.float32]

CLASSES = 1000

RESIDUAL_GAIN = 0.25
"""Branches of residual networks add little to what passes by them, so that sixteen of them do not blow up."""

OBJECT_CLASSES = 21
"""Those that an SSD detector of Pascal VOC knows, background included."""

FROM_BLOB = -233
"""An image size that PriorBox reads from its second bottom blob."""

SCORE_GAIN = 2.0
"""Scores of a detector differ more than the values of a classifier."""

BACKGROUND = 5.0
"""What a detector's bias gives to the background, so that it finds a few boxes only."""

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
BIAS_ROWS = {"RNN": 1, "LSTM": 4, "GRU": 4}

STEPS = 32
"""Time steps of the recurrent networks."""


def separable(build: Builder, blob: str, blocks: list[tuple[int, int]]) -> str:
    """Depthwise separable blocks (num_output, stride)."""
    for num_output, stride in blocks:
        blob = build.convolution(build.depthwise(blob, 3, stride), num_output)
    return blob


def mobilenet_v1(narrow: int = 1) -> Graph:
    """MobileNet-v1, width 1: a stem, thirteen depthwise separable blocks, a classifier."""
    build = Builder(1, 224, narrow)
    blob = build.convolution(build.image, 32, 3, 2)
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    blob = build.average(separable(build, blob, blocks))
    build.softmax(build.inner_product(blob, CLASSES, 1))
    return build.graph


def residual(build: Builder, left: str, right: str) -> str:
    """The sum of two branches, and a ReLU."""
    (blob,) = build.add("Eltwise", [left, right], build.channels[left], op_type=1)
    return build.add("ReLU", [blob], build.channels[blob])[0]


def resnet_18(narrow: int = 1) -> Graph:
    """ResNet-18: a stem, eight residual blocks of two 3 by 3 convolutions, a classifier."""
    build = Builder(2, 224, narrow)
    blob = build.max_pooling(build.convolution(build.image, 64, 7, 2), 3, 2)
    for num_output, first_stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first_stride, 1):
            left, right = build.split(blob, 2)
            if stride != 1:
                left = build.convolution(left, num_output, 1, stride, relu=False)
            right = build.convolution(right, num_output, 3, stride)
            right = build.convolution(right, num_output, 3, relu=False, gain=RESIDUAL_GAIN)
            blob = residual(build, left, right)
    build.softmax(build.inner_product(build.average(blob), CLASSES, 1))
    return build.graph


def resnet_50(narrow: int = 1) -> Graph:
    """ResNet-50: a stem, sixteen bottleneck blocks whose first 1 by 1 convolution has the stride, a classifier."""
    build = Builder(4, 224, narrow)
    blob = build.max_pooling(build.convolution(build.image, 64, 7, 2), 3, 2)
    for blocks, inner, first_stride in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)):
        for number in range(blocks):
            stride = 1 if number else first_stride
            left, right = build.split(blob, 2)
            if not number:
                left = build.convolution(left, 4 * inner, 1, stride, relu=False)
            right = build.convolution(build.convolution(right, inner, 1, stride), inner, 3)
            right = build.convolution(right, 4 * inner, relu=False, gain=RESIDUAL_GAIN)
            blob = residual(build, left, right)
    build.softmax(build.inner_product(build.average(blob), CLASSES, 1))
    return build.graph


def vgg_16(narrow: int = 1) -> Graph:
    """VGG-16: thirteen 3 by 3 convolutions, three fully connected layers."""
    build = Builder(5, 224, narrow)
    blob = build.image
    for count, num_output in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(count):
            blob = build.convolution(blob, num_output, 3)
        blob = build.max_pooling(blob, 2, 2)
    blob = build.inner_product(blob, 4096, 7 * 7, relu=True)
    blob = build.inner_product(blob, 4096, 1, relu=True)
    build.softmax(build.inner_product(blob, CLASSES, 1))
    return build.graph


def fire(build: Builder, bottom: str, squeeze: int, expand: int) -> str:
    """A fire module: a narrow 1 by 1 convolution, behind it a 1 by 1 and a 3 by 3 convolution side by side."""
    left, right = build.split(build.convolution(bottom, squeeze), 2)
    return build.concat([build.convolution(left, expand), build.convolution(right, expand, 3)])


FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
"""The fire modules of both SqueezeNets: channels squeezed to, and expanded to twice."""


def squeezenet(build: Builder, blob: str, pools: tuple[int, ...]) -> Graph:
    """Max pooling before the fire modules `pools`, and a convolution as classifier."""
    for number, (squeeze, expand) in enumerate(FIRES):
        if number in pools:
            blob = build.max_pooling(blob, 3, 2)
        blob = fire(build, blob, squeeze, expand)
    build.softmax(build.average(build.convolution(blob, CLASSES)))
    return build.graph


def squeezenet_v1_0(narrow: int = 1) -> Graph:
    """SqueezeNet v1.0, whose stem has 96 kernels of 7 by 7."""
    build = Builder(6, 227, narrow)
    return squeezenet(build, build.convolution(build.image, 96, 7, 2, pad=0), (0, 3, 7))


def squeezenet_v1_1(narrow: int = 1) -> Graph:
    """SqueezeNet v1.1, whose stem has 64 kernels of 3 by 3, and which pools earlier."""
    build = Builder(3, 227, narrow)
    return squeezenet(build, build.convolution(build.image, 64, 3, 2, pad=0), (0, 2, 4))


INCEPTIONS = (
    (64, (96, 128), (16, 32), 32),
    (128, (128, 192), (32, 96), 64),
    (192, (96, 208), (16, 48), 64),
    (160, (112, 224), (24, 64), 64),
    (128, (128, 256), (24, 64), 64),
    (112, (144, 288), (32, 64), 64),
    (256, (160, 320), (32, 128), 128),
    (256, (160, 320), (32, 128), 128),
    (384, (192, 384), (48, 128), 128),
)
"""GoogLeNet's modules 3a to 5b: 1 by 1; 1 by 1 before 3 by 3; 1 by 1 before 5 by 5; 1 by 1 behind max pooling."""

POOLED_INCEPTIONS = (2, 7)
"""Modules with max pooling before them."""


def inception(build: Builder, blob: str, module: tuple[int, tuple[int, int], tuple[int, int], int]) -> str:
    """Four branches side by side."""
    single, triple, quintuple, pooled = module
    first, second, third, fourth = build.split(blob, 4)
    parts = [
        build.convolution(first, single),
        build.convolution(build.convolution(second, triple[0]), triple[1], 3),
        build.convolution(build.convolution(third, quintuple[0]), quintuple[1], 5),
        build.convolution(build.max_pooling(fourth, 3, 1, pad=1), pooled),
    ]
    return build.concat(parts)


def googlenet(narrow: int = 1) -> Graph:
    """GoogLeNet: a stem with local response normalization, nine inception modules, a classifier."""
    build = Builder(7, 224, narrow)

    def normalized(blob: str) -> str:
        return build.add("LRN", [blob], build.channels[blob], local_size=5, alpha=1e-4, beta=0.75)[0]

    blob = normalized(build.max_pooling(build.convolution(build.image, 64, 7, 2), 3, 2))
    blob = normalized(build.convolution(build.convolution(blob, 64), 192, 3))
    blob = build.max_pooling(blob, 3, 2)
    for number, module in enumerate(INCEPTIONS):
        if number in POOLED_INCEPTIONS:
            blob = build.max_pooling(blob, 3, 2)
        blob = inception(build, blob, module)
    (blob,) = build.add("Pooling", [blob], build.channels[blob], pooling_type=1, kernel_w=7)
    build.softmax(build.inner_product(blob, CLASSES, 1))
    return build.graph


PRIOR_SIZES = ((60.0, 0.0), (105.0, 150.0), (150.0, 195.0), (195.0, 240.0), (240.0, 285.0), (285.0, 300.0))
"""The smallest and the largest box of each of the six feature maps of MobileNet-SSD; 0 for no largest."""


def mobilenet_ssd(narrow: int = 1) -> Graph:
    """MobileNet-SSD for 300 by 300 images: MobileNet-v1, four more scales, boxes from six feature maps."""
    build = Builder(8, 300, narrow)
    image, blob = build.split(build.image, 2)
    images = build.split(image, len(PRIOR_SIZES))
    blob = build.convolution(blob, 32, 3, 2)
    blob = separable(build, blob, [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5])
    *sources, blob = build.split(blob, 4)
    maps = [sources]
    blob = separable(build, blob, [(1024, 2), (1024, 1)])
    for squeezed, num_output in ((256, 512), (128, 256), (128, 256), (64, 128)):
        *sources, blob = build.split(blob, 4)
        maps.append(sources)
        blob = build.convolution(build.convolution(blob, squeezed), num_output, 3, 2)
    maps.append(build.split(blob, 3))
    locations, scores, priors = [], [], []
    for sources, whole, (smallest, largest) in zip(maps, images, PRIOR_SIZES, strict=True):
        boxes = 6 if largest else 3
        locations.append(flat(build, build.convolution(sources[0], 4 * boxes, relu=False, exact=True)))
        score = build.convolution(sources[1], OBJECT_CLASSES * boxes, relu=False, gain=SCORE_GAIN, exact=True)
        build.raise_bias(score, 0, OBJECT_CLASSES, BACKGROUND)
        scores.append(flat(build, score))
        (prior,) = build.add("PriorBox", [sources[2], whole], 1, min_sizes=[smallest], aspect_ratios=[2.0], offset=0.5)
        box = build.layers[-1]
        box.set("image_width", FROM_BLOB)
        box.set("image_height", FROM_BLOB)
        if largest:
            box.set("max_sizes", [largest])
            box.set("aspect_ratios", [2.0, 3.0])
        priors.append(prior)
    (probabilities,) = build.add("Reshape", [build.concat(scores)], 1, w=OBJECT_CLASSES, h=-1)
    (probabilities,) = build.add("Softmax", [probabilities], 1, axis=1, fixbug0=1)
    (probabilities,) = build.add("Flatten", [probabilities], 1)
    (prior,) = build.add("Concat", priors, 1, axis=1)
    build.add(
        "DetectionOutput", [build.concat(locations), probabilities, prior], 1, num_class=OBJECT_CLASSES,
        nms_threshold=0.45, nms_top_k=100, keep_top_k=100, confidence_threshold=0.25,
    )  # fmt: skip
    return build.graph


def flat(build: Builder, bottom: str) -> str:
    """What a detection head gives, pixel after pixel, as one vector."""
    (blob,) = build.add("Permute", [bottom], build.channels[bottom], order_type=3)
    return build.add("Flatten", [blob], build.channels[blob])[0]


NETWORKS: dict[str, Callable[[int], Graph]] = {
    "mobilenet_v1": mobilenet_v1,
    "resnet_18": resnet_18,
    "resnet_50": resnet_50,
    "vgg_16": vgg_16,
    "squeezenet_v1_0": squeezenet_v1_0,
    "squeezenet_v1_1": squeezenet_v1_1,
    "googlenet": googlenet,
    "mobilenet_ssd": mobilenet_ssd,
}
"""Networks from images to probabilities or boxes, by a divisor of their channels."""


def image(graph: Graph) -> Floats:
    """An input for such a network."""
    (source,) = (layer for layer in graph if layer.type == "Input")
    shape = tuple(source.get.integer(name) for name in ("c", "h", "w"))
    return np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)


def quantized(graph: Graph) -> Graph:
    """The same network in int8: scales from the weights, and from the activations of one image."""
    table = Table()
    with fastpath.Net.from_graph(graph) as net, net.create_extractor() as extractor:
        extractor.set_light_mode(False)
        extractor.input(graph.input_names()[0], image(graph))
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
