"""Deconvolution and its depthwise and 1-D forms: every input value spreads a kernel over the output, in binary32."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from spec.binary32 import REFERENCE, Profile, add_products
from spec.blob import Blob, float_blob
from spec.graph import Layer
from spec.layers.activation import activate, activation_of, check_activation
from spec.layers.common import fault, floats, only_bottom, require_rank, require_weights
from spec.layers.strided import box, positions
from spec.layers.window import SAME_LOWER, SAME_UPPER


@dataclass(frozen=True)
class Axis:
    """One axis: the input's length, how the kernel steps, and what is cut off the full output."""

    length: int
    kernel: int
    dilation: int
    stride: int
    output_pad: int
    pads: tuple[int, int]
    wanted: int

    @property
    def full(self) -> int:
        """The length of the output before anything is cut off."""
        return (self.length - 1) * self.stride + self.dilation * (self.kernel - 1) + 1 + self.output_pad


ALONE = Axis(1, 1, 1, 1, 0, (0, 0), 1)
"""The height of a row."""


def deconvolution(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Every input value, times the kernel, is added to the output where its window lies.

    full[o, i * stride_h + y * dilation_h, j * stride_w + x * dilation_w] starts from bias[o] and gains in[c, i, j] *
    weight[o, c, y, x] for i, j, c, in this order. Then comes the activation, and last the cut: the pads if any is
    positive, else down to output_w and output_h as "same" says, else nothing. (channels, h, w) to (num_output, ...).
    Weights of the file are (num_output, channels, kernel_h, kernel_w); with dynamic_weight they are the second bottom,
    (channels, num_output, kernel_h, kernel_w), and the bias is the third.

    Follows: ncnn src/layer/deconvolution.cpp @ a4d2ea1d.
    """
    return [_deconvolved_image(layer, bottoms, 1)]


def deconvolution_depthwise(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Deconvolution of each group of channels by itself.

    Weights of the file are (group, num_output / group, channels / group, kernel_h, kernel_w), dynamic ones
    (channels, num_output / group, kernel_h, kernel_w).

    Follows: ncnn src/layer/deconvolutiondepthwise.cpp @ a4d2ea1d.
    """
    return [_deconvolved_image(layer, bottoms, layer.get.integer("group"))]


def deconvolution1d(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Deconvolution along the rows of a (channels, length) blob.

    Follows: ncnn src/layer/deconvolution1d.cpp @ a4d2ea1d.
    """
    return [_deconvolved_rows(layer, bottoms, 1)]


def deconvolution_depthwise1d(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Deconvolution1D of each group of rows by itself.

    Follows: ncnn src/layer/deconvolutiondepthwise1d.cpp @ a4d2ea1d.
    """
    return [_deconvolved_rows(layer, bottoms, layer.get.integer("group"))]


def _deconvolved_image(layer: Layer, bottoms: list[Blob], groups: int) -> Blob:
    blob, weights, bias, kernel = _operands(layer, bottoms, groups, 2)
    require_rank(layer, blob, 3)
    down = _axis(layer, blob.shape[1], kernel[0], "h", ("pad_top", "pad_bottom"), "output_pad_bottom")
    across = _axis(layer, blob.shape[2], kernel[1], "w", ("pad_left", "pad_right"), "output_pad_right")
    return _cut(layer, _spread(layer, blob, weights, bias, groups, (down, across)), (down, across))


def _deconvolved_rows(layer: Layer, bottoms: list[Blob], groups: int) -> Blob:
    rows, weights, bias, kernel = _operands(layer, bottoms, groups, 1)
    require_rank(layer, rows, 2)
    across = _axis(layer, rows.shape[1], kernel[0], "w", ("pad_left", "pad_right"), "output_pad_right")
    blob = rows.reshaped((rows.shape[0], 1, rows.shape[1]))
    image = _cut(layer, _spread(layer, blob, weights, bias, groups, (ALONE, across)), (ALONE, across))
    return image.reshaped((image.shape[0], image.shape[2]))


def _operands(
    layer: Layer, bottoms: list[Blob], groups: int, dims: int
) -> tuple[Blob, list[float], list[float], list[int]]:
    """The input, the weights in the file's order, the biases (zeros if there are none) and the kernel's extents."""
    bias_term = layer.get.integer("bias_term")
    if not layer.get.integer("dynamic_weight"):
        num_output = layer.get.integer("num_output")
        weights = require_weights(layer, "weight_data", layer.get.integer("weight_data_size"))
        bias = require_weights(layer, "bias_data", num_output) if bias_term else [0.0] * num_output
        kernel = [layer.get.integer(name) for name in ("kernel_h", "kernel_w")[2 - dims :]]
        return only_bottom(layer, bottoms), weights, bias, kernel
    if len(bottoms) != (3 if bias_term else 2):
        raise fault(layer, f"with dynamic_weight takes {3 if bias_term else 2} bottom blobs, not {len(bottoms)}")
    require_rank(layer, bottoms[1], 2 + dims)
    channels, outputs, *kernel = bottoms[1].shape
    if channels % groups:
        raise fault(layer, f"cannot divide {channels} channels into {groups} groups")
    bias = floats(layer, bottoms[2]) if bias_term else [0.0] * (outputs * groups)
    if len(bias) != outputs * groups:
        raise fault(layer, f"has {outputs * groups} outputs, but a bias of {len(bias)}")
    given = floats(layer, bottoms[1])
    area = len(given) // (channels * outputs)
    inputs = channels // groups
    order = positions((groups, outputs, inputs, area), (inputs * outputs * area, area, outputs * area, 1))
    return bottoms[0], [given[place] for place in order], bias, kernel


def _axis(layer: Layer, length: int, kernel: int, name: str, pads: tuple[str, str], output_pad: str) -> Axis:
    get = layer.get.integer
    before, after = (get(pad) for pad in pads)
    return Axis(
        length,
        kernel,
        get(f"dilation_{name}"),
        get(f"stride_{name}"),
        get(output_pad),
        (before, after),
        get(f"output_{name}"),
    )


def _spread(
    layer: Layer, blob: Blob, weights: list[float], bias: list[float], groups: int, axes: tuple[Axis, Axis]
) -> Blob:
    """The full output, activation included."""
    channels, h, w = blob.shape
    num_output = len(bias)
    if channels % groups or num_output % groups:
        raise fault(layer, f"cannot divide {channels} channels and {num_output} outputs into {groups} groups")
    down, across = axes
    inputs, outputs, area = channels // groups, num_output // groups, down.kernel * across.kernel
    if len(weights) != num_output * inputs * area:
        raise fault(layer, f"has {len(weights)} weights, but needs {num_output} x {inputs} x {area}")
    full_h, full_w = down.full, across.full
    values = floats(layer, blob)
    full = array("f", [bias[output] for output in range(num_output) for _ in range(full_h * full_w)])
    for group in range(groups):
        taps = positions(
            (outputs, down.kernel, across.kernel),
            (full_h * full_w, down.dilation * full_w, across.dilation),
            group * outputs * full_h * full_w,
        )
        kernels = [_kernel_of_input(weights, group, c, (outputs, inputs, area)) for c in range(inputs)]
        for i in range(h):
            for j in range(w):
                corner = i * down.stride * full_w + j * across.stride
                window = array("f", [full[corner + tap] for tap in taps])
                for c, kernel in enumerate(kernels):
                    window = add_products(window, kernel, values[((group * inputs + c) * h + i) * w + j])
                for tap, value in zip(taps, window):
                    full[corner + tap] = value
    return float_blob((num_output, full_h, full_w), activate(full, *activation_of(layer)))


def _kernel_of_input(weights: list[float], group: int, channel: int, extents: tuple[int, int, int]) -> list[float]:
    """What one input channel of a group gives to all outputs of the group, in the order output, row, column."""
    outputs, inputs, area = extents
    start = group * outputs * inputs * area + channel * area
    return [weights[place] for place in positions((outputs, area), (inputs * area, 1), start)]


def _cut(layer: Layer, full: Blob, axes: tuple[Axis, Axis]) -> Blob:
    """The full output without its pads, or cut to the wanted size."""
    pads = [pad for axis in axes for pad in axis.pads]
    if any(pad > 0 for pad in pads):
        cuts = [axis.pads for axis in axes]
    elif all(axis.wanted > 0 for axis in axes):
        cuts = [_same_cut(layer, axis, pads) for axis in axes]
    else:
        cuts = [(0, 0), (0, 0)]
    sizes = [axis.full - before - after for axis, (before, after) in zip(axes, cuts)]
    if min(sizes) <= 0 or any(pad < 0 for cut in cuts for pad in cut):
        raise fault(layer, f"cannot cut {cuts} off an output of shape {full.shape}")
    return box(full, (0, cuts[0][0], cuts[1][0]), (full.shape[0], sizes[0], sizes[1]))


def _same_cut(layer: Layer, axis: Axis, pads: list[int]) -> tuple[int, int]:
    total = axis.full - axis.wanted
    if SAME_UPPER in pads:
        return total // 2, total - total // 2
    if SAME_LOWER in pads:
        return total - total // 2, total // 2
    raise fault(layer, "has an output size, but no padding of -233 or -234 to say where to cut")


def check(layer: Layer) -> None:
    """GraphError for sizes below 1 and unknown activations."""
    check_activation(layer)
    names = ["stride_w", "dilation_w"]
    if not layer.get.integer("dynamic_weight"):
        names += ["num_output", "kernel_w"]
    if "DepthWise" in layer.type:
        names.append("group")
    for name in names:
        if layer.get.integer(name) < 1:
            raise fault(layer, f"has {name} {layer.get.integer(name)}, but needs at least 1")


FORWARD = {
    "Deconvolution": deconvolution,
    "DeconvolutionDepthWise": deconvolution_depthwise,
    "Deconvolution1D": deconvolution1d,
    "DeconvolutionDepthWise1D": deconvolution_depthwise1d,
}
CHECK = dict.fromkeys(FORWARD, check)
