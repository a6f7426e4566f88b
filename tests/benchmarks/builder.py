"""Writes networks for benchmarks layer by layer, with seeded random weights.

Every convolution is He-initialised, so that activations keep their magnitude from layer to layer.
"""

from __future__ import annotations

import math
from array import array

import numpy as np

from spec.graph import Graph, Layer, float_weight

RGB = 3

FEWEST = 8
"""Channels that a narrowed layer keeps at least."""


class Builder:
    """A network in the making; a blob is named after the layer that makes it.

    `narrow` divides the output channels of every layer that does not want to be exact: the same network in small.
    """

    def __init__(self, seed: int, size: int, narrow: int = 1) -> None:
        """The first layer is the input: an RGB image of `size` by `size` pixels."""
        self.random = np.random.default_rng(seed)
        self.narrow = narrow
        self.layers: list[Layer] = []
        self.channels: dict[str, int] = {}
        (self.image,) = self.add("Input", [], RGB, w=size, h=size, c=RGB)

    @property
    def graph(self) -> Graph:
        """The network as it is now."""
        return Graph(self.layers)

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

    def convolution(
        self,
        bottom: str,
        num_output: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        pad: int | None = None,
        relu: bool = True,
        gain: float = 1.0,
        exact: bool = False,
    ) -> str:
        """A convolution, with a border that keeps the size at stride 1 unless told; weights `gain` times He's."""
        inputs = self.channels[bottom]
        count = num_output if exact else self._narrowed(num_output)
        return self._convolution("Convolution", bottom, count, inputs, kernel, stride, pad, relu, gain)

    def depthwise(self, bottom: str, kernel: int, stride: int = 1) -> str:
        """A depthwise convolution."""
        top = self._convolution(
            "ConvolutionDepthWise", bottom, self.channels[bottom], 1, kernel, stride, None, True, 1.0
        )
        self.layers[-1].set("group", self.channels[bottom])
        return top

    def _convolution(
        self,
        type: str,
        bottom: str,
        num_output: int,
        inputs: int,
        kernel: int,
        stride: int,
        pad: int | None,
        relu: bool,
        gain: float,
    ) -> str:
        count = num_output * inputs * kernel * kernel
        (top,) = self.add(type, [bottom], num_output, num_output=num_output, bias_term=1, weight_data_size=count)
        layer = self.layers[-1]
        border = kernel // 2 if pad is None else pad
        values = {"kernel_w": kernel, "stride_w": stride, "pad_left": border, "activation_type": int(relu)}
        for key, value in values.items():
            layer.set(key, value)
        deviation = gain * math.sqrt((2.0 if relu else 1.0) / (inputs * kernel * kernel))
        self._weights(layer, "weight_data", count, deviation)
        self._weights(layer, "bias_data", num_output, 0.05)
        return top

    def inner_product(self, bottom: str, num_output: int, inputs: int, *, relu: bool = False) -> str:
        """A fully connected layer; `inputs` are those of each channel of the bottom blob together."""
        outputs = self._narrowed(num_output)
        pixels = inputs * self.channels[bottom]
        (top,) = self.add(
            "InnerProduct", [bottom], outputs, num_output=outputs, bias_term=1, weight_data_size=outputs * pixels
        )
        self.layers[-1].set("activation_type", int(relu))
        self._weights(self.layers[-1], "weight_data", outputs * pixels, math.sqrt((2.0 if relu else 1.0) / pixels))
        self._weights(self.layers[-1], "bias_data", outputs, 0.05)
        return top

    def average(self, bottom: str) -> str:
        """Global average pooling."""
        return self.add("Pooling", [bottom], self.channels[bottom], pooling_type=1, global_pooling=1)[0]

    def max_pooling(self, bottom: str, kernel: int, stride: int, pad: int = 0) -> str:
        """Max pooling whose last windows may reach over the border."""
        channels = self.channels[bottom]
        return self.add("Pooling", [bottom], channels, kernel_w=kernel, stride_w=stride, pad_left=pad)[0]

    def split(self, bottom: str, count: int) -> list[str]:
        """The same blob under several names."""
        return self.add("Split", [bottom], self.channels[bottom], count)

    def concat(self, bottoms: list[str]) -> str:
        """The channels of several blobs after each other."""
        return self.add("Concat", bottoms, sum(self.channels[name] for name in bottoms))[0]

    def softmax(self, bottom: str) -> None:
        """Probabilities: the end of a classifier."""
        self.add("Softmax", [bottom], self.channels[bottom])

    def raise_bias(self, top: str, first: int, step: int, value: float) -> None:
        """Add to the biases of some output channels of the layer that makes a blob."""
        (layer,) = (layer for layer in self.layers if top in layer.tops)
        biases = np.array(layer.weight("bias_data").floats(), np.float32)
        biases[first::step] += np.float32(value)
        layer.weights["bias_data"] = float_weight("bias_data", array("f", biases.tobytes()), "raw")

    def _narrowed(self, num_output: int) -> int:
        return max(num_output // self.narrow, min(num_output, FEWEST))

    def _weights(self, layer: Layer, name: str, count: int, deviation: float) -> None:
        values = self.random.standard_normal(count, np.float32) * np.float32(deviation)
        layer.weights[name] = float_weight(
            name, array("f", values.tobytes()), "tagged" if name == "weight_data" else "raw"
        )
