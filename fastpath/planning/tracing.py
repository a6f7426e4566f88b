"""Where the channels of a blob come from, through layers that only move values."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastpath.layers.common import Array
from fastpath.layers.interp import NEAREST, taps
from spec.graph import Layer, Shape


@dataclass(frozen=True)
class Tap:
    """One channel of the blob that computed it, every value repeated `zoom` times in both directions."""

    blob: str
    channel: int
    zoom: int = 1


class Tracer:
    """Follows channels upwards through Split, Dropout, Concat, Slice, ShuffleChannel and enlarging Interp."""

    def __init__(self, layers: list[Layer], blobs: dict[str, Array], kept: set[str]) -> None:
        """`kept` blobs are not followed: they exist in another form than an array."""
        self.layers, self.blobs, self.kept = layers, blobs, kept
        self.producers = {top: index for index, layer in enumerate(layers) for top in layer.tops}
        self._traces: dict[str, list[Tap]] = {}

    def trace(self, name: str) -> list[Tap]:
        """For every channel of a blob (channels, h, w) where it was computed."""
        if name not in self._traces:
            index = self.producers.get(name)
            if index is not None and self.moves(index):
                self._traces[name] = self._through(self.layers[index], name)
            else:
                self._traces[name] = [Tap(name, channel) for channel in range(len(self.blobs[name]))]
        return self._traces[name]

    def moves(self, index: int) -> bool:
        """Whether a layer computes nothing: its tops hold the channels of its bottoms."""
        layer = self.layers[index]
        names = (*layer.bottoms, *layer.tops)
        if not layer.bottoms or self.kept.intersection(names) or any(name not in self.blobs for name in names):
            return False
        if any(self.blobs[name].ndim != 3 or self.blobs[name].dtype != np.float32 for name in names):
            return False
        get = layer.get
        if layer.type in ("Concat", "Slice"):
            return get.integer("axis") in (0, -3)
        if layer.type == "Dropout":
            return get.number("scale") == 1
        return layer.type in ("Split", "ShuffleChannel") or self._zoom(layer) > 0

    def _through(self, layer: Layer, top: str) -> list[Tap]:
        below = [tap for name in layer.bottoms for tap in self.trace(name)]
        if layer.type == "Slice":
            before = layer.tops[: layer.tops.index(top)]
            first = sum(len(self.blobs[name]) for name in before)
            return below[first : first + len(self.blobs[top])]
        if layer.type == "ShuffleChannel":
            group = layer.get.integer("group")
            rows = len(below) // group if layer.get.integer("reverse") else group
            order = np.arange(len(below)).reshape(rows, -1).T.reshape(-1)
            return [below[channel] for channel in order]
        if layer.type == "Interp":
            return [replace(tap, zoom=tap.zoom * self._zoom(layer)) for tap in below]
        return below

    def _zoom(self, layer: Layer) -> int:
        """How often an Interp repeats every value, in both directions; 0 where it does something else."""
        if layer.type != "Interp" or len(layer.bottoms) != 1 or layer.get.integer("resize_type") != NEAREST:
            return 0
        source, target = self.blobs[layer.bottoms[0]].shape, self.blobs[layer.tops[0]].shape
        zoom = target[1] // source[1]
        return zoom if repeats(layer, source, target, zoom) else 0


def repeats(layer: Layer, source: Shape, target: Shape, zoom: int) -> bool:
    """Whether an Interp to the nearest value repeats every row and column `zoom` times."""
    for axis, length, out in (("h", source[1], target[1]), ("w", source[2], target[2])):
        nearest = taps(layer, length, out, axis).first
        if out != length * zoom or not np.array_equal(nearest, np.arange(out) // zoom):
            return False
    return True
