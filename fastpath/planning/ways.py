"""Memory for routes, and what fills it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from librt.vecs import vec
from mypy_extensions import u8

from fastpath import kernels
from fastpath.arena import Buffer, byte_buffer
from fastpath.kernels import Kernels
from fastpath.kernels.packing import round_up
from fastpath.kernels.source.capacity import FEATURES, SLACK
from fastpath.planning.routes import Delivery, Route, Routes, Source
from fastpath.planning.shapes import NO_PADS
from fastpath.steps.calls import Action
from fastpath.steps.convolution8 import Convolution8
from fastpath.steps.dense import dense_to_codes
from fastpath.steps.entry import Entry
from fastpath.steps.routed import COPIED, Shelves, delivery
from fastpath.steps.storage import Storage
from fastpath.steps.workshop import Workshop

PIXEL = 16
"""Bytes of a pixel are a multiple of this."""


class Ways:
    """The feature maps of all routes of a plan."""

    def __init__(self, routes: Routes) -> None:
        self.routes = routes
        self.shelves = Shelves()
        self.storages = {id(route): self._shelf(route) for route in routes.routes}
        self.filled: set[int] = set()

    @cached_property
    def passing(self) -> Buffer[vec[u8]]:
        """The arena of codes that are copied at once: all sources write to its start."""
        return byte_buffer(FEATURES + SLACK)

    def storage(self, index: int) -> Storage | None:
        """The feature map of the route that a convolution reads."""
        route = self.routes.by_reader.get(index)
        return None if route is None else self.storages[id(route)]

    def reader(self, convolution: Convolution8, index: int) -> Convolution8:
        """A convolution as it reads its route: channels in the route's order."""
        route = self.routes.by_reader.get(index)
        return convolution if route is None or not route.sorted else convolution.reading(route.order)

    def entries(self, workshop: Workshop, index: int) -> list[tuple[str, Entry]]:
        """The blobs that a route holds beside the codes of sources, to be quantized before its first reader runs."""
        route = self.routes.by_reader.get(index)
        if route is None or id(route) in self.filled:
            return []
        self.filled.add(id(route))
        layer, storage = self.routes.flow.layers[index], self.storages[id(route)]
        entries = []
        for name in route.parts():
            if name not in self.routes.names:
                places = route.from_blob(name)
                part = storage.from_channel(int(places[0]))
                shape = (places.size, *route.shape[1:])
                entries.append((name, Entry(kernels.narrow(), workshop, layer, route.scale, part, shape)))
        return entries

    def deliver(
        self,
        level: Kernels,
        workshop: Workshop,
        source: Source,
        convolution: Convolution8,
        bottom: Storage,
        pads: tuple[int, int],
    ) -> tuple[list[Action], str]:
        """What computes the codes of a source and copies them, and the name of the kernel."""
        assert source.stairs is not None
        repeated = convolution.of_channels(source.channels)
        only = source.deliveries[0]
        if len(source.deliveries) == 1 and only.zoom == 1 and not (np.diff(only.target) != 1).any():
            top = self.storages[id(only.route)].from_channel(int(only.target[0]))
            run, kernel = dense_to_codes(level, workshop, repeated, source.stairs, bottom, top, pads)
            return [run], kernel
        pixel = round_up(source.channels.size, PIXEL)
        own = Storage(self.passing, *source.size, pixel, *NO_PADS, only.route.zero, spare=True)
        run, kernel = dense_to_codes(level, workshop, repeated, source.stairs, bottom, own, pads)
        actions, first = [run], 0
        for item in source.deliveries:
            target, surplus = self.storages[id(item.route)], self._is_last(item)
            actions.append(delivery(level, own, first, target, item.target, item.zoom, surplus=surplus))
            first += item.channels.size
        return actions, kernel

    def _is_last(self, item: Delivery) -> bool:
        """Whether everything behind the channels of a delivery is written later."""
        behind = item.route.taps[int(item.target[-1]) + 1 :]
        name = item.route.taps[int(item.target[0])].blob
        return item.route.sorted and all(tap.blob != name for tap in behind)

    def _shelf(self, route: Route) -> Storage:
        channels, h, w = route.shape
        deliveries = [item for source in self.routes.sources.values() for item in source.deliveries]
        copied = [
            int(item.target[0]) + round_up(item.target.size, COPIED) for item in deliveries if item.route is route
        ]
        pixel = round_up(max(channels, *copied) if route.sorted else channels, PIXEL)
        return self.shelves.storage(h, w, pixel, route.borders, route.zero)
