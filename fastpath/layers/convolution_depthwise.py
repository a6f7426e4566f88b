"""ConvolutionDepthWise: depthwise and grouped convolution.

int8 layers equal the spec bit for bit. Float layers with one input and one output channel a group sum in binary64 and
round once, so they hold the same bits on every machine; other float layers sum in the order that BLAS prefers.
"""

from __future__ import annotations

from fastpath.layers.common import Array, Operator, Prepare, fault, only_bottom
from fastpath.layers.convolution import prepare_dynamic, prepare_static
from spec.graph import Layer

INT8_TERMS = (1, 2, 101, 102)
"""1 and 101: one weight scale a group. 2 and 102: one for all. Above 100 the output is int8."""


def prepare_convolution_depthwise(layer: Layer) -> Operator:
    """ConvolutionDepthWise: (C, H, W) to (num_output, out_h, out_w); output channels read their group's channels only.

    Follows: ncnn src/layer/convolutiondepthwise.cpp @ a4d2ea1d.
    """
    group, num_output = layer.get.integer("group"), layer.get.integer("num_output")
    if group < 1 or num_output % group:
        raise fault(layer, f"has num_output {num_output}, which is no multiple of group {group}")
    if layer.get.integer("dynamic_weight"):
        return prepare_dynamic(layer, group)
    term = layer.get.integer("int8_scale_term")
    if term and term not in INT8_TERMS:
        raise fault(layer, f"has int8_scale_term {term}, but only 0, 1, 2, 101 and 102 exist")
    convolution = prepare_static(layer, group, group if term in (1, 101) else 1)

    def operator(bottoms: list[Array]) -> list[Array]:
        return [convolution(only_bottom(layer, bottoms))]

    return operator


PREPARE: dict[str, Prepare] = {"ConvolutionDepthWise": prepare_convolution_depthwise}
