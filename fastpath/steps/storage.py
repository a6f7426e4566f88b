"""Where feature maps lie, and what lies around them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from librt.vecs import vec
from mypy_extensions import u8

from fastpath.arena import Buffer
from fastpath.kernels import Kernels
from fastpath.kernels.source.records import Feature
from fastpath.steps.calls import Action

SIGNED_ZERO = 128
"""The zero point of feature maps with negative codes."""


@dataclass
class Storage:
    """Where a feature map lies: the channels from `offset` on of an h by w map that begins at `base` in an arena."""

    buffer: Buffer[vec[u8]]
    h: int
    w: int
    pixel: int
    above: int
    below: int
    left: int
    right: int
    zero: int
    offset: int = 0
    spare: bool = False
    """Whether the bytes between the channels of one pixel and the next pixel are nobody's."""
    base: int = 0

    @property
    def row(self) -> int:
        """Bytes from row to row."""
        return (self.left + self.w + self.right) * self.pixel

    @property
    def origin(self) -> int:
        """The place of the first channel of pixel (0, 0)."""
        return self.buffer.start + self.base + self.above * self.row + self.left * self.pixel + self.offset

    def from_channel(self, channel: int) -> Storage:
        """The same feature map without the channels before that."""
        return replace(self, offset=self.offset + channel, spare=False)

    def feature(self, kernels: Kernels, pad_top: int = 0, pad_left: int = 0) -> Feature:
        """The record that kernels read, beginning so many pixels before pixel (0, 0): above 0 a border."""
        place = self.origin - pad_top * self.row - pad_left * self.pixel
        feature: Feature = kernels.records.Feature(self.buffer.data, place, self.row, self.pixel)
        return feature


def storage_bytes(h: int, w: int, pixel: int, borders: tuple[int, int, int, int]) -> int:
    """The bytes of a feature map with its borders (above, below, left, right)."""
    above, below, left, right = borders
    return (above + h + below) * (left + w + right) * pixel


def frame(kernels: Kernels, storage: Storage) -> list[Action]:
    """What fills the border pixels of a feature map; nothing where it has none."""
    borders = (storage.above, storage.below, storage.left, storage.right)
    if not any(borders):
        return []
    feature = replace(storage, offset=0).feature(kernels)
    run = kernels.move.frame
    return [lambda: run(feature, storage.h, storage.w, *borders, storage.zero)]
