"""Deconvolution and its depthwise and 1-D forms, in float32: one product for all places, then a sum a kernel tap.

The sums come in another order than the spec's, so last bits differ.
"""

from __future__ import annotations

import numpy as np

from fastpath.layers.activation import Activation
from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, floats, only_bottom, require_rank, weights
from fastpath.layers.epilogue import read_bias
from fastpath.layers.window import SAME_LOWER, SAME_UPPER
from spec.graph import Layer


def prepare_image(layer: Layer) -> Operator:
    """Deconvolution, DeconvolutionDepthWise: every input value, times the kernel, is added where its window lies.

    (channels, h, w) to (num_output, out_h, out_w): bias, sums, activation over the full output, then the cut.
    Follows: ncnn src/layer/deconvolution.cpp, deconvolutiondepthwise.cpp @ a4d2ea1d.
    """
    return _prepare(layer, ("h", "w"))


def prepare_rows(layer: Layer) -> Operator:
    """Deconvolution1D, DeconvolutionDepthWise1D: the same along the rows of a (channels, length) blob.

    Follows: ncnn src/layer/deconvolution1d.cpp, deconvolutiondepthwise1d.cpp @ a4d2ea1d.
    """
    return _prepare(layer, ("w",))


def _prepare(layer: Layer, axes: tuple[str, ...]) -> Operator:
    activation = Activation(layer)
    groups = layer.get.integer("group") if "DepthWise" in layer.type else 1
    dynamic = layer.get.integer("dynamic_weight") != 0
    for name in ["stride_w", "dilation_w"] + ([] if dynamic else ["num_output", "kernel_w"]):
        if layer.get.integer(name) < 1:
            raise fault(layer, f"has {name} {layer.get.integer(name)}, but needs at least 1")
    if groups < 1:
        raise fault(layer, f"has group {groups}, but needs at least 1")
    wanted = (3 if layer.get.integer("bias_term") else 2) if dynamic else 1

    def operands(bottoms: list[Array]) -> tuple[Floats, Floats | None]:
        """The weights as (groups, outputs a group, inputs a group, kernel...), and the bias."""
        if not dynamic:
            kernel = [layer.get.integer(f"kernel_{axis}") for axis in axes]
            num_output, count = layer.get.integer("num_output"), layer.get.integer("weight_data_size")
            if num_output % groups or count < 1 or count % (num_output * int(np.prod(kernel))):
                raise fault(layer, f"has {count} weights for {num_output} outputs in {groups} groups")
            packed = weights(layer, "weight_data", count).reshape(groups, num_output // groups, -1, *kernel)
            return packed, read_bias(layer)
        given = floats(layer, bottoms[1])
        require_rank(layer, given, 2 + len(axes))
        if given.shape[0] % groups:
            raise fault(layer, f"cannot divide {given.shape[0]} channels into {groups} groups")
        by_input = given.reshape(groups, given.shape[0] // groups, *given.shape[1:])
        return by_input.swapaxes(1, 2), floats(layer, bottoms[2]).reshape(-1) if wanted == 3 else None

    static = None if dynamic else operands([])

    def operator(bottoms: list[Array]) -> list[Array]:
        if len(bottoms) != wanted:
            raise fault(layer, f"takes {wanted} bottom blobs, not {len(bottoms)}")
        blob = floats(layer, bottoms[0])
        require_rank(layer, blob, 1 + len(axes))
        weight, bias = static or operands(bottoms)
        num_output = groups * weight.shape[1]
        if blob.shape[0] != groups * weight.shape[2] or (bias is not None and bias.size != num_output):
            raise fault(layer, f"has weights of shape {weight.shape}, which do not fit a bottom of shape {blob.shape}")
        full = _spread(layer, blob, weight, axes)
        if bias is not None:
            full += bias.reshape(-1, *(1,) * len(axes))
        activation(full)
        return [np.ascontiguousarray(full[(slice(None), *_cut(layer, full.shape[1:], axes))])]

    if not dynamic:
        return lambda bottoms: operator([only_bottom(layer, bottoms)])
    return operator


def _spread(layer: Layer, blob: Floats, weight: Floats, axes: tuple[str, ...]) -> Floats:
    """The full output without bias: for each tap, the products of all places, added at the tap's offset."""
    get = layer.get.integer
    groups, outputs, inputs = weight.shape[:3]
    kernel, extents = weight.shape[3:], blob.shape[1:]
    strides, dilations = [get(f"stride_{axis}") for axis in axes], [get(f"dilation_{axis}") for axis in axes]
    extra = [get("output_pad_bottom" if axis == "h" else "output_pad_right") for axis in axes]
    sizes = [
        (n - 1) * stride + dilation * (k - 1) + 1 + pad
        for n, stride, dilation, k, pad in zip(extents, strides, dilations, kernel, extra, strict=True)
    ]
    rows = weight.reshape(groups, outputs, inputs, -1).transpose(0, 3, 1, 2).reshape(groups, -1, inputs)
    products = np.matmul(np.ascontiguousarray(rows), blob.reshape(groups, inputs, -1))
    products = products.reshape(groups, -1, outputs, *extents)
    full = np.zeros((groups, outputs, *sizes), np.float32)
    for index, tap in enumerate(np.ndindex(*kernel)):
        window = tuple(
            slice(t * dilation, t * dilation + (n - 1) * stride + 1, stride)
            for t, dilation, n, stride in zip(tap, dilations, extents, strides, strict=True)
        )
        full[(slice(None), slice(None), *window)] += products[:, index]
    return full.reshape(groups * outputs, *sizes)


def _cut(layer: Layer, sizes: tuple[int, ...], axes: tuple[str, ...]) -> list[slice]:
    """What stays of the full output: without its pads, or the wanted size."""
    get = layer.get.integer
    names = {"h": ("pad_top", "pad_bottom"), "w": ("pad_left", "pad_right")}
    by_axis = [(get(names[axis][0]), get(names[axis][1])) for axis in axes]
    pads = [pad for pair in by_axis for pad in pair]
    wanted = [get(f"output_{axis}") for axis in axes]
    cuts = [(0, 0)] * len(axes)
    if any(pad > 0 for pad in pads):
        cuts = by_axis
    elif all(size > 0 for size in wanted):
        if SAME_UPPER not in pads and SAME_LOWER not in pads:
            raise fault(layer, "has an output size, but no padding of -233 or -234 to say where to cut")
        totals = [full - size for full, size in zip(sizes, wanted, strict=True)]
        cuts = [(total // 2, total - total // 2) for total in totals]
        if SAME_UPPER not in pads:
            cuts = [(after, before) for before, after in cuts]
    left = [full - before - after for full, (before, after) in zip(sizes, cuts, strict=True)]
    if min(left) <= 0 or any(cut < 0 for pair in cuts for cut in pair):
        raise fault(layer, f"cannot cut {cuts} off an output of {sizes}")
    return [slice(before, before + size) for (before, _), size in zip(cuts, left, strict=True)]


PREPARE: dict[str, Prepare] = {
    "Deconvolution": prepare_image,
    "DeconvolutionDepthWise": prepare_image,
    "Deconvolution1D": prepare_rows,
    "DeconvolutionDepthWise1D": prepare_rows,
}
