"""Convolutions of blobs that are larger than an arena: a band of rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastpath.arena import byte_buffer
from fastpath.kernels import Kernels
from fastpath.kernels.source.capacity import FEATURES, PATCH, SLACK
from fastpath.layers.common import Array
from fastpath.steps.calls import Action, Blobs
from fastpath.steps.convolution8 import Convolution8
from fastpath.steps.dense import dense_to_blob
from fastpath.steps.depthwise import depthwise_to_blob
from fastpath.steps.entry import Entry
from fastpath.steps.storage import Storage, frame, storage_bytes
from fastpath.steps.workshop import Workshop
from spec.graph import Shape


@dataclass(frozen=True)
class Band:
    """Rows of the top blob, the rows of the bottom blob that they see, and the borders above and below those."""

    first: int
    end: int
    seen_first: int
    seen_end: int
    above: int
    below: int

    @property
    def form(self) -> tuple[int, int, int, int]:
        """What bands have in common that the same kernels with the same arguments compute."""
        return self.end - self.first, self.seen_end - self.seen_first, self.above, self.below


def band_of(convolution: Convolution8, shape: Shape, first: int, end: int) -> Band:
    """The band of these rows of the top blob, for a bottom blob of this shape."""
    above, stride = convolution.pads(shape)[0], convolution.window.stride[0]
    start, stop = first * stride - above, (end - 1) * stride - above + convolution.window.extent[0]
    return Band(first, end, max(start, 0), min(stop, shape[1]), max(-start, 0), max(stop - shape[1], 0))


def bands_of(convolution: Convolution8, shape: Shape, out_h: int, pixel: int) -> list[Band]:
    """Bands of equal height, each as high as an arena allows."""
    _, _, left, right = convolution.pads(shape)
    row = storage_bytes(1, shape[2], pixel, (0, 0, left, right))
    rows = (FEATURES - PATCH) // row
    most = max((rows - convolution.window.extent[0]) // convolution.window.stride[0] + 1, 1)
    height = -(-out_h // -(-out_h // most))
    return [band_of(convolution, shape, y, min(y + height, out_h)) for y in range(0, out_h, height)]


def can_band(convolution: Convolution8, shape: Shape, out_h: int, pixel: int) -> bool:
    """Whether an arena holds what each row of the top blob sees, and each sees something."""
    _, _, left, right = convolution.pads(shape)
    needed = storage_bytes(convolution.window.extent[0], shape[2], pixel, (0, 0, left, right))
    if needed > FEATURES - PATCH:
        return False
    return all(band.seen_first < band.seen_end for band in bands_of(convolution, shape, out_h, pixel))


class BandedConvolution:
    """A convolution from blob to blob, band by band."""

    def __init__(
        self, kernels: Kernels, workshop: Workshop, convolution: Convolution8, shape: Shape, top: Shape, pixel: int,
        zero: int,
    ) -> None:  # fmt: skip
        """For bottom and top blobs of these shapes; `pixel` bytes apart lie the pixels of the feature map."""
        self.source, self.target = convolution.layer.bottoms[0], convolution.layer.tops[0]
        self.shape = top
        self.bands = bands_of(convolution, shape, top[1], pixel)
        _, _, left, right = convolution.pads(shape)
        buffer = byte_buffer(FEATURES + SLACK)
        make = depthwise_to_blob if convolution.depthwise else dense_to_blob
        self.forms: dict[tuple[int, int, int, int], tuple[Entry, list[Action], Callable[[], Array]]] = {}
        for band in self.bands:
            if band.form in self.forms:
                continue
            rows, seen, above, below = band.form
            storage = Storage(buffer, seen, shape[2], pixel, above, below, left, right, zero)
            entry = Entry(
                kernels, workshop, convolution.layer, convolution.bottom_scale, storage, (shape[0], seen, shape[2])
            )
            compute, self.kernel = make(kernels, workshop, convolution, storage, (rows, top[2]), (above, left))
            self.forms[band.form] = entry, frame(kernels, storage), compute

    def __call__(self, blobs: Blobs) -> None:
        """Run the kernels and put the top blob among the others."""
        blob = blobs[self.source]
        top: Array | None = None
        for band in self.bands:
            entry, frames, compute = self.forms[band.form]
            entry(np.ascontiguousarray(blob[:, band.seen_first : band.seen_end]))
            for action in frames:
                action()
            part = compute()
            if top is None:
                top = np.empty(self.shape, part.dtype)
            top[:, band.first : band.end] = part
        assert top is not None
        blobs[self.target] = top
