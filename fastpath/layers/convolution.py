"""Convolution, and the engine that it shares with ConvolutionDepthWise.

int8 layers equal the spec bit for bit. Float layers sum their products in whatever order BLAS prefers, so their last
bits differ from the spec's sequential sum.
"""

from __future__ import annotations

import math
import threading
import warnings
from functools import cached_property

import numpy as np

from fastpath.layers import recycle
from fastpath.layers.activation import RELU, Activation
from fastpath.layers.common import (
    Array,
    Floats,
    Operator,
    Prepare,
    Scratch,
    fault,
    floats,
    require_rank,
    weights,
)
from fastpath.layers.epilogue import (
    Epilogue,
    descales,
    read_bias,
    read_bottom_scale,
    read_int8_weights,
    read_scale,
    read_weight_scales,
)
from fastpath.layers.integer_product import FloatMatrix, IntegerMatrix
from fastpath.layers.patches import Patches
from fastpath.layers.planes import DepthwisePlanes, depthwise_planes
from fastpath.layers.window import Window, output_size, resolve_pads, window_of
from fastpath.rounding import quantize_to_floats
from spec.graph import Layer

ZERO = np.float32(0)

INT8_OUTPUT_TERM = 100
"""An int8_scale_term above this means int8 output."""

TILE_ELEMENTS = 160 * 1024
"""float32 numbers of one tile of a layer that does little with each: what should stay in the second-level cache."""

COLUMN_ELEMENTS = 1024 * 1024
"""float32 numbers of one tile of columns; with fewer, BLAS spends more time on packing the weights for every tile."""

TOP_ELEMENTS = 400 * 1024
"""float32 numbers of output channels that are computed and finished together, because they stay in the cache."""

SMALLEST_BLOCK = 32
"""Output channels that one matrix product covers at least."""

NARROW = 48
"""Rows shorter than this are copied one by one, rather than with the columns between them that no output needs."""

SMALLEST_TILE = 128
"""Pixels that one matrix product covers at least; below this BLAS spends its time on packing weights."""

DEPTHWISE_TILE = 32 * 1024
"""Sums of one tile of a depthwise layer."""


SCRATCH = Scratch()
"""Buffers of all layers: each needs them while it runs only."""


class _Planes(threading.local):
    """The patches of the last bottom shape, one set a thread."""

    def __init__(self) -> None:
        self.key: tuple[int, ...] = ()
        self.patches: Patches | None = None


