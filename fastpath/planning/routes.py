"""Channels that go from convolution to convolution as codes, each with the scale of the layer that reads it.

Between two int8 convolutions Concat, Slice, ShuffleChannel, Split and enlarging Interp only move values, and what is
quantized behind them may as well be quantized before. So a convolution whose floats go such ways alone never makes
them: it computes codes, once for every scale that is wanted of a channel, and copies them where readers expect them.
Where a blob on the way is wanted as floats too, the convolution computes the channels that lie in it a second time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastpath.kernels.packing import round_up
from fastpath.kernels.staircase import Stairs
from fastpath.layers.window import Pads
from fastpath.planning.code_flow import CodeFlow
from fastpath.planning.groups import Groups
from fastpath.planning.shapes import NO_PADS, fits_arena, shape_of
from fastpath.planning.tracing import Tap, Tracer
from fastpath.steps.convolution8 import Convolution8
from fastpath.steps.routed import COPIED
from fastpath.steps.storage import SIGNED_ZERO
from spec.graph import Shape

REPEATED_PRODUCTS = 512
"""So many products are computed a second time, if need be, rather than making a float and its code apart."""


@dataclass
class Route:
    """A feature map that several layers fill: what its readers, convolutions of one scale, want of one blob.

    `taps` says where channel after channel of the feature map comes from; `order` which channel of the readers' bottom
    blob that is.
    """

    readers: list[int]
    taps: list[Tap]
    order: NDArray[np.int64]
    shape: Shape
    scale: np.float32
    borders: Pads
    sorted: bool
    """Whether all of one source lies together, and sources in the order in which they run; blobs come behind them."""
    zero: int = SIGNED_ZERO

    def from_blob(self, name: str) -> NDArray[np.int64]:
        """The channels of the feature map that come from one blob."""
        return np.array([channel for channel, tap in enumerate(self.taps) if tap.blob == name], np.int64)

    def parts(self) -> list[str]:
        """The blobs that channels come from, in the order of their first channel."""
        return list(dict.fromkeys(tap.blob for tap in self.taps))


@dataclass(frozen=True)
class Delivery:
    """Channels of a source that go into channels of a route, in that order; pixels are repeated `zoom` times."""

    route: Route
    channels: NDArray[np.int64]
    target: NDArray[np.int64]
    zoom: int


@dataclass(frozen=True)
class Leak:
    """Channels of a source that are wanted as floats, in these channels of a blob."""

    blob: str
    channels: NDArray[np.int64]
    target: NDArray[np.int64]


@dataclass(frozen=True)
class Rest:
    """The channels of a blob that leaks which come from another blob of floats."""

    blob: str
    source: str
    channels: NDArray[np.int64]
    target: NDArray[np.int64]


@dataclass
class Source:
    """A convolution that makes codes for routes: `deliveries`, and `stairs` for all their channels in that order."""

    index: int
    convolution: Convolution8
    size: tuple[int, int]
    deliveries: list[Delivery] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    stairs: Stairs | None = None

    @property
    def channels(self) -> NDArray[np.int64]:
        """The channels of all deliveries."""
        return np.concatenate([delivery.channels for delivery in self.deliveries])

    @property
    def scales(self) -> NDArray[np.float32]:
        """The scale of each of them."""
        counts = [delivery.channels.size for delivery in self.deliveries]
        return np.repeat(np.array([delivery.route.scale for delivery in self.deliveries], np.float32), counts)

    def pays(self) -> bool:
        """Whether computing channels several times takes less than making floats and codes apart."""
        if not self.deliveries:
            return False
        count = self.channels.size + sum(leak.channels.size for leak in self.leaks)
        own, products = self.convolution.num_output, math.prod(self.convolution.weight.shape[1:])
        fits = fits_arena((round_up(count, COPIED), *self.size), NO_PADS)
        return fits and (count - own) * products <= REPEATED_PRODUCTS * own


class Routes:
    """All routes of a network: `sources` by layer, `by_reader`, the blobs on the way, which are `virtual`, and `rests`.

    `rests` are by the layer that would make the blob that leaks.
    """

    def __init__(self, flow: CodeFlow) -> None:
        self.flow = flow
        self._climbed: dict[tuple[int, bytes, bytes], Stairs | None] = {}
        self.tracer = Tracer(flow.layers, flow.blobs, flow.hidden | flow.maps)
        self.readable = [index for index in flow.convolutions if self._reads_floats(index)]
        self.names = {flow.layers[index].tops[0]: index for index in flow.convolutions if self._may_feed(index)}
        while wrong := self._wrong():
            self.names = {name: index for name, index in self.names.items() if name not in wrong}
        self._set_zeros()
        self.by_reader = {reader: route for route in self.routes for reader in route.readers}
        self.virtual = {name for name in flow.blobs if self._is_virtual(name)}

    def _reads_floats(self, index: int) -> bool:
        name = self.flow.layers[index].bottoms[0]
        kept = name in self.flow.hidden or name in self.flow.maps
        return not kept and self.flow.blobs[name].dtype == np.float32

    def _may_feed(self, index: int) -> bool:
        """Whether a layer is a dense convolution of floats that something moves."""
        name = self.flow.layers[index].tops[0]
        if not self.flow.makes_floats(index) or index in self.flow.pooled or name in self.flow.maps:
            return False
        reader = self.flow.readers.get(name)
        return reader is not None and self.tracer.moves(reader)

    def _is_virtual(self, name: str) -> bool:
        """Whether a blob holds channels that sources make."""
        blob = self.flow.blobs[name]
        if blob.ndim != 3 or name in self.flow.hidden or name in self.flow.maps:
            return False
        return any(tap.blob in self.names for tap in self.tracer.trace(name))

    def _wrong(self) -> set[str]:
        """Find routes, leaks and sources for the current names; the names that must not be sources after all."""
        self.sources = {
            index: Source(index, self.flow.convolutions[index], self._size(name))
            for name, index in sorted(self.names.items(), key=lambda item: item[1])
        }
        self.routes, wrong = self._find_routes()
        wrong |= self._find_leaks() | self._find_halves()
        if wrong:
            return wrong
        for route in self.routes:
            self._deliver(route)
        unpaid = self._tops(source for source in self.sources.values() if not source.pays())
        return unpaid or self._tops(source for source in self.sources.values() if not self._climbs(source))

    def _size(self, name: str) -> tuple[int, int]:
        h, w = shape_of(self.flow.blobs[name])[1:]
        return h, w

    def _tops(self, sources: Iterable[Source]) -> set[str]:
        return {source.convolution.layer.tops[0] for source in sources}

    def _climbs(self, source: Source) -> bool:
        """Whether integers stand for the float steps of a source, found once for the same channels and scales."""
        key = source.index, source.channels.tobytes(), source.scales.tobytes()
        if key not in self._climbed:
            self._climbed[key] = source.convolution.of_channels(source.channels).stairs(source.scales)
        source.stairs = self._climbed[key]
        return source.stairs is not None

    def _find_routes(self) -> tuple[list[Route], set[str]]:
        """The routes, and the sources that readers could not use."""
        routes: dict[tuple[tuple[Tap, ...], np.float32], Route] = {}
        wrong = set[str]()
        for index in self.readable:
            taps = self.tracer.trace(self.flow.layers[index].bottoms[0])
            used = {tap.blob for tap in taps} & self.names.keys()
            if not used:
                continue
            route = self._route(index, taps)
            if route is None:
                wrong |= used
            elif (key := (tuple(taps), route.scale)) in routes:
                routes[key] = self._joined(routes[key], route)
            else:
                routes[key] = route
        return [self._sorted(route) for route in routes.values()], wrong

    def _route(self, index: int, taps: list[Tap]) -> Route | None:
        """The route to one convolution; None where it wants parts of a blob that is no source."""
        convolution = self.flow.convolutions[index]
        shape = self.flow.blobs[convolution.layer.bottoms[0]].shape
        pads = convolution.pads(shape)
        room = (round_up(len(taps), COPIED) + COPIED, *shape[1:])
        if not convolution.bottom_scale > 0 or not fits_arena(room, pads):
            return None
        order = np.arange(len(taps))
        route = Route([index], taps, order, shape, convolution.bottom_scale, pads, not convolution.depthwise)
        for name in route.parts():
            if name not in self.names and not self._is_whole(route, name):
                return None
        return route

    def _is_whole(self, route: Route, name: str) -> bool:
        """Whether a route holds a blob once, in one piece and in its own size."""
        places = route.from_blob(name)
        taps = [route.taps[place] for place in places]
        whole = taps == [Tap(name, channel) for channel in range(len(self.flow.blobs[name]))]
        return whole and np.array_equal(places, places[0] + np.arange(places.size))

    @staticmethod
    def _joined(route: Route, other: Route) -> Route:
        """One route for the readers of both."""
        above, below, left, right = (max(pair) for pair in zip(route.borders, other.borders, strict=True))
        readers, both = [*route.readers, *other.readers], route.sorted and other.sorted
        borders = (above, below, left, right)
        return Route(readers, route.taps, route.order, route.shape, route.scale, borders, both)

    def _sorted(self, route: Route) -> Route:
        """The route in the order in which its channels are written, if all readers can read it so."""
        if route.sorted:
            last = len(self.flow.layers)
            written = [(self.names.get(tap.blob, last), channel) for channel, tap in enumerate(route.taps)]
            order = np.array([channel for _, channel in sorted(written)])
            route.taps, route.order = [route.taps[channel] for channel in order], order
        return route

    def _find_leaks(self) -> set[str]:
        """Give sources their leaks; returns the sources that cannot leak into a blob as it is wanted."""
        wrong = set[str]()
        self.rests: dict[int, list[Rest]] = {}
        for name in filter(self._is_wanted, filter(self._is_virtual, self.flow.blobs)):
            taps = self.tracer.trace(name)
            used = list(dict.fromkeys(tap.blob for tap in taps))
            if any(tap.zoom != 1 for tap in taps):
                wrong |= self.names.keys() & used
                continue
            for part in used:
                target = np.array([channel for channel, tap in enumerate(taps) if tap.blob == part])
                channels = np.array([taps[channel].channel for channel in target])
                if part in self.names:
                    self.sources[self.names[part]].leaks.append(Leak(name, channels, target))
                else:
                    self.rests.setdefault(self.flow.producers[name], []).append(Rest(name, part, channels, target))
        return wrong

    def _find_halves(self) -> set[str]:
        """Sources behind which a layer moves what they make one way, and other blobs another way."""
        wrong = set[str]()
        for index, layer in enumerate(self.flow.layers):
            virtual = [name for name in layer.bottoms if name in self.flow.blobs and self._is_virtual(name)]
            if virtual and self.tracer.moves(index) and not all(map(self._is_virtual, layer.tops)):
                wrong |= {tap.blob for name in virtual for tap in self.tracer.trace(name)} & self.names.keys()
        return wrong

    def _is_wanted(self, name: str) -> bool:
        """Whether something reads a blob as floats."""
        reader = self.flow.readers.get(name)
        return reader is None or not (self.tracer.moves(reader) or reader in self.readable)

    def _deliver(self, route: Route) -> None:
        for name in route.parts():
            if name in self.names:
                target = route.from_blob(name)
                taps = [route.taps[channel] for channel in target]
                for zoom in sorted({tap.zoom for tap in taps}):
                    chosen = np.array([tap.zoom == zoom for tap in taps])
                    channels = np.array([tap.channel for tap in taps])
                    delivery = Delivery(route, channels[chosen], target[chosen], zoom)
                    self.sources[self.names[name]].deliveries.append(delivery)

    def _set_zeros(self) -> None:
        """Let routes that share a source have one zero point: 0 where none of them holds negative codes."""
        groups, signed = Groups(), list[str]()
        for route in self.routes:
            groups.join_all(route.parts())
            signed += [name for name in route.parts() if self._is_signed(name)]
        negative = {groups.find(name) for name in signed}
        for route in self.routes:
            route.zero = SIGNED_ZERO if groups.find(route.parts()[0]) in negative else 0

    def _is_signed(self, name: str) -> bool:
        if name not in self.names:
            return not self.flow.never_negative(name)
        stairs = self.sources[self.names[name]].stairs
        return stairs is None or stairs.low < 0

    def moves_codes(self, index: int) -> bool:
        """Whether a layer has nothing to do because sources deliver what it moves."""
        layer = self.flow.layers[index]
        return self.tracer.moves(index) and self.virtual.issuperset(layer.tops)
