"""The candidates of a weight scale by compiled kernels, samples of one shape side by side.

From one candidate to the next few codes change, and those by 1: the sums of all pixels go on from the candidate before.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from fastpath.calibration.eq_form import Candidates, Form
from fastpath.calibration.statistics import Floats
from fastpath.kernels.packing import round_up
from fastpath.kernels.source.search import Changes
from fastpath.kernels.source.similarity import REFERENCES
from fastpath.kernels.source.taps import IMAGES, RUN, SECOND

FEWEST = 3
"""So many samples at least are worth a block of lanes."""

NUMBERS = 384
"""Numbers of a run of pixels, about."""


class Samples:
    """Samples of one shape."""

    def __init__(self, form: Form, codes: Sequence[Floats], tops: Sequence[Floats]) -> None:
        """`codes` are (channels, h, w), `tops` (num_output * pixels)."""
        self._form, self._frame = form, Frame.of(form, codes[0])
        self._buffers, self._kernels = shared_buffers(), kernels.wide()
        self._count = len(codes)
        self._lanes = round_up(len(codes), BLOCK)
        self._half = max(NUMBERS // self._lanes, 1)
        blanks = [np.zeros_like(codes[0])] * (self._lanes - len(codes))
        self._images = self._frame.arranged([*codes, *blanks], np.int8)
        self._tops = np.zeros((len(tops[0]), self._lanes), np.float32)
        np.stack(tops, axis=1, out=self._tops[:, : len(codes)])
        self._rows = _rows_at_once(self._frame, self._lanes)
        self._taps = self._frame.taps(_rows_read(self._frame, self._rows)) * self._lanes
        self._is_tame = is_tame_layer(form) and is_tame(self._tops, SMALLEST_REFERENCE)

    @staticmethod
    def most(form: Form, image: Floats) -> int:
        """How many samples there is room for; 0 where the kernels are of no use."""
        frame = Frame.of(form, image)
        lanes = RUN // BLOCK * BLOCK
        while lanes and not _rows_at_once(frame, lanes):
            lanes -= BLOCK
        return lanes

    def takes(self, candidates: Candidates, sums: Floats) -> bool:
        """Whether the kernels can go on from these sums with these candidates."""
        return self._is_tame and candidates.exact and is_tame(candidates.descales) and bool(np.isfinite(sums).all())

    def extended(self, candidates: Candidates, sums: Floats) -> Floats:
        """The sums (2, samples, 1) of the groups before, and the terms of one more: (2, samples, candidates)."""
        form, frame, lanes = self._form, self._frame, self._lanes
        totals = lanes_of(self._buffers.totals.items, len(candidates.descales))
        totals[:, :, : self._count] = sums[:, :, 0]
        bench, step = self._buffers.record(self._kernels), frame.row * form.window.stride[0] * lanes
        first = candidates.group * form.outputs
        for channel, codes in enumerate(candidates.codes, start=first):
            changes = self._changes(codes, candidates.descales)
            output = output_record(self._kernels, form, channel)
            for y in range(0, frame.size[0], self._rows):
                rows = min(self._rows, frame.size[0] - y)
                self._load(candidates.group * form.groups // form.scales, y, rows)
                place = (channel * frame.size[0] + y) * frame.size[1]
                part = self._tops[place : place + rows * frame.size[1]]
                self._buffers.reference.items[: part.size] = part.reshape(-1)
                self._kernels.search.compare_candidates(
                    bench, step, rows, frame.size[1], self._half, lanes // BLOCK, changes, output,
                    self._buffers.reference.start,
                )  # fmt: skip
        return totals[:, :, : self._count].transpose(1, 2, 0).astype(np.float32)

    def _load(self, group: int, y: int, rows: int) -> None:
        """Bring what some rows of outputs read into the buffer; each number also holds the pixel half a run behind."""
        frame, half = self._frame, self._half
        if self._buffers.owner == (self, group, y):
            return
        self._buffers.owner = (self, group, y)
        channels, h = frame.channels // self._form.groups, _rows_read(frame, self._rows)
        start = y * self._form.window.stride[0]
        part = self._images[group * channels : (group + 1) * channels, start : start + h]
        shape = (channels, h, *part.shape[2:])
        target = self._buffers.images.items[: channels * h * part[0, 0].size].reshape(shape)[:, : part.shape[1]]
        np.multiply(part[:, :, half:], SECOND, out=target[:, :, : max(frame.row - half, 0)])
        target[:, :, max(frame.row - half, 0) :] = 0
        target += part

    def _changes(self, codes: Floats, descales: Floats) -> Changes:
        """The codes (k, candidates) of an output, candidate after candidate."""
        steps = np.diff(codes, axis=1, prepend=codes[:, :1]).astype(np.int64).T
        both = np.maximum(np.stack([steps, -steps], axis=1), 0)
        places = np.flatnonzero(both)
        changed = np.repeat(self._taps[places % len(codes)], both.reshape(-1)[places])
        begins = np.concatenate([[0], both.sum(axis=2).reshape(-1).cumsum()])
        used = np.flatnonzero(codes[:, 0])
        record: Changes = self._kernels.search.Changes(
            long_vec(self._taps[used], len(used)),
            _floats(codes[used, 0]),
            long_vec(changed, len(changed)),
            long_vec(begins, len(begins)),
            _floats(descales),
        )
        return record


def _floats(values: Floats) -> vec[float]:
    return vec[float](values.astype(np.float64))


def _rows_read(frame: Frame, rows: int) -> int:
    """Rows of an image that so many rows of outputs read."""
    window = frame.form.window
    return (rows - 1) * window.stride[0] + window.extent[0]


def _rows_at_once(frame: Frame, lanes: int) -> int:
    """Rows of outputs that the buffers have room for."""
    window = frame.form.window
    read = IMAGES // (frame.channels // frame.form.groups * frame.row * lanes)
    rows = min((read - window.extent[0]) // window.stride[0] + 1, REFERENCES // (frame.size[1] * lanes))
    return max(min(rows, frame.size[0]), 0)
