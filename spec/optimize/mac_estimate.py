"""How many multiply-accumulate operations a network takes, by ncnn's count.

Only layers with weights and known shapes count. (w, h, d, c) are a blob's extents, in and out.

Follows: ncnn tools/modelwriter.h @ a4d2ea1d.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from spec.graph import Layer, Shape, ncnn_extents

_FORWARD = ("Convolution", "Convolution3D", "ConvolutionDepthWise", "ConvolutionDepthWise3D")
_BACKWARD = (
    *("Deconvolution", "Deconvolution3D", "DeconvolutionDepthWise", "DeconvolutionDepthWise3D"),
    "DeformableConv2D",
)
_ONE_DIM = (*("Convolution1D", "ConvolutionDepthWise1D", "Deconvolution1D", "DeconvolutionDepthWise1D"),)


def mac_count(layers: Iterable[Layer], shapes: Mapping[str, Shape]) -> int:
    """The operations of all layers, of those all of whose tops have a known shape."""
    return sum(
        layer_mac_count(layer, shapes.get(layer.bottoms[0]), shapes[layer.tops[0]])
        for layer in layers
        if layer.bottoms and layer.tops and all(top in shapes for top in layer.tops)
    )


def layer_mac_count(layer: Layer, bottom: Shape | None, top: Shape) -> int:
    """The operations of one layer; 0 for types that are not counted, and for a bottom of unknown shape."""
    if bottom is None:
        return 0
    _, in_w, in_h, in_d, in_c = ncnn_extents(bottom)
    _, out_w, out_h, out_d, out_c = ncnn_extents(top)
    if layer.type == "InnerProduct":
        return in_w * in_h * in_c * out_w
    if layer.type in _ONE_DIM:
        moving = in_w if layer.type.startswith("Deconvolution") else out_w
        return layer.get.integer("kernel_w") * moving * _channel_pairs(layer, out_h, in_h)
    if layer.type in _FORWARD:
        return _kernel_size(layer) * out_w * out_h * out_d * _channel_pairs(layer, out_c, in_c)
    if layer.type in _BACKWARD:
        return _kernel_size(layer) * in_w * in_h * in_d * _channel_pairs(layer, out_c, in_c)
    return 0


def mac_line(count: int) -> str:
    """The log line."""
    return f"mac = {count} = {count / 1e6:.2f} M"


def _kernel_size(layer: Layer) -> int:
    get = layer.get
    return math.prod(get.integer(name) for name in ("kernel_w", "kernel_h", "kernel_d") if name in get)


def _channel_pairs(layer: Layer, outputs: int, inputs: int) -> int:
    get = layer.get
    group = get.integer("group") if "group" in get else 1
    return (outputs // group) * (inputs // group) * group
