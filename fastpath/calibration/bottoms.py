"""What calibration sees of a float network: the bottom blobs of its layers, sample by sample."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np

from fastpath.calibration.statistics import (
    NO_RANGE,
    Floats,
    Histogram,
    Magnitudes,
    Range,
    blob_histogram,
    blob_range,
    empty_histogram,
    examined_values,
    give_back_memory,
    histogram_of,
    magnitudes_of,
)
from fastpath.net import Net
from spec.errors import CalibrationError
from spec.graph import Graph, Layer

HELD_BYTES = 2 << 30
"""Activations up to this many bytes are kept from the first pass for the second, unless told otherwise."""

Activations = Callable[[Sequence[Floats], Sequence[str]], Iterable[Floats]]
"""Runs the float network on one sample, a blob for each Input layer in file order, and gives the blobs asked for.

A blob may be computed when it is taken, and need not be good any more when the next one is taken.
"""

Found = TypeVar("Found")

Tick = Callable[[], None]
"""Called before each sample."""


def _no_tick() -> None:
    pass


class Sample(Protocol):
    """One sample: what messages call it, and its input blobs, which are loaded when they are needed."""

    @property
    def name(self) -> str:
        """What messages call the sample."""

    def load(self) -> list[Floats]:
        """One blob for each Input layer, in file order."""


def net_activations(net: Net) -> Activations:
    """The float network `net` as calibration sees it."""

    def run(inputs: Sequence[Floats], names: Sequence[str]) -> Iterator[Floats]:
        with net.create_extractor() as extractor:
            for name, blob in zip(net.input_names(), inputs, strict=True):
                extractor.input(name, blob)
            yield from extractor.each(names)

    return run


def shared_sources(graph: Graph | None, layers: Sequence[Layer]) -> list[str]:
    """For each layer the blob that its first bottom blob is a copy of: Split layers hand on the same values."""
    copied = {top: layer.bottoms[0] for layer in graph or () if layer.type == "Split" for top in layer.tops}
    sources = []
    for layer in layers:
        name = layer.bottoms[0]
        while name in copied:
            name = copied[name]
        sources.append(name)
    return sources


class Bottoms:
    """The first bottom blobs of some layers: their magnitudes, kept for the next pass while they are not too large.

    Layers that read copies of one blob share it, if the `graph` is there to tell. Several threads can use one object.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        samples: Sequence[Sample],
        activations: Activations,
        upstream: bool = False,
        held_bytes: int = HELD_BYTES,
        graph: Graph | None = None,
    ) -> None:
        self.layers = layers
        self.samples = samples
        self.activations = activations
        sources = shared_sources(graph, layers)
        self._names = list(dict.fromkeys(sources))
        self._owners = [self._names.index(name) for name in sources]
        self._upstream = upstream
        self._free = held_bytes
        self._refused = 0
        """The bytes of a sample for which there was no room."""
        self._held: dict[int, list[Magnitudes]] = {}
        self._lock = threading.Lock()

    @property
    def complete(self) -> bool:
        """Whether the next pass needs no inference."""
        return len(self._held) == len(self.samples)

    def kept(self, positions: Sequence[int]) -> int:
        """For how many of these samples the next pass needs no inference."""
        return sum(position in self._held for position in positions)

    def ranges(self, positions: Sequence[int], tick: Tick = _no_tick) -> list[Range]:
        """The first pass over some samples: the range of each layer's bottom blob.

        CalibrationError naming sample and layer for activations that are not finite.
        """
        merged = [NO_RANGE] * len(self._names)
        for position in positions:
            tick()
            merged = [a.merge(b) for a, b in zip(merged, self._ranges(position), strict=True)]
        return [merged[i] for i in self._owners]

    def histograms(self, positions: Sequence[int], ranges: Sequence[Range], tick: Tick = _no_tick) -> list[Histogram]:
        """The second pass over some samples: the histogram of each layer's bottom blob over its range.

        It gives back the memory of their activations.
        """
        extents = [ranges[self._owners.index(i)].absmax for i in range(len(self._names))]
        merged = [empty_histogram(absmax) for absmax in extents]
        held: list[list[Magnitudes]] = []
        for position in positions:
            tick()
            blobs = self._release(position)
            if blobs is not None:
                held.append(blobs)
                continue
            found = self._run(position, lambda i, values: blob_histogram(values, extents[i]))
            merged = [a.merge(b) for a, b in zip(merged, found, strict=True)]
        merged = [a.merge(b) for a, b in zip(merged, _histograms(held, extents), strict=True)]
        del held
        give_back_memory()
        return [merged[i] for i in self._owners]

    def _ranges(self, position: int) -> list[Range]:
        """The ranges of the distinct bottom blobs of a sample, whose magnitudes are kept if there is room for them."""
        held = self._held.get(position)
        if held is None and self._free < self._refused:
            return self._run(position, lambda i, values: blob_range(values, position))
        return [magnitudes.range(position) for magnitudes in held or self._kept_magnitudes(position)]

    def _kept_magnitudes(self, position: int) -> list[Magnitudes]:
        """The magnitudes of the distinct bottom blobs of a sample, kept if there is room for them."""
        blobs = self._run(position, lambda i, values: magnitudes_of(values))
        size = _bytes(blobs)
        with self._lock:
            if size > self._free:
                self._refused = size
            elif position not in self._held:
                self._free -= size
                self._held[position] = blobs
        return blobs

    def _run(self, position: int, look: Callable[[int, Floats], Found]) -> list[Found]:
        """What comes of a look at each of the distinct bottom blobs of a sample, by running the network."""
        sample = self.samples[position]
        found: list[Found] = []
        for i, blob in enumerate(self.activations(sample.load(), self._names)):
            values = examined_values(np.asarray(blob, np.float32), self._upstream)
            try:
                found.append(look(i, values))
            except ValueError as error:
                layer = self.layers[self._owners.index(i)].name
                raise CalibrationError(str(error), sample=sample.name, layer=layer) from error
        return found

    def _release(self, position: int) -> list[Magnitudes] | None:
        with self._lock:
            blobs = self._held.pop(position, None)
            self._free += _bytes(blobs or ())
        return blobs


def _bytes(blobs: Sequence[Magnitudes]) -> int:
    return sum(blob.values.nbytes for blob in blobs)


def _histograms(samples: Sequence[Sequence[Magnitudes]], extents: Sequence[float]) -> list[Histogram]:
    """The histogram of each blob over some samples."""
    return [histogram_of([blobs[i] for blobs in samples], extent) for i, extent in enumerate(extents)]
