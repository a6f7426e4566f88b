"""Passes 16 to 21: an activation layer becomes part of the layer that feeds it.

Follows: ncnn tools/ncnnoptimize.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from spec.graph import Layer
from spec.layer_table import ParamValue
from spec.optimize.rewriting import Rewriting

RELU, LEAKY_RELU, CLIP, SIGMOID, MISH, HARD_SWISH = range(1, 7)
"""Values of activation_type."""

OUTPUT_REQUANTIZED = 100
"""An int8_scale_term above this means that the layer's output is int8."""


def fuse_activation(net: Rewriting, layer: Layer, activation: Layer) -> None:
    """Set activation_type, and activation_params where the activation has arguments."""
    kind, arguments = activation_of(activation)
    layer.set("activation_type", kind)
    if arguments:
        layer.set("activation_params", arguments)


def activation_of(layer: Layer) -> tuple[int, list[float]]:
    """An activation layer as activation_type and activation_params."""
    get = layer.get
    if layer.type == "ReLU":
        slope = get.number("slope")
        return (LEAKY_RELU, [slope]) if slope != 0.0 else (RELU, [])
    if layer.type == "Clip":
        return CLIP, [get.number("min"), get.number("max")]
    if layer.type == "HardSwish":
        return HARD_SWISH, [get.number("alpha"), get.number("beta")]
    return {"Sigmoid": SIGMOID, "Mish": MISH}[layer.type], []


def requantized(net: Rewriting, layer: Layer, activation: Layer) -> str | None:
    """The layer's output is int8 already, and the activation would move before the rounding."""
    term = layer.params.get(8, 0)
    return f"the output of {layer.name} is int8" if isinstance(term, int) and term > OUTPUT_REQUANTIZED else None


class LeakyPReLU:
    """Pass 16: a PReLU with one slope becomes a ReLU with that slope, with the same name and blobs."""

    name = "replace_prelu_with_leaky_relu"

    def run(self, net: Rewriting) -> None:
        """Go over the network once."""
        for position in net.positions_of(("PReLU",)):
            prelu = net.layers[position]
            if prelu.get.integer("num_slope") != 1:
                continue
            net.fired(self.name, prelu)
            slope: dict[int, ParamValue] = {0: net.floats(prelu, "slope_data")[0]}
            net.replace(position, Layer("ReLU", prelu.name, prelu.bottoms, prelu.tops, slope, prelu.hints))
