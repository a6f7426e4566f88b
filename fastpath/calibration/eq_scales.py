"""The candidates of an activation scale by compiled kernels, side by side for one sample.

Short sums are computed in binary64, those of two scales in one number, and never leave the nearest cache. Long ones are
int8 products of feature maps, as in a plan.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from librt.vecs import vec

from fastpath import kernels
from fastpath.arena import long_vec
from fastpath.calibration.eq_bench import (
    BLOCK,
    SMALLEST_REFERENCE,
    Frame,
    is_tame,
    is_tame_layer,
    lanes_of,
    load_factors,
    output_record,
    shared_buffers,
)
from fastpath.calibration.eq_form import Form, is_exact
from fastpath.calibration.statistics import Floats
from fastpath.kernels.packing import GROUP, dense_form, fits_dense, pack_dense, round_up
from fastpath.kernels.source.capacity import ACCUMULATORS, CHANNELS, FEATURES, PATCH, POINTS
from fastpath.kernels.source.chains import LANES
from fastpath.kernels.source.similarity import DESCALES, REFERENCES
from fastpath.kernels.source.taps import IMAGES
from fastpath.steps.convolution8 import window_record
from fastpath.steps.entry import MapEntry
from fastpath.steps.storage import SIGNED_ZERO, Storage

SHORT = 40
"""Sums of up to so many products are short."""

NARROW = 256
"""Products of up to so many codes run on shorter vectors."""

CACHED = 1 << 18
"""Numbers of images side by side, if possible."""

TILE = 1 << 15
"""Integer sums that become floats at a time."""

SumsOfScales = Callable[[Floats, Floats, Floats], Floats]
"""From a sample (an image, its reference, its activation scales) to the sums of y * y and x * y, (2, scales)."""


def takes(form: Form, bottom: Floats, top: Floats, codes: Floats, factors: Floats) -> bool:
    """Whether the kernels may compute a sample with these weights (num_output, k) and descale factors."""
    return (
        is_tame_layer(form)
        and form.groups == 1
        and len(codes) * 2 * LANES <= DESCALES
        and is_exact(codes)
        and is_tame(factors)
        and is_tame(top, SMALLEST_REFERENCE)
        and bool(np.isfinite(bottom).all())
    )


def sums_of_scales(form: Form, image: Floats, codes: Floats, factors: Floats) -> SumsOfScales | None:
    """What computes samples whose images are like this one; None where they are too large.

    `codes` are the weights (num_output, k), `factors` (num_output, tries) descale.
    """
    frame = Frame.of(form, image)
    if codes.shape[1] <= SHORT and form.fill == 0 and ShortSums.fits(frame):
        return ShortSums(form, frame, codes, factors).sums
    if LongSums.fits(frame, codes):
        return LongSums(form, frame, codes, factors).sums
    return None


def _parts(tries: int, most: int) -> list[slice]:
    """The tries in parts of about one size, none larger than `most`."""
    blocks = -(-tries // BLOCK)
    parts = -(-blocks // (most // BLOCK))
    ends = [blocks * i // parts * BLOCK for i in range(parts + 1)]
    return [slice(first, end) for first, end in itertools.pairwise(ends)]


class ShortSums:
    """A layer whose sums are computed in binary64."""

    def __init__(self, form: Form, frame: Frame, codes: Floats, factors: Floats) -> None:
        self._form, self._frame, self._factors = form, frame, factors
        self._buffers, self._kernels = shared_buffers(), kernels.wide()
        self._count = self._scales_at_once(frame)
        self._taps = frame.taps(frame.padded[0])
        self._codes = vec[float](codes.reshape(-1).astype(np.float64))

    @staticmethod
    def fits(frame: Frame) -> bool:
        """Whether there is room for images at `BLOCK` scales."""
        return ShortSums._scales_at_once(frame) > 0 and frame.pixels <= REFERENCES

    @staticmethod
    def _scales_at_once(frame: Frame) -> int:
        numbers = frame.channels * frame.padded[0] * frame.row
        room = min(2 * IMAGES // numbers, LANES)
        return min(room, max(2 * CACHED // numbers, BLOCK)) // BLOCK * BLOCK

    def sums(self, image: Floats, top: Floats, tries: Floats) -> Floats:
        """The sums of y * y and x * y."""
        values = np.asarray(self._frame.arranged([image], np.float32), np.float32).reshape(-1)
        found = np.empty((2, len(tries)), np.float32)
        totals = lanes_of(self._buffers.totals.items, 1)
        self._buffers.owner = None
        for some in _parts(len(tries), self._count):
            lanes = round_up(len(tries[some]), BLOCK)
            self._quantize(values, tries[some], lanes)
            totals[:] = 0
            self._compare(top, self._factors[:, some], lanes)
            found[:, some] = totals[0, :, : len(tries[some])]
        return found

    def _quantize(self, values: Floats, tries: Floats, lanes: int) -> None:
        """The codes of an image at some scales, side by side."""
        scales, source, images = self._buffers.descales, self._buffers.apart, self._buffers.images
        scales.items[: len(tries)] = tries
        source.items[: len(values)] = values
        self._kernels.search.quantize(
            source.data, source.start, len(values), scales.data, scales.start, lanes // 2, images.data, images.start
        )

    def _compare(self, top: Floats, factors: Floats, lanes: int) -> None:
        """Add the terms of all outputs to the sums."""
        frame, form, outputs, half = self._frame, self._form, len(factors), lanes // 2
        bench, descales, references = (
            self._buffers.record(self._kernels),
            self._buffers.descales,
            self._buffers.reference,
        )
        load_factors(descales.items, factors)
        step, taps = frame.row * form.window.stride[0] * half, long_vec(self._taps * half, len(self._taps))
        for channel in range(outputs):
            references.items[: frame.pixels] = top[channel * frame.pixels : (channel + 1) * frame.pixels]
            self._kernels.search.compare_output(
                bench, step, *frame.size, half, taps, self._codes, channel * len(self._taps),
                descales.start + channel * 2 * LANES, output_record(self._kernels, form, channel), references.start,
            )  # fmt: skip


class LongSums:
    """A layer whose sums are int8 products of feature maps (h, w, channels), one for each scale."""

    def __init__(self, form: Form, frame: Frame, codes: Floats, factors: Floats) -> None:
        self._form, self._frame, self._factors = form, frame, factors
        self._buffers = shared_buffers()
        self._kernels = kernels.wide()
        self._products = kernels.narrow() if codes.shape[1] <= NARROW else self._kernels
        self._outputs, self._count = self._extents(frame, codes)
        weight = codes.astype(np.int8).reshape(len(codes), frame.channels, *form.window.kernel)
        self._weights = [
            pack_dense(self._products, weight[first : first + self._outputs], dense_form(self._products, weight))
            for first in range(0, len(weight), self._outputs)
        ]
        self._excess = codes.sum(axis=1) * SIGNED_ZERO
        self._window = window_record(self._products, form.window, *frame.size)
        self._bytes = frame.padded[0] * frame.padded[1] * frame.channels
        self._storages = [self._storage(i * self._bytes) for i in range(self._count)]
        self._maps = [storage.feature(self._products, *frame.pads[::2]) for storage in self._storages]
        self._pixels = np.empty((self._storages[0].h * self._storages[0].w, frame.channels), np.float32)
        self._entries = [
            MapEntry(
                self._products, self._buffers.workshop, form.layer, np.float32(1), storage, self._pixels, bounded=True
            )
            for storage in self._storages
        ]

    @staticmethod
    def fits(frame: Frame, codes: Floats) -> bool:
        """Whether there is room for `BLOCK` feature maps, and for the sums of a few outputs."""
        weight = codes.astype(np.int8).reshape(len(codes), frame.channels, *frame.form.window.kernel)
        return (
            fits_dense(weight) and frame.channels <= CHANNELS - BLOCK * GROUP and LongSums._extents(frame, codes)[1] > 0
        )

    @staticmethod
    def _extents(frame: Frame, codes: Floats) -> tuple[int, int]:
        """How many outputs are computed at a time, and for how many scales."""
        outputs = min(
            max(ACCUMULATORS // (2 * BLOCK * frame.pixels) // GROUP * GROUP, GROUP), round_up(len(codes), GROUP)
        )
        h, w = frame.padded
        panel = (w + frame.form.window.dilation[1]) * frame.channels * frame.form.window.kernel[0] + 64
        count = min(
            ACCUMULATORS // (outputs * frame.pixels),
            (FEATURES - PATCH) // max(h * w * frame.channels, panel),
            (POINTS - 16) // frame.size[1],
            LANES,
        )
        return outputs, count // BLOCK * BLOCK

    def _storage(self, base: int) -> Storage:
        """Where the feature map of one scale lies."""
        (h, w), (above, below, left, right) = self._frame.padded, self._frame.pads
        inside = (h - above - below, w - left - right)
        return Storage(
            self._buffers.maps, *inside, self._frame.channels, above, below, left, right, SIGNED_ZERO, base=base
        )

    def sums(self, image: Floats, top: Floats, tries: Floats) -> Floats:
        """The sums of y * y and x * y."""
        found = np.empty((2, len(tries)), np.float32)
        totals = lanes_of(self._buffers.totals.items, 1)
        for some in _parts(len(tries), self._count):
            self._quantize(image, tries[some])
            totals[:] = 0
            self._compare(top, self._factors[:, some])
            found[:, some] = totals[0, :, : len(tries[some])]
        return found

    def _quantize(self, image: Floats, tries: Floats) -> None:
        """The codes of an image at some scales, as feature maps one after the other."""
        np.copyto(self._pixels, np.moveaxis(image, 0, -1).reshape(self._pixels.shape))
        if any(self._frame.pads):
            self._buffers.maps.items[: len(tries) * self._bytes] = self._form.fill + SIGNED_ZERO
        for entry, scale in zip(self._entries, tries, strict=False):
            entry.scale = scale
            entry()

    def _compare(self, top: Floats, factors: Floats) -> None:
        """Add the terms of all outputs to the sums."""
        frame, outputs, lanes = self._frame, len(factors), round_up(factors.shape[1], BLOCK)
        load_factors(self._buffers.descales.items, factors)
        plane, scratch = frame.pixels * lanes, self._buffers.workshop.scratch(self._products)
        for i, weights in enumerate(self._weights):
            self._products.search.sums_side_by_side(self._maps[:lanes], self._window, weights, scratch, plane)
            first = i * self._outputs
            for channel in range(first, min(first + self._outputs, outputs)):
                self._compare_plane(channel, top, (channel - first) * plane, lanes)

    def _compare_plane(self, channel: int, top: Floats, origin: int, lanes: int) -> None:
        """Add the terms of one output, whose integer sums begin at `origin`."""
        pixels = self._frame.pixels
        self._buffers.reference.items[:pixels] = top[channel * pixels : (channel + 1) * pixels]
        output, excess = output_record(self._kernels, self._form, channel), float(self._excess[channel])
        sums, apart = self._buffers.workshop.sums.items[origin : origin + pixels * lanes], self._buffers.apart.items
        bench, descale = self._buffers.record(self._kernels), self._buffers.descales.start + channel * 2 * LANES
        step = TILE // lanes
        for start in range(0, pixels, step):
            count = min(step, pixels - start)
            np.copyto(apart[: count * lanes], sums[start * lanes : (start + count) * lanes])
            place = self._buffers.reference.start + start
            self._kernels.search.compare_sums(bench, count, lanes // BLOCK, excess, descale, output, place)
