"""Shapes of blobs, and the room that their feature maps take."""

from __future__ import annotations

from fastpath.kernels.packing import round_up
from fastpath.kernels.source.capacity import CHANNELS, FEATURES, PATCH
from fastpath.layers.common import Array
from fastpath.layers.window import Pads
from fastpath.steps.storage import storage_bytes
from spec.graph import Shape

NO_PADS: Pads = (0, 0, 0, 0)

MOST_CHANNELS = CHANNELS - 64
"""Channels of a feature map, with room for what kernels write past the last one."""


def shape_of(blob: Array) -> Shape:
    """The shape as plain integers."""
    return tuple(int(extent) for extent in blob.shape)


def pixel_bytes(channels: int) -> int:
    """From pixel to pixel in a feature map of so many channels."""
    return channels if channels < 8 else round_up(channels, 16)


def fits_arena(shape: Shape, borders: Pads) -> bool:
    """Whether a feature map (channels, h, w) with these borders fits one arena."""
    channels, h, w = shape
    return channels <= MOST_CHANNELS and storage_bytes(h, w, pixel_bytes(channels), borders) <= FEATURES - PATCH
