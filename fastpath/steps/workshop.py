"""What the steps of a plan share."""

from __future__ import annotations

import numpy as np
from librt.vecs import vec
from mypy_extensions import i32

from fastpath.arena import Buffer, byte_buffer, int_buffer, long_vec, word_buffer
from fastpath.kernels import Kernels
from fastpath.kernels.source.capacity import (
    ACCUMULATOR_SLACK,
    ACCUMULATORS,
    CHANNELS,
    FEATURES,
    FLOATS,
    POINTS,
    SLACK,
    STEPS,
    WORD_ROW,
    WORDS,
)
from fastpath.kernels.source.records import Scratch

FLOAT_TILE = FLOATS
"""Sums that wait together to become floats."""


class Workshop:
    """What the steps of a plan share: the panel, the sums, and tables of steps. Belongs to one thread."""

    def __init__(self) -> None:
        self.panel = byte_buffer(FEATURES + SLACK)
        self.sums = int_buffer(ACCUMULATORS + ACCUMULATOR_SLACK)
        self.points = long_vec(np.zeros(0), POINTS)
        self.codes = word_buffer(CHANNELS)
        self.words = word_buffer(WORDS + WORD_ROW)
        self.bits = int_buffer(2 * FLOATS)
        """Floats, as the integers that their bit patterns are."""
        self.floats = self.bits.items.view(np.float32)[:FLOATS]
        self.signs = np.empty(FLOAT_TILE, np.int32)
        self.tables: list[tuple[Buffer[vec[i32]], int]] = []
        self.scratches: dict[str, Scratch] = {}
        self.no_table = vec[i32]()
        self.no_parts = int_buffer(0)

    def scratch(self, kernels: Kernels) -> Scratch:
        """The shared buffers as a record of one level."""
        if kernels.name not in self.scratches:
            self.scratches[kernels.name] = kernels.records.Scratch(
                self.panel.data,
                self.panel.start,
                self.sums.data,
                self.sums.start,
                self.points,
                self.codes.data,
                self.words.data,
                self.words.start,
            )
        return self.scratches[kernels.name]

    def table(self, entries: int) -> tuple[Buffer[vec[i32]], int]:
        """Room for a table of steps: a buffer, and the place in it (counted from its first aligned item)."""
        if not self.tables or self.tables[-1][1] + entries > STEPS:
            self.tables.append((int_buffer(STEPS + CHANNELS * 256), 0))
        buffer, place = self.tables[-1]
        self.tables[-1] = (buffer, place + entries)
        return buffer, place
