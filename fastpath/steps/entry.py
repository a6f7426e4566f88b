"""From floats to the codes of a feature map."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastpath.kernels import Kernels
from fastpath.layers.common import Array, Floats, fault
from fastpath.rounding import BELOW_HALF, BLOCK, INT8_MAX, finite, round_in_place
from fastpath.steps.storage import SIGNED_ZERO, Storage
from fastpath.steps.workshop import Workshop
from spec.graph import Layer, Shape


class Entry:
    """Brings a float32 or int8 blob into a feature map: quantize, add the zero point, interleave the channels."""

    def __init__(
        self, kernels: Kernels, workshop: Workshop, layer: Layer, scale: np.float32, storage: Storage, shape: Shape
    ) -> None:
        self.layer, self.scale = layer, scale
        self.codes: NDArray[np.int8] = workshop.panel.items.view(np.int8)[: math.prod(shape)]
        feature = storage.feature(kernels)
        # With a zero point of 128, adding it and flipping the highest bit are the same.
        self.arguments = (workshop.panel.data, workshop.panel.start, *shape, storage.zero, feature)
        self.interleave = kernels.move.interleave
        self.values = np.empty(BLOCK, np.float32)
        self.signs = np.empty(BLOCK, np.int32) if storage.zero else None

    def __call__(self, blob: Array) -> None:
        """GraphError for values that have no code."""
        flat = blob.reshape(-1)
        if blob.dtype == np.int8:
            np.copyto(self.codes, flat)
        else:
            if not finite(blob):
                raise fault(self.layer, "cannot quantize: NaN and infinities have no int8 codes")
            for first in range(0, flat.size, BLOCK):
                part = flat[first : first + BLOCK]
                values = self.values[: part.size]
                np.multiply(part, self.scale, out=values)
                round_in_place(values, None if self.signs is None else self.signs[: part.size])
                np.copyto(self.codes[first : first + part.size], values, casting="unsafe")
        self.interleave(*self.arguments)


class MapEntry:
    """Brings floats (pixels, channels) into a feature map: quantize, add the zero point."""

    def __init__(self, layer: Layer, scale: np.float32, storage: Storage, source: Floats) -> None:
        self.layer, self.scale, self.zero = layer, scale, storage.zero
        first = storage.origin - storage.buffer.start
        count = (storage.h - 1) * storage.row + (storage.w - 1) * storage.pixel + source.shape[1]
        shape, strides = (storage.h, storage.w, source.shape[1]), (storage.row, storage.pixel, 1)
        codes = storage.buffer.items[first : first + count].view(np.int8)
        self.codes = np.lib.stride_tricks.as_strided(codes, shape, strides)
        self.source = source.reshape(shape)
        self.rows = max(BLOCK // (storage.w * source.shape[1]), 1)
        self.values = np.empty((self.rows, *shape[1:]), np.float32)
        self.signs = np.empty(self.values.shape, np.int32) if storage.zero else None

    def __call__(self) -> None:
        """GraphError for values that have no code."""
        if not finite(self.source):
            raise fault(self.layer, "cannot quantize: NaN and infinities have no int8 codes")
        for first in range(0, self.codes.shape[0], self.rows):
            part = self.source[first : first + self.rows]
            codes, values = self.codes[first : first + self.rows], self.values[: part.shape[0]]
            np.multiply(part, self.scale, out=values)
            if self.signs is None:
                np.minimum(values, INT8_MAX, out=values)
                np.add(values, BELOW_HALF, out=values)
                np.copyto(codes, values, casting="unsafe")
            else:
                round_in_place(values, self.signs[: part.shape[0]])
                np.copyto(codes, values, casting="unsafe")
                # Adding a zero point of 128 and flipping the highest bit are the same.
                np.bitwise_xor(codes, np.int8(-SIGNED_ZERO), out=codes)
