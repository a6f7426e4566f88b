"""Convolutions that deliver codes to several feature maps at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from librt.vecs import vec
from mypy_extensions import u8
from numpy.typing import NDArray

from fastpath.arena import Buffer, byte_buffer, long_vec
from fastpath.kernels import Kernels
from fastpath.kernels.packing import round_up
from fastpath.kernels.source.capacity import FEATURES, PATCH, SLACK
from fastpath.layers import recycle
from fastpath.layers.common import Array
from fastpath.layers.window import Pads
from fastpath.steps.calls import Action, Blobs, Step
from fastpath.steps.entry import Entry
from fastpath.steps.storage import Storage, storage_bytes
from spec.graph import Shape

COPIED = 32
"""Bytes of a pixel that are copied at a time."""


class Shelves:
    """Memory of feature maps that keep it as long as the plan lives. Their borders are filled once."""

    def __init__(self) -> None:
        self._arenas: list[tuple[Buffer[vec[u8]], int]] = []

    def storage(self, h: int, w: int, pixel: int, borders: Pads, zero: int) -> Storage:
        """Room for one feature map."""
        size = round_up(storage_bytes(h, w, pixel, borders), 64)
        if not self._arenas or self._arenas[-1][1] + size > FEATURES - PATCH:
            self._arenas.append((byte_buffer(FEATURES + SLACK), 0))
        buffer, place = self._arenas[-1]
        self._arenas[-1] = (buffer, place + size)
        buffer.items[place : place + size] = zero
        return Storage(buffer, h, w, pixel, *borders, zero, base=place)


def delivery(
    kernels: Kernels,
    source: Storage,
    first: int,
    target: Storage,
    places: NDArray[np.int64],
    zoom: int,
    *,
    surplus: bool,
) -> Action:
    """Copy the channels from `first` on to these channels of `target`. With `surplus` what lies behind may change."""
    n, pieces = places.size, bool((np.diff(places) != 1).any())
    if not pieces and (surplus or n % COPIED == 0):
        origin = source.from_channel(first).feature(kernels)
        top = target.from_channel(int(places[0])).feature(kernels)
        run = kernels.move.deliver
        return lambda: run(origin, source.h, source.w, zoom, n, top)
    run_each, table = kernels.move.deliver_each, long_vec(places, n)
    from_, to = source.feature(kernels), target.feature(kernels)
    return lambda: run_each(from_, source.h, source.w, zoom, first, table, to)


def write_channels(blobs: Blobs, name: str, shape: Shape, channels: NDArray[np.int64], values: Array) -> None:
    """Write some channels of a blob, which the first of several writers makes."""
    if name not in blobs:
        blobs[name] = recycle.blob(shape)
    blobs[name][channels] = values


@dataclass
class LeakedChannels:
    """Some channels of a blob that a convolution leaves as floats too: which, and what computes them."""

    blob: str
    shape: Shape
    channels: NDArray[np.int64]
    compute: Callable[[], Array]

    def __call__(self, blobs: Blobs) -> None:
        """Write the channels."""
        write_channels(blobs, self.blob, self.shape, self.channels, self.compute())


@dataclass
class CopiedChannels:
    """Some channels of a blob that come from another."""

    blob: str
    shape: Shape
    channels: NDArray[np.int64]
    source: str
    source_channels: NDArray[np.int64]

    def __call__(self, blobs: Blobs) -> None:
        """Write the channels."""
        write_channels(blobs, self.blob, self.shape, self.channels, blobs[self.source][self.source_channels])


@dataclass
class MovedStep:
    """A layer that moves channels, of which the most are there already."""

    copies: list[CopiedChannels]

    def __call__(self, blobs: Blobs) -> None:
        """Write the others."""
        for copy in self.copies:
            copy(blobs)


@dataclass
class RoutedStep:
    """A layer with routes in front of it or behind it: entries of blobs, then the layer, then leaks."""

    step: Step
    entries: list[tuple[str, Entry]] = field(default_factory=list)
    leaks: list[LeakedChannels] = field(default_factory=list)

    def __call__(self, blobs: Blobs) -> None:
        """Run everything."""
        for name, entry in self.entries:
            entry(blobs[name])
        self.step(blobs)
        for leak in self.leaks:
            leak(blobs)