class GroupedConvolution:
    """A convolution with packed weights: `matrix` of shape (groups, outputs a group, taps * channels a group)."""

    def __init__(
        self,
        layer: Layer,
        window: Window,
        weight: Array,
        groups: int,
        epilogue: Epilogue,
        bottom_scale: np.float32 | None = None,
    ) -> None:
        """`weight` is (num_output, channels a group, kernel_h, kernel_w), int8 with a `bottom_scale`, else float32."""
        self.layer, self.window, self.groups, self.epilogue = layer, window, groups, epilogue
        self.bottom_scale = bottom_scale
        self.num_output, self.group_channels = weight.shape[:2]
        self.taps = window.kernel[0] * window.kernel[1]
        by_channel = weight.reshape(groups, self.num_output // groups, self.group_channels, self.taps)
        packed = by_channel.swapaxes(2, 3).reshape(groups, self.num_output // groups, -1)
        self.matrix = FloatMatrix(packed) if bottom_scale is None else IntegerMatrix(packed)
        self.biased: Floats | None = None
        """Weights of a float layer and its bias as the last column."""
        if bottom_scale is None and groups == 1 and self.taps > 1:
            self.biased = np.zeros((self.num_output, packed.shape[2] + 1), np.float32)
            self.biased[:, :-1] = packed[0]
            if epilogue.bias is not None:
                self.biased[:, -1:] = epilogue.bias
        self.depthwise = self.group_channels == 1 and self.num_output == groups and self.matrix.is_whole
        self.fill = padding_value(layer, int8=bottom_scale is not None)
        self.planes = _Planes()
        self.scratch = SCRATCH
        self.compiled: DepthwisePlanes | None = None
        if self.depthwise and bottom_scale is None:
            bias, activation = epilogue.bias, epilogue.activation
            self.compiled = depthwise_planes(window, self.tap_weights, bias, activation, self.fill)

    @cached_property
    def tap_weights(self) -> Floats:
        """The weights of each output channel as floats, tap after tap."""
        return self.matrix.weights.reshape(self.num_output, -1).astype(np.float32, copy=False)

    def __call__(self, blob: Array) -> Array:
        """The top blob (num_output, out_h, out_w) of a bottom blob (channels, h, w)."""
        require_rank(self.layer, blob, 3)
        channels, h, w = blob.shape
        if channels != self.groups * self.group_channels:
            raise fault(
                self.layer,
                f"has weights for {self.groups * self.group_channels} channels, but its bottom blob has {channels}",
            )
        patches = self.patches(channels, h, w)
        dtype = np.float32 if self.epilogue.top_scale is None else np.int8
        top = recycle.blob((self.num_output, patches.out_h, patches.out_w), dtype)
        codes = self.codes(blob)
        if self.compiled is not None and self.compiled.takes((channels, h, w), patches.pads, patches.out_w):
            self.compiled(codes, patches.pads, top)
            return top
        patches.load(codes)
        if self.depthwise and self.bottom_scale is not None and self.taps * patches.size <= TILE_ELEMENTS:
            self.run_channels(patches, top)
        elif self.depthwise:
            self.run_depthwise(patches, top)
        elif top.dtype == np.float32 and self.is_small(patches):
            self.run_whole(patches, top)
        else:
            self.run_tiles(patches, top)
        return top

    def is_small(self, patches: Patches) -> bool:
        """Whether all pixels are one tile: no columns to copy, or few with many between them that no output needs."""
        if self.taps == 1:
            return True
        columns = self.taps * self.group_channels * self.groups * patches.out_h * patches.out_w
        return columns <= COLUMN_ELEMENTS and patches.out_w < NARROW

    def codes(self, blob: Array) -> Array:
        """The bottom blob as it enters the sums: int8 codes (as int8, or as whole float32 numbers), or floats."""
        if self.bottom_scale is None:
            return floats(self.layer, blob)
        if blob.dtype == np.int8:
            return blob
        floats(self.layer, blob)
        scaled = self.scratch.array("codes", blob.shape)
        try:
            quantize_to_floats(blob, self.bottom_scale, scaled)
        except ValueError as error:
            raise fault(self.layer, f"cannot quantize: {error}") from None
        return scaled

    def patches(self, channels: int, h: int, w: int) -> Patches:
        """The planes for this bottom shape."""
        if self.planes.key != (h, w) or self.planes.patches is None:
            pads = resolve_pads(self.layer, self.window, h, w, int8=self.bottom_scale is not None)
            size = output_size(self.layer, self.window, h, w, pads)
            self.planes.patches = Patches((channels, h, w), self.window, pads, size, self.fill)
            self.planes.key = (h, w)
        return self.planes.patches

    def rows_at_once(self, patches: Patches, width: int) -> int:
        """The output rows of one tile, whose rows are `width` long: equal tiles that fit the cache."""
        depth = self.group_channels * self.groups * self.taps
        pixels = max(min(COLUMN_ELEMENTS // depth, TILE_ELEMENTS // self.num_output), SMALLEST_TILE)
        tiles = max(round(patches.out_h * width / pixels), 1)
        rows: int = -(-patches.out_h // tiles)
        return rows

    def run_whole(self, patches: Patches, top: Array) -> None:
        """Fill a float32 top blob in place: one matrix product for all pixels."""
        size = patches.out_h * patches.out_w
        flat = top.reshape(self.num_output, size)
        if self.taps == 1:
            self.run_pixels(patches.tap_rows(0, 0, patches.out_h).reshape(self.groups, -1, size), flat)
            return
        shape = (self.taps, self.groups, self.group_channels, patches.out_h, patches.out_w)
        buffer = self.column_buffer(size)
        by_tap = buffer[: math.prod(shape)].reshape(shape[1], shape[0], *shape[2:])
        for tap in range(self.taps):
            np.copyto(by_tap[:, tap], patches.tap_rows(tap, 0, patches.out_h).reshape(shape[1:]))
        if self.biased is not None:
            np.matmul(self.biased, buffer.reshape(-1, size), out=flat)
            self.epilogue(flat, biased=True)
        else:
            self.matrix.multiply(by_tap.reshape(self.groups, -1, size), flat.reshape(self.groups, -1, size))
            self.epilogue(flat)

    def run_pixels(self, pixels: Floats, top: Floats) -> None:
        """A 1 by 1 kernel: (groups, channels a group, n) to (num_output, n), as many channels as fit the cache."""
        size = pixels.shape[2]
        if self.groups > 1 or isinstance(self.matrix, IntegerMatrix):
            self.matrix.multiply(pixels, top.reshape(self.groups, -1, size))
            self.epilogue(top)
            return
        count = max(TOP_ELEMENTS // size, SMALLEST_BLOCK)
        for first in range(0, self.num_output, count):
            part = slice(first, first + count)
            np.matmul(self.matrix.weights[0, part], pixels[0], out=top[part])
            self.epilogue(top[part], part)

    def column_buffer(self, size: int) -> Floats:
        """Room for the columns of `size` pixels, flat; with a row of ones at the end for the bias where it has one."""
        count = self.groups * self.taps * self.group_channels * size
        if self.biased is None:
            return self.scratch.array("columns", (count,))
        buffer = self.scratch.array("columns", (count + size,))
        buffer[count:] = 1.0
        return buffer

    def run_tiles(self, patches: Patches, top: Array) -> None:
        """Fill the top blob: a few rows with the unused columns between them at a time, one matrix product each."""
        step = self.rows_at_once(patches, patches.pitch)
        for y in range(0, patches.out_h, step):
            rows = min(step, patches.out_h - y)
            count = (rows - 1) * patches.pitch + patches.out_w
            buffer = self.scratch.array("sums", (self.num_output, rows * patches.pitch))
            image = buffer.reshape(self.num_output, rows, patches.pitch)[:, :, : patches.out_w]
            target = top[:, y : y + rows]
            columns = self.columns(patches, y * patches.pitch, count)
            if self.biased is None:
                self.matrix.multiply(columns, buffer.reshape(self.groups, -1, buffer.shape[1])[:, :, :count])
                # Sums that lie next to each other are finished twice as fast as rows with gaps.
                buffer[:, count:] = 0
                self.epilogue(buffer)
                np.copyto(target, image, casting="unsafe")
                continue
            np.matmul(self.biased, columns[0], out=buffer[:, :count])
            if self.epilogue.activation.type == RELU:
                np.fmax(image, ZERO, out=target)
            else:
                np.copyto(target, image)
                self.epilogue.activation(target)

    def columns(self, patches: Patches, start: int, count: int) -> Floats:
        """What every tap sees of these pixels: (groups, taps * channels a group, count), and ones for the bias."""
        if self.taps == 1:
            return patches.tap(0, start, count).reshape(self.groups, self.group_channels, count)
        buffer = self.column_buffer(count)
        size = self.groups * self.taps * self.group_channels * count
        by_tap = buffer[:size].reshape(self.groups, self.taps, self.group_channels, count)
        for tap in range(self.taps):
            seen = patches.tap(tap, start, count)
            np.copyto(by_tap[:, tap], seen.reshape(self.groups, self.group_channels, count))
        return buffer.reshape(self.groups, -1, count)

    def run_channels(self, patches: Patches, top: Array) -> None:
        """Fill the top blob of an int8 layer with one channel a group: as many channels at a time as fit the cache."""
        count = patches.size - patches.pitch + patches.out_w
        step = max(TILE_ELEMENTS // (self.taps * patches.size), 1)
        for first in range(0, self.num_output, step):
            part = slice(first, min(first + step, self.num_output))
            channels = part.stop - first
            columns = self.scratch.array("columns", (channels, self.taps, count))
            for tap in range(self.taps):
                np.copyto(columns[:, tap], patches.tap(tap, 0, count)[part])
            buffer = self.scratch.array("sums", (channels, patches.size))
            sums = buffer[:, :count]
            np.matmul(self.tap_weights[part, np.newaxis], columns, out=sums[:, np.newaxis])
            self.epilogue(sums, part)
            image = buffer.reshape(channels, patches.out_h, patches.pitch)
            np.copyto(top[part], image[:, :, : patches.out_w], casting="unsafe")

    def run_depthwise(self, patches: Patches, top: Array) -> None:
        """Fill the top blob of a layer with one channel a group, tap by tap.

        Sums of codes are exact. Float sums start with the bias, are binary64 and rounded once, as in compiled code.
        """
        is_float = self.bottom_scale is None
        dtype = np.float64 if is_float else np.float32
        count = patches.size - patches.pitch + patches.out_w
        step = max(DEPTHWISE_TILE // patches.size, 1)
        starts = np.zeros((self.num_output, 1), dtype)
        if is_float and self.epilogue.bias is not None:
            starts[:] = self.epilogue.bias
        for first in range(0, self.num_output, step):
            part = slice(first, min(first + step, self.num_output))
            channels = part.stop - first
            buffer = self.scratch.array("sums", (channels, patches.size))
            sums = buffer[:, :count]
            total = self.scratch.array("total", (channels, count), dtype) if is_float else sums
            product = self.scratch.array("product", (channels, count), dtype)
            total[:] = starts[part]
            for tap in range(self.taps):
                weight = self.tap_weights[part, tap : tap + 1]
                np.multiply(patches.tap(tap, 0, count)[part], weight, out=product, dtype=dtype)
                np.add(total, product, out=total)
            if is_float:
                np.copyto(sums, total, casting="same_kind")
            self.epilogue(sums, part, biased=is_float)
            image = buffer.reshape(channels, patches.out_h, patches.pitch)
            np.copyto(top[part], image[:, :, : patches.out_w], casting="unsafe")


def padding_value(layer: Layer, *, int8: bool) -> float:
    """What the borders hold: `pad_value`, cut to a whole number for int8. GraphError for one that int8 cannot hold."""
    value = layer.get.number("pad_value")
    if not int8:
        return value
    if not -129 < value < 128:
        raise fault(layer, f"has pad_value {value}, which is no int8 code")
    if value != 0:
        warnings.warn(f"layer {layer.name}: pad_value {value} goes into the int8 image unscaled", stacklevel=2)
    return float(int(value))


def prepare_static(layer: Layer, groups: int, weight_scale_count: int) -> GroupedConvolution:
    """Pack a convolution whose weights are records of the layer, float or int8 by its `int8_scale_term`."""
    window = window_of(layer)
    num_output = layer.get.integer("num_output")
    weight_count = layer.get.integer("weight_data_size")
    taps = window.kernel[0] * window.kernel[1]
    if num_output < 1 or weight_count < 1 or weight_count % (num_output * taps):
        raise fault(
            layer,
            f"has weight_data_size {weight_count}, "
            f"which is no multiple of num_output * kernel size = {num_output} * {taps}",
        )
    shape = (num_output, weight_count // (num_output * taps), *window.kernel)
    activation, bias = Activation(layer), read_bias(layer)
    term = layer.get.integer("int8_scale_term")
    if term == 0:
        if layer.weight("weight_data").dtype == "int8":
            raise fault(layer, "has int8 weights, but int8_scale_term 0 says float")
        weight = weights(layer, "weight_data", weight_count).reshape(shape)
        return GroupedConvolution(layer, window, weight, groups, Epilogue(layer, activation, bias))
    weight_scales = read_weight_scales(layer, weight_scale_count)
    bottom_scale = read_bottom_scale(layer)
    top_scale = read_scale(layer, "top_blob_int8_scales") if term > INT8_OUTPUT_TERM else None
    if weight_scale_count == 1:
        weight_scales = np.repeat(weight_scales, groups)
    codes = read_int8_weights(layer, weight_scales, weight_count).reshape(shape)
    per_output = np.repeat(weight_scales, num_output // weight_scales.size)
    largest_sum = float(np.abs(codes).view(np.uint8).sum(axis=(1, 2, 3), dtype=np.int64).max()) * 128
    epilogue = Epilogue(layer, activation, bias, descales(bottom_scale, per_output), top_scale, largest_sum)
    return GroupedConvolution(layer, window, codes, groups, epilogue, bottom_scale)


def prepare_dynamic(layer: Layer, groups: int) -> Operator:
    """A float convolution whose weight (num_output, channels, kernel_h, kernel_w), and bias, are bottom blobs."""
    if layer.get.integer("int8_scale_term") != 0:
        raise fault(layer, "has dynamic_weight and int8_scale_term, which do not go together")
    window, activation = window_of(layer, kernel=False), Activation(layer)
    count = 3 if layer.get.integer("bias_term") else 2

    def operator(bottoms: list[Array]) -> list[Array]:
        if len(bottoms) != count:
            raise fault(layer, f"takes {count} bottom blobs, not {len(bottoms)}")
        weight = floats(layer, bottoms[1])
        require_rank(layer, weight, 4)
        bias = floats(layer, bottoms[2]).reshape(-1) if count == 3 else None
        num_output = weight.shape[0]
        if num_output % groups or (bias is not None and bias.size != num_output):
            raise fault(layer, f"cannot use a weight blob of shape {weight.shape}: bias or group do not fit")
        sized = Window((weight.shape[2], weight.shape[3]), window.dilation, window.stride, window.pads)
        epilogue = Epilogue(layer, activation, bias)
        return [GroupedConvolution(layer, sized, weight, groups, epilogue)(bottoms[0])]

    return operator


def prepare_convolution(layer: Layer) -> Operator:
    """Convolution: (C, H, W) to (num_output, out_h, out_w), float32 or int8 in, float32 or (term > 100) int8 out.

    A float layer with a 1 by 1 kernel also takes a vector, which it treats as an InnerProduct layer would.
    Follows: ncnn src/layer/convolution.cpp @ a4d2ea1d.
    """
    if layer.get.integer("dynamic_weight"):
        return prepare_dynamic(layer, 1)
    convolution = prepare_static(layer, 1, layer.get.integer("num_output"))

    def operator(bottoms: list[Array]) -> list[Array]:
        if len(bottoms) != 1:
            raise fault(layer, f"takes one bottom blob, not {len(bottoms)}")
        blob = bottoms[0]
        pointwise = convolution.window.kernel == (1, 1) and convolution.bottom_scale is None
        if blob.ndim == 1 and pointwise and blob.size == convolution.group_channels:
            sums = convolution.tap_weights.reshape(convolution.num_output, -1) @ floats(layer, blob)[:, np.newaxis]
            convolution.epilogue(sums)
            return [sums.reshape(-1)]
        return [convolution(blob)]

    return operator


PREPARE: dict[str, Prepare] = {"Convolution": prepare_convolution}
