"""The candidates of an activation scale by compiled kernels, side by side for one sample.

Short sums are computed in binary64, two outputs in one number, and never leave the nearest caches. Long ones are int8
products of feature maps, as in a plan.
"""

from __future__ import annotations

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
    output_record,
    shared_buffers,
)
from fastpath.calibration.eq_form import Form, is_exact
from fastpath.calibration.statistics import Floats
from fastpath.kernels.packing import GROUP, dense_form, fits_dense, pack_dense, round_up
from fastpath.kernels.source.capacity import ACCUMULATORS, CHANNELS, FEATURES, PATCH, POINTS
from fastpath.kernels.source.chains import LANES
from fastpath.kernels.source.similarity import DESCALES, REFERENCES
from fastpath.kernels.source.taps import IMAGES, RUN, SECOND
from fastpath.rounding import BELOW_HALF, INT8_MAX
from fastpath.steps.convolution8 import window_record
from fastpath.steps.storage import SIGNED_ZERO

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
        and len(codes) * LANES <= DESCALES
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


class ShortSums:
    """A layer whose sums are computed in binary64."""

    def __init__(self, form: Form, frame: Frame, codes: Floats, factors: Floats) -> None:
        self._form, self._frame, self._factors = form, frame, factors
        self._buffers, self._kernels = shared_buffers(), kernels.wide()
        self._count = self._scales_at_once(frame)
        self._taps = frame.taps(frame.padded[0]) * self._count
        pairs = np.zeros((round_up(len(codes), 2), codes.shape[1]))
        pairs[: len(codes)] = codes
        self._codes = vec[float]((pairs[::2] + SECOND * pairs[1::2]).reshape(-1))

    @staticmethod
    def fits(frame: Frame) -> bool:
        """Whether there is room for images at `BLOCK` scales."""
        return ShortSums._scales_at_once(frame) > 0 and 2 * frame.pixels <= REFERENCES

    @staticmethod
    def _scales_at_once(frame: Frame) -> int:
        numbers = frame.channels * frame.padded[0] * frame.row
        room = min(IMAGES // numbers, (IMAGES - RUN - BLOCK) // frame.pixels, LANES)
        return min(room, max(CACHED // numbers, BLOCK)) // BLOCK * BLOCK

    def sums(self, image: Floats, top: Floats, tries: Floats) -> Floats:
        """The sums of y * y and x * y."""
        values = np.asarray(self._frame.arranged([image], np.float32), np.float32).reshape(-1)
        found = np.empty((2, len(tries)), np.float32)
        totals = lanes_of(self._buffers.totals.items, 1)
        self._buffers.owner = None
        for first in range(0, len(tries), self._count):
            some = slice(first, first + self._count)
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
            source.data, source.start, len(values), scales.data, scales.start, lanes // BLOCK, images.data, images.start
        )

    def _compare(self, top: Floats, factors: Floats, lanes: int) -> None:
        """Add the terms of all outputs to the sums."""
        frame, form, outputs = self._frame, self._form, len(factors)
        self._buffers.descales.items[: outputs * LANES].reshape(outputs, LANES)[:, : factors.shape[1]] = factors
        bench, step = self._buffers.record(self._kernels), frame.row * form.window.stride[0] * lanes
        taps = long_vec(self._taps // self._count * lanes, len(self._taps))
        for channel in range(0, outputs, 2):
            last = min(channel + 1, outputs - 1)
            part = top[channel * frame.pixels : (last + 1) * frame.pixels]
            self._buffers.reference.items[: len(part)] = part
            records = (output_record(self._kernels, form, each) for each in (channel, last))
            self._kernels.search.compare_two_outputs(
                bench, step, *frame.size, lanes // BLOCK, taps, self._codes, channel // 2 * len(self._taps),
                self._buffers.descales.start + channel * LANES, *records, last - channel + 1,
                self._buffers.reference.start,
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

    def sums(self, image: Floats, top: Floats, tries: Floats) -> Floats:
        """The sums of y * y and x * y."""
        found = np.empty((2, len(tries)), np.float32)
        pixels = np.ascontiguousarray(np.moveaxis(image, 0, -1)).reshape(-1)
        totals = lanes_of(self._buffers.totals.items, 1)
        for first in range(0, len(tries), self._count):
            some = slice(first, first + self._count)
            self._quantize(pixels, tries[some])
            totals[:] = 0
            self._compare(top, self._factors[:, some])
            found[:, some] = totals[0, :, : len(tries[some])]
        return found

    def _quantize(self, pixels: Floats, tries: Floats) -> None:
        """The codes of an image at some scales, as feature maps one after the other."""
        (h, w), channels, (above, below, left, right) = self._frame.padded, self._frame.channels, self._frame.pads
        maps = self._buffers.maps.items[: len(tries) * h * w * channels].reshape(len(tries), h, w * channels)
        if any(self._frame.pads):
            maps[:] = self._form.fill + SIGNED_ZERO
        inside = maps[:, above : h - below, left * channels : (w - right) * channels]
        halves, largest = np.copysign(BELOW_HALF, pixels), np.abs(pixels).max()
        codes, octets = np.empty(len(pixels), np.float32), np.empty(len(pixels), np.int8)
        for target, scale in zip(inside, tries, strict=True):
            np.multiply(pixels, scale, out=codes)
            if largest * scale > INT8_MAX:
                np.clip(codes, -INT8_MAX, INT8_MAX, out=codes)
            np.add(codes, halves, out=codes)
            np.copyto(octets, codes, casting="unsafe")
            np.bitwise_xor(octets.view(np.uint8).reshape(target.shape), SIGNED_ZERO, out=target)

    def _compare(self, top: Floats, factors: Floats) -> None:
        """Add the terms of all outputs to the sums."""
        frame, outputs, lanes = self._frame, len(factors), round_up(factors.shape[1], BLOCK)
        self._buffers.descales.items[: outputs * LANES].reshape(outputs, LANES)[:, : factors.shape[1]] = factors
        row, start = frame.padded[1] * frame.channels, self._buffers.maps.start
        maps = [
            self._products.records.Feature(
                self._buffers.maps.data, start + i * frame.padded[0] * row, row, frame.channels
            )
            for i in range(lanes)
        ]
        plane, scratch = frame.pixels * lanes, self._buffers.workshop.scratch(self._products)
        for i, weights in enumerate(self._weights):
            self._products.search.sums_side_by_side(maps, self._window, weights, scratch, plane)
            first = i * self._outputs
            for channel in range(first, min(first + self._outputs, outputs)):
                self._compare_plane(channel, top, (channel - first) * plane, lanes)

    def _compare_plane(self, channel: int, top: Floats, origin: int, lanes: int) -> None:
        """Add the terms of one output, whose integer sums begin at `origin`."""
        pixels = self._frame.pixels
        self._buffers.reference.items[:pixels] = top[channel * pixels : (channel + 1) * pixels]
        output, excess = output_record(self._kernels, self._form, channel), float(self._excess[channel])
        sums, apart = self._buffers.workshop.sums.items[origin : origin + pixels * lanes], self._buffers.apart.items
        bench, descale = self._buffers.record(self._kernels), self._buffers.descales.start + channel * LANES
        step = TILE // lanes
        for start in range(0, pixels, step):
            count = min(step, pixels - start)
            np.copyto(apart[: count * lanes], sums[start * lanes : (start + count) * lanes])
            place = self._buffers.reference.start + start
            self._kernels.search.compare_sums(bench, count, lanes // BLOCK, excess, descale, output, place)
