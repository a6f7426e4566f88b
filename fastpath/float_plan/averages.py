"""Convolutions whose top blob is only averaged: computed pixel after pixel, as running sums over the pixels want it."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastpath.float_plan.calls import Call, activated, copied, product
from fastpath.float_plan.convolution import Filter
from fastpath.float_plan.places import Place
from fastpath.layers.common import SUMS_SIDE_BY_SIDE, Floats
from fastpath.layers.window import Pads
from fastpath.steps.calls import Blobs

FEWEST_CHANNELS = SUMS_SIDE_BY_SIDE
"""With fewer sums numpy adds in another order."""


def pixels_of(filter: Filter, h: int, w: int) -> Floats:
    """Room for the top blob (h, w, num_output), filled with what a 1 by 1 kernel makes of borders: its biases."""
    pixel = filter.matrix[:, :1].copy()
    filter.activation(pixel)
    pixels = np.empty((h, w, len(pixel)), np.float32)
    pixels[:] = pixel[:, 0]
    return pixels


def pixelwise(filter: Filter, bottom: Place, pads: Pads, pixels: Floats) -> list[Call]:
    """A 1 by 1 kernel with stride 1 into `pixels` inside its borders."""
    geometry = bottom.geometry
    sums = np.empty((geometry.h, geometry.pitch, pixels.shape[2]), np.float32)
    flat = sums.reshape(geometry.run, -1)
    inside = pixels[pads[0] : pads[0] + geometry.h, pads[2] : pads[2] + geometry.w]
    weights = np.ascontiguousarray(filter.matrix.T)
    return [
        product(bottom.runs_and_ones.T, weights, flat),
        *activated(filter.activation, flat),
        copied(sums[:, : geometry.w], inside),
    ]


class AverageStep:
    """Global average pooling of such pixels: sums of one pixel after the other, rounded every time."""

    def __init__(self, pixels: Floats, top: str) -> None:
        rows = pixels.reshape(-1, pixels.shape[2])
        self.total = partial(np.add.reduce, rows, axis=0, initial=np.float32(0))
        self.count, self.top = np.float32(len(rows)), top

    def __call__(self, blobs: Blobs) -> None:
        """Put the top blob (channels,) among the others."""
        blobs[self.top] = np.asarray(self.total()) / self.count
