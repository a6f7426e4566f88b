"""From floats to the codes of a feature map."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastpath.kernels import Kernels
from fastpath.layers.common import Array, Floats, fault
from fastpath.rounding import BLOCK, finite, round_in_place, scaled
from fastpath.steps.storage import SIGNED_ZERO, Storage
from fastpath.steps.workshop import Workshop
from spec.graph import Layer, Shape


class Quantizer:
    """Turns float32 or int8 values into int8 codes, a few at a time."""

    def __init__(self, layer: Layer, scale: np.float32, codes: NDArray[np.int8]) -> None:
        self.layer, self.scale, self.codes = layer, scale, codes
        size = min(BLOCK, codes.size)
        self.values, self.signs = np.empty(size, np.float32), np.empty(size, np.int32)

    def __call__(self, blob: Array) -> None:
        """GraphError for values that have no code."""
        flat = blob.reshape(-1)
        if blob.dtype == np.int8:
            np.copyto(self.codes, flat)
            return
        for first in range(0, flat.size, BLOCK):
            part = flat[first : first + BLOCK]
            try:
                self.write(part, first)
            except ValueError as error:
                raise fault(self.layer, f"cannot quantize: {error}") from None

    def write(self, part: Floats, first: int) -> None:
        """Some codes from one place on. ValueError for values that have none."""
        values = self.values[: part.size]
        scaled(part, self.scale, values, self.signs[: part.size])
        np.copyto(self.codes[first : first + part.size], values, casting="unsafe")


class Encoder(Quantizer):
    """The same by a kernel, into the panel."""

    def __init__(self, kernels: Kernels, workshop: Workshop, layer: Layer, scale: np.float32, size: int) -> None:
        super().__init__(layer, scale, workshop.panel.items.view(np.int8)[:size])
        self.run = kernels.encode.run if kernels.shifts_lanes else None
        self.floats, self.bits, self.panel = workshop.floats, workshop.bits, workshop.panel

    def write(self, part: Floats, first: int) -> None:
        """Some codes from one place on. ValueError for values that have none."""
        if self.run is None:
            super().write(part, first)
            return
        if not finite(part):
            raise ValueError("NaN and infinities have no int8 codes")
        np.multiply(part, self.scale, out=self.floats[: part.size])
        self.run(self.bits.data, self.bits.start, part.size, self.panel.data, self.panel.start + first, -1, 0)


class Entry:
    """Brings a float32 or int8 blob into a feature map: quantize, add the zero point, interleave the channels."""

    def __init__(
        self, kernels: Kernels, workshop: Workshop, layer: Layer, scale: np.float32, storage: Storage, shape: Shape
    ) -> None:
        self.quantize = Encoder(kernels, workshop, layer, scale, math.prod(shape))
        feature = storage.feature(kernels)
        # With a zero point of 128, adding it and flipping the highest bit are the same.
        self.arguments = (workshop.panel.data, workshop.panel.start, *shape, storage.zero, feature)
        self.interleave = kernels.move.interleave

    def __call__(self, blob: Array) -> None:
        """GraphError for values that have no code."""
        self.quantize(blob)
        self.interleave(*self.arguments)


class VectorEntry:
    """Brings a blob into a feature map of one pixel: quantize, add the zero point."""

    def __init__(self, layer: Layer, scale: np.float32, storage: Storage, size: int) -> None:
        first = storage.origin - storage.buffer.start
        self.codes: NDArray[np.int8] = storage.buffer.items[first : first + size].view(np.int8)
        self.quantize = Quantizer(layer, scale, self.codes)
        self.signed = bool(storage.zero)

    def __call__(self, blob: Array) -> None:
        """GraphError for values that have no code."""
        self.quantize(blob)
        if self.signed:
            np.bitwise_xor(self.codes, np.int8(-SIGNED_ZERO), out=self.codes)


class RowsEntry:
    """Brings a matrix into a feature map of its rows, one below the other: quantize, add the zero point."""

    def __init__(self, workshop: Workshop, layer: Layer, scale: np.float32, storage: Storage, num_input: int) -> None:
        first, shape = storage.origin - storage.buffer.start, (storage.h, storage.pixel)
        rows = storage.buffer.items[first : first + storage.h * storage.pixel].view(np.int8).reshape(shape)
        self.rows = rows[:, :num_input]
        self.codes = workshop.panel.items.view(np.int8)[: storage.h * num_input]
        self.quantize = Quantizer(layer, scale, self.codes)
        self.flip = np.int8(-SIGNED_ZERO if storage.zero else 0)

    def __call__(self, blob: Array) -> None:
        """GraphError for values that have no code."""
        self.quantize(blob)
        np.bitwise_xor(self.codes.reshape(self.rows.shape), self.flip, out=self.rows)


class MapEntry:
    """Brings floats (pixels, channels) into a feature map: quantize, add the zero point."""

    def __init__(
        self,
        kernels: Kernels,
        workshop: Workshop,
        layer: Layer,
        scale: np.float32,
        storage: Storage,
        source: Floats,
        *,
        bounded: bool = False,
    ) -> None:
        """`bounded` promises that all floats are finite."""
        self.layer, self.scale, self.zero, self.bounded = layer, scale, storage.zero, bounded
        first = storage.origin - storage.buffer.start
        count = (storage.h - 1) * storage.row + (storage.w - 1) * storage.pixel + source.shape[1]
        shape, strides = (storage.h, storage.w, source.shape[1]), (storage.row, storage.pixel, 1)
        codes = storage.buffer.items[first : first + count].view(np.int8)
        self.codes = np.lib.stride_tricks.as_strided(codes, shape, strides)
        self.source = source.reshape(shape)
        self.rows = max(BLOCK // (storage.w * source.shape[1]), 1)
        tile = (self.rows, *shape[1:])
        self.values = workshop.floats[: math.prod(tile)].reshape(tile)
        self.signs = workshop.signs[: math.prod(tile)].reshape(tile)
        self.encode = kernels.encode.rows if kernels.shifts_lanes else None
        self.bits = workshop.bits
        self.target = (storage.w, source.shape[1], storage.feature(kernels), -1 if storage.zero else 0, storage.zero)

    def __call__(self) -> None:
        """GraphError for values that have no code."""
        for first in range(0, self.codes.shape[0], self.rows):
            self.write(first, min(first + self.rows, self.codes.shape[0]))

    def write(self, first: int, end: int) -> None:
        """Some rows, no more than `rows`. GraphError for values that have no code."""
        part, codes, values = self.source[first:end], self.codes[first:end], self.values[: end - first]
        if not self.bounded and not finite(part):
            raise fault(self.layer, "cannot quantize: NaN and infinities have no int8 codes")
        np.multiply(part, self.scale, out=values)
        if self.encode is not None:
            self.encode(self.bits.data, self.bits.start, first, end, *self.target)
            return
        round_in_place(values, self.signs[: end - first] if self.zero else None)
        np.copyto(codes, values, casting="unsafe")
        if self.zero:
            # Adding a zero point of 128 and flipping the highest bit are the same.
            np.bitwise_xor(codes, np.int8(-SIGNED_ZERO), out=codes)
