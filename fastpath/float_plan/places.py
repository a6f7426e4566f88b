"""Where the feature maps of a float plan stand: one array of binary32 numbers that numpy and kernels share.

A feature map is planes, one a channel, with a plane of ones before the first, and of zeros between their rows: as the
row of a matrix product that meets the biases. Rows of a plane are `pitch` apart. The columns after a row are the border
after it and the border before the next one; so every tap of a kernel of stride 1 sees the plane as one run of memory,
shifted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fastpath.arena import int_buffer
from fastpath.kernels.packing import round_up
from fastpath.kernels.source.cells import CELL_ROW, CELLS
from fastpath.layers.common import Floats

VECTOR = 16
"""Numbers of one vector; planes are a multiple of this."""


@dataclass(frozen=True)
class Geometry:
    """Planes of h rows and w columns with borders of `pad` numbers, which rows that follow each other share."""

    h: int
    w: int
    pad: int

    @property
    def pitch(self) -> int:
        """From row to row."""
        return self.w + self.pad

    @property
    def run(self) -> int:
        """All rows with the borders after them."""
        return self.h * self.pitch

    @property
    def origin(self) -> int:
        """Where the first pixel stands in its plane."""
        return round_up(self.pad * self.pitch + self.pad, VECTOR)

    @property
    def plane(self) -> int:
        """From plane to plane."""
        return round_up(self.origin + (self.h + self.pad) * self.pitch + self.pad, VECTOR)


@dataclass(frozen=True)
class Place:
    """A feature map: its channels begin at `start` of the array `cells`; `whole` says that ones stand before them."""

    cells: Floats
    start: int
    channels: int
    geometry: Geometry
    whole: bool = True

    @cached_property
    def planes(self) -> Floats:
        """All numbers, borders among them: (channels, plane)."""
        plane = self.geometry.plane
        return self.cells[self.start : self.start + self.channels * plane].reshape(self.channels, plane)

    @cached_property
    def runs(self) -> Floats:
        """The rows with the borders between them: (channels, run), a view."""
        origin = self.geometry.origin
        return self.planes[:, origin : origin + self.geometry.run]

    @cached_property
    def runs_and_ones(self) -> Floats:
        """The same below a row of ones: (1 + channels, run), a view of a place that is `whole`."""
        plane, origin = self.geometry.plane, self.geometry.origin
        first = self.start - plane
        rows = self.cells[first : self.start + self.channels * plane].reshape(1 + self.channels, plane)
        return rows[:, origin : origin + self.geometry.run]

    @cached_property
    def image(self) -> Floats:
        """The pixels: (channels, h, w), a view."""
        geometry = self.geometry
        return self.runs.reshape(self.channels, geometry.h, geometry.pitch)[:, :, : geometry.w]

    @cached_property
    def gaps(self) -> Floats:
        """The borders between the rows: (channels, h, pad), a view."""
        geometry = self.geometry
        return self.runs.reshape(self.channels, geometry.h, geometry.pitch)[:, :, geometry.w :]

    def tap(self, y: int, x: int) -> int:
        """Where in `cells` the number `y` rows below and `x` columns right of the first pixel stands."""
        return self.start + self.geometry.origin + y * self.geometry.pitch + x

    def part(self, first: int, channels: int) -> Place:
        """Some of the channels."""
        start = self.start + first * self.geometry.plane
        return Place(self.cells, start, channels, self.geometry, self.whole and first == 0)


class OutOfRoom(Exception):
    """The feature maps need more than the array holds."""


class Cells:
    """The array, and which places in it are free; those of one geometry are used again, so borders stay zeros."""

    def __init__(self) -> None:
        self.buffer = int_buffer(CELLS)
        self.numbers: Floats = self.buffer.items.view(np.float32)
        self._end = 0
        self._free: dict[Geometry, list[Place]] = {}

    def take(self, geometry: Geometry, channels: int) -> Place:
        """Room for a feature map. OutOfRoom where there is none."""
        fitting = [place for place in self._free.get(geometry, []) if place.channels >= channels]
        if fitting:
            found = min(fitting, key=lambda place: place.channels)
            self._free[geometry].remove(found)
            return found
        start = self.reserve((1 + channels) * geometry.plane) + geometry.plane
        place = Place(self.numbers, start, channels, geometry)
        ones = place.runs_and_ones[0].reshape(geometry.h, geometry.pitch)
        ones[:, : geometry.w] = 1.0
        return place

    def give(self, place: Place) -> None:
        """Let a place that was taken be used again."""
        self._free.setdefault(place.geometry, []).append(place)

    def reserve(self, count: int) -> int:
        """The start of so many numbers that are never given back."""
        start = self._end
        self._end += round_up(count, VECTOR)
        if self._end > CELLS - CELL_ROW:
            raise OutOfRoom
        return start
