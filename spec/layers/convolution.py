"""Convolution over a (channels, h, w) image, in binary32 and in int8. Grouped convolution shares its steps."""

from __future__ import annotations

import math
import warnings
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from spec.binary32 import REFERENCE, Profile, add_products, f32
from spec.blob import Blob
from spec.graph import Layer, Shape
from spec.layers import inner_product
from spec.layers.activation import activate, activation_of, check_activation
from spec.layers.common import fault, floats, only_bottom, require_rank, require_weights
from spec.layers.static_scales import (
    bias_of,
    check_int8,
    descale_of,
    descaled,
    int8_weights,
    optional_bias_of,
    quantize_input,
    requantized,
    split,
)
from spec.layers.window import SAME_LOWER, SAME_UPPER, same_padding
from spec.rounding import dot

Number = TypeVar("Number", int, float)

Rows = list[list[Number]]
"""One channel of an image, row by row."""

Borders = tuple[int, int, int, int]
"""Rows before, rows after, columns before, columns after."""


@dataclass(frozen=True)
class Window:
    """A kernel's size, and the steps that it takes inside itself (dilation) and over the image (stride)."""

    kernel_h: int
    kernel_w: int
    dilation_h: int
    dilation_w: int
    stride_h: int
    stride_w: int

    @property
    def extent_h(self) -> int:
        """Rows from the first that the kernel touches to the last."""
        return self.dilation_h * (self.kernel_h - 1) + 1

    @property
    def extent_w(self) -> int:
        """Columns from the first that the kernel touches to the last."""
        return self.dilation_w * (self.kernel_w - 1) + 1

    @property
    def area(self) -> int:
        """Taps of the kernel in one channel."""
        return self.kernel_h * self.kernel_w


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Convolve in int8 if the layer has an int8_scale_term, else in binary32.

    out[o, y, x] = activation(bias[o] + sum over c, i, j of
    weight[o, c, i, j] * in[c, y * stride_h + i * dilation_h, x * stride_w + j * dilation_w]),
    float32 or int8 (channels, h, w) to float32 or int8 (num_output, out_h, out_w). With dynamic_weight the weights
    (num_output, channels, kernel_h, kernel_w), and the bias after them, are further bottoms.

    Follows: ncnn src/layer/convolution.cpp @ a4d2ea1d.
    Unspecified: see `forward_float` and `forward_int8`.

    >>> from spec.blob import float_blob
    >>> layer = Layer("Convolution", "c", ["x", "w"], ["y"], {0: 1, 1: 2, 6: 4, 19: 1})
    >>> image = float_blob((1, 2, 3), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    >>> forward(layer, [image, float_blob((1, 1, 2, 2), [1.0, 0.0, 0.0, 1.0])])[0].tolist()
    [[[6.0, 8.0]]]
    """
    if layer.get["dynamic_weight"]:
        return [forward_dynamic(layer, bottoms, groups=1)]
    blob = only_bottom(layer, bottoms)
    if layer.get["int8_scale_term"]:
        return [forward_int8(layer, blob, profile)]
    return [forward_float(layer, blob)]


def forward_float(layer: Layer, blob: Blob) -> Blob:
    """Convolve in binary32: the sum starts from the bias and takes one product after the other.

    The order is channel, kernel row, kernel column; every product and every addition is rounded. A 1-D blob under a
    1 x 1 kernel is an inner product.

    Follows: ncnn src/layer/convolution.cpp (forward) @ a4d2ea1d.
    Unspecified: NaN, infinities and overflow follow IEEE 754. Raises GraphError for other input channels than the
    weights have, and for a kernel larger than the padded image.
    """
    num_output = layer.get.integer("num_output")
    weights = require_weights(layer, "weight_data", layer.get.integer("weight_data_size"))
    bias = bias_of(layer, num_output)
    window = window_of(layer)
    if len(blob.shape) == 1 and window.area == 1:
        return inner_product.forward_float(layer, blob)
    return convolve_float(layer, blob, window, split(weights, num_output), bias, groups=1)


def forward_int8(layer: Layer, blob: Blob, profile: Profile) -> Blob:
    """Convolve int8 codes into exact integer sums, then return to binary32, or to int8 with another scale.

    y = activation(f32(f32(sum) * descale[o]) + bias[o]) with descale[o] = 1 / (bottom_scale * weight_scale[o]), or 0
    for weight_scale 0; above int8_scale_term 100 the output is float_to_int8(f32(y * top_scale)). Padding comes after
    quantizing, and the pad_value is a code: it is not scaled. Float weights are quantized first, output by output.

    Follows: ncnn src/layer/convolution.cpp (forward_int8) @ a4d2ea1d.
    Unspecified: an int8 input is taken as it is, with bottom_scale believed. An infinite weight scale makes the output
    the bias, and so does an infinite bottom scale, which calibration gives to a blob of zeros. Raises GraphError for
    NaN and infinities in the input, for 1-D input, for other input channels than the weights have, and for a kernel
    larger than the padded image.

    >>> from array import array
    >>> from spec.blob import float_blob
    >>> from spec.graph import float_weight, int8_weight
    >>> layer = Layer("Convolution", "c", ["x"], ["y"], {0: 1, 1: 1, 6: 1, 8: 1}, [], {
    ...     "weight_data": int8_weight("weight_data", array("b", [10])),
    ...     "weight_data_int8_scales": float_weight("weight_data_int8_scales", array("f", [20.0]), "raw"),
    ...     "bottom_blob_int8_scales": float_weight("bottom_blob_int8_scales", array("f", [4.0]), "raw"),
    ... })
    >>> forward_int8(layer, float_blob((1, 1, 2), [2.0, 0.1]), REFERENCE).tolist()
    [[[1.0, 0.0]]]
    """
    num_output = layer.get.integer("num_output")
    weight_scales = require_weights(layer, "weight_data_int8_scales", num_output)
    bottom_scale = layer.weight("bottom_blob_int8_scales").floats()[0]
    bias = optional_bias_of(layer, num_output)
    activation_type, activation_params = activation_of(layer)
    window = window_of(layer)
    kernels = int8_weights(layer, weight_scales)

    # quantize input
    codes = quantize_input(layer, blob, bottom_scale, profile)

    # accumulate
    planes, out_shape = convolve_int8(layer, codes, blob.shape, window, kernels, groups=1)
    values: list[float] = []
    for sums, weight_scale, channel_bias in zip(planes, weight_scales, bias, strict=True):
        # descale
        # bias
        descale = descale_of(bottom_scale, weight_scale)
        plane = descaled(sums, descale, channel_bias, profile)

        # activation
        values.extend(activate(plane, activation_type, activation_params))

    # requantize
    return requantized(layer, out_shape, values, profile)


def forward_dynamic(layer: Layer, bottoms: list[Blob], groups: int) -> Blob:
    """Convolve in binary32 with weights, and a bias if the layer has bias_term, that are further bottoms."""
    expected = 3 if layer.get["bias_term"] else 2
    if len(bottoms) != expected:
        raise fault(layer, f"with dynamic_weight takes {expected} bottom blobs, not {len(bottoms)}")
    blob, weight = bottoms[:2]
    require_rank(layer, weight, 4)
    num_output, _, kernel_h, kernel_w = weight.shape
    bias = floats(layer, bottoms[2]) if layer.get["bias_term"] else [0.0] * num_output
    if len(bias) != num_output:
        raise fault(layer, f"has {num_output} outputs, but a bias of {len(bias)}")
    kernels = split(floats(layer, weight), num_output)
    return convolve_float(layer, blob, window_of(layer, (kernel_h, kernel_w)), kernels, bias, groups)


def convolve_float(
    layer: Layer, blob: Blob, window: Window, kernels: Sequence[list[float]], bias: Sequence[float], groups: int
) -> Blob:
    """The binary32 convolution of an image, activation included: the law of `forward_float` for any number of groups.

    `kernels` holds one list for each output, in the order channel of the group, kernel row, kernel column.
    """
    fill = f32(layer.get.number("pad_value"))
    channels = padded(layer, blob.shape, floats(layer, blob), window, fill, reject_negative=False)
    out_h, out_w = _output_size(layer, channels[0], window)
    activation_type, activation_params = activation_of(layer)
    values: list[float] = []
    for first, inputs, outputs in _groups(layer, channels, kernels, window, groups):
        rows: list[list[float]] = [[] for _ in outputs]
        for y in range(out_h):
            columns = _taps(inputs, window, y, out_w)
            for index, kernel in enumerate(outputs):
                totals = array("f", [bias[first + index]] * out_w)
                for column, weight in zip(columns, kernel, strict=True):
                    totals = add_products(totals, column, weight)
                rows[index].extend(totals)
        for plane in rows:
            values.extend(activate(plane, activation_type, activation_params))
    return Blob((len(kernels), out_h, out_w), "float32", values)


def convolve_int8(
    layer: Layer, codes: list[int], shape: Shape, window: Window, kernels: Sequence[list[int]], groups: int
) -> tuple[list[list[int]], Shape]:
    """The exact integer sums, one list for each output, and the output's shape."""
    fill = math.trunc(layer.get.number("pad_value"))
    channels = padded(layer, shape, codes, window, fill, reject_negative=True)
    out_h, out_w = _output_size(layer, channels[0], window)
    planes: list[list[int]] = [[] for _ in kernels]
    for first, inputs, outputs in _groups(layer, channels, kernels, window, groups):
        for y in range(out_h):
            patches = list(zip(*_taps(inputs, window, y, out_w), strict=True))
            for index, kernel in enumerate(outputs):
                planes[first + index].extend([dot(patch, kernel) for patch in patches])
    return planes, (len(kernels), out_h, out_w)


def _groups(
    layer: Layer, channels: list[Rows[Number]], kernels: Sequence[list[Number]], window: Window, groups: int
) -> Iterator[tuple[int, list[Rows[Number]], Sequence[list[Number]]]]:
    """For each group: the index of its first output, its input channels, its kernels."""
    if len(channels) % groups:
        raise fault(layer, f"has {groups} groups, which do not divide the {len(channels)} channels of its input")
    inputs, outputs = len(channels) // groups, len(kernels) // groups
    if len(kernels[0]) != inputs * window.area:
        weights = len(kernels[0]) // window.area
        raise fault(layer, f"has weights for {weights} channels a group, but its input has {inputs}")
    for group in range(groups):
        first = group * outputs
        yield first, channels[group * inputs : (group + 1) * inputs], kernels[first : first + outputs]


def _taps(channels: Sequence[Rows[Number]], window: Window, y: int, out_w: int) -> list[list[Number]]:
    """For each tap of the kernel, in weight order, the values that it meets along row `y` of the output."""
    columns: list[list[Number]] = []
    span = (out_w - 1) * window.stride_w + 1
    for rows in channels:
        for i in range(window.kernel_h):
            row = rows[y * window.stride_h + i * window.dilation_h]
            for j in range(window.kernel_w):
                left = j * window.dilation_w
                columns.append(row[left : left + span : window.stride_w])
    return columns


def _output_size(layer: Layer, rows: Rows[Number], window: Window) -> tuple[int, int]:
    h, w = len(rows), len(rows[0])
    if h < window.extent_h or w < window.extent_w:
        raise fault(
            layer, f"has a kernel of extent {window.extent_h} x {window.extent_w} over a padded image of {h} x {w}"
        )
    return (h - window.extent_h) // window.stride_h + 1, (w - window.extent_w) // window.stride_w + 1


def padded(
    layer: Layer, shape: Shape, values: list[Number], window: Window, fill: Number, *, reject_negative: bool
) -> list[Rows[Number]]:
    """The image as channels of rows, with its borders added.

    Explicit pads count if any is positive. Else all four may be SAME_UPPER or SAME_LOWER: on each axis the total is
    extent + ((n - 1) div stride) * stride - n. A stride beyond the kernel's extent can make that negative: nothing is
    added then, or with `reject_negative` GraphError is raised if the other axis needs a border.
    """
    if len(shape) != 3:
        raise fault(layer, f"takes an image (channels, h, w), not a blob of shape {shape}")
    channels, h, w = shape
    top, bottom, left, right = borders(layer, window, h, w, reject_negative=reject_negative)
    blank = [fill] * (left + w + right)
    image = []
    for channel in range(channels):
        starts = range(channel * h * w, (channel + 1) * h * w, w)
        rows = [[fill] * left + values[start : start + w] + [fill] * right for start in starts]
        image.append([blank] * top + rows + [blank] * bottom)
    return image


def borders(layer: Layer, window: Window, h: int, w: int, *, reject_negative: bool) -> Borders:
    """How much `padded` adds on each side."""
    get = layer.get
    pads = (get.integer("pad_top"), get.integer("pad_bottom"), get.integer("pad_left"), get.integer("pad_right"))
    if any(pad > 0 for pad in pads):
        return (max(pads[0], 0), max(pads[1], 0), max(pads[2], 0), max(pads[3], 0))
    if pads not in ((SAME_UPPER,) * 4, (SAME_LOWER,) * 4):
        return (0, 0, 0, 0)
    if reject_negative:
        _reject_negative(layer, window, h, w)
    vertical = same_padding(h, window.extent_h, window.stride_h, pads[0])
    return (*vertical, *same_padding(w, window.extent_w, window.stride_w, pads[0]))


def _reject_negative(layer: Layer, window: Window, h: int, w: int) -> None:
    total_h = window.extent_h + (h - 1) // window.stride_h * window.stride_h - h
    total_w = window.extent_w + (w - 1) // window.stride_w * window.stride_w - w
    if min(total_h, total_w) < 0 < max(total_h, total_w):
        raise fault(layer, f"has SAME padding of {total_h} rows and {total_w} columns: one of them is negative")


def window_of(layer: Layer, kernel: tuple[int, int] | None = None) -> Window:
    """The layer's window; `kernel` (h, w) replaces the parameters where the weights come at run time."""
    get = layer.get
    kernel_h, kernel_w = kernel or (get.integer("kernel_h"), get.integer("kernel_w"))
    return Window(
        kernel_h,
        kernel_w,
        get.integer("dilation_h"),
        get.integer("dilation_w"),
        get.integer("stride_h"),
        get.integer("stride_w"),
    )


def check_convolution(layer: Layer) -> None:
    """GraphError for what neither kind of convolution can run: see the messages."""
    check_activation(layer)
    int8 = layer.get["int8_scale_term"] != 0
    sizes = ["stride_w", "stride_h", "dilation_w", "dilation_h"]
    if layer.get["dynamic_weight"]:
        if int8:
            raise fault(layer, "cannot have both dynamic_weight and an int8_scale_term")
    else:
        sizes += ["num_output", "kernel_w", "kernel_h"]
    for name in sizes:
        if layer.get.integer(name) < 1:
            raise fault(layer, f"has {name} {layer.get.integer(name)}, but needs at least 1")
    if not layer.get["dynamic_weight"]:
        rows = layer.get.integer("num_output") * window_of(layer).area
        if len(layer.weight("weight_data")) % rows:
            raise fault(layer, f"has {len(layer.weight('weight_data'))} weights, which is no multiple of {rows}")
        check_int8(layer)
    if int8:
        _check_pad_value(layer)


def _check_pad_value(layer: Layer) -> None:
    pad_value = layer.get.number("pad_value")
    if not -129.0 < pad_value < 128.0:
        raise fault(layer, f"has pad_value {pad_value}, which is no int8 code")
    if pad_value != 0.0:
        warnings.warn(f"layer {layer.name}: pad_value {pad_value} goes into the int8 image unscaled", stacklevel=2)


FORWARD = {"Convolution": forward}
CHECK = {"Convolution": check_convolution}
