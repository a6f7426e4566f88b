"""Memory for the feature maps of a plan, and its steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from librt.vecs import vec
from mypy_extensions import u8

from fastpath import kernels
from fastpath.arena import Buffer, byte_buffer
from fastpath.kernels import Kernels
from fastpath.kernels.source.capacity import FEATURES, SLACK
from fastpath.layers.common import Floats, Operator
from fastpath.layers.window import Pads
from fastpath.planning.code_flow import CodeFlow
from fastpath.planning.following import Following
from fastpath.planning.groups import Groups
from fastpath.planning.int8_layers import row_count
from fastpath.planning.layer_kinds import (
    constants,
    is_global_average,
    is_normalization,
    is_relu,
    pool_window,
    pool_windows,
)
from fastpath.planning.plan import Plan, PlanRow, operator_row
from fastpath.planning.routes import Routes, Source
from fastpath.planning.shapes import pixel_bytes, shape_of
from fastpath.planning.ways import Ways
from fastpath.steps.bands import BandedConvolution
from fastpath.steps.calls import Action, Follower, Step
from fastpath.steps.convolution8 import Convolution8
from fastpath.steps.dense import (
    dense_to_blob,
    dense_to_codes,
    dense_to_map,
    dense_to_means,
    dense_to_pooled,
    runs_in_lanes,
)
from fastpath.steps.depthwise import depthwise_to_blob, depthwise_to_codes
from fastpath.steps.entry import Entry, MapEntry, RowsEntry, VectorEntry
from fastpath.steps.maps import NormalizedRows, PooledRows, add_maps, mean_of_map, rectify_map
from fastpath.steps.pooling import max_pool
from fastpath.steps.product import product_to_blob, rows_to_blob
from fastpath.steps.routed import CopiedChannels, LeakedChannels, MovedStep, RoutedStep
from fastpath.steps.step import BlobStep, CodesStep, ConstantStep, OperatorStep, SliceStep
from fastpath.steps.storage import SIGNED_ZERO, Storage, frame
from fastpath.steps.workshop import FLOAT_TILE, Workshop
from spec.graph import Layer, Shape

NARROW_PATCH = 320
"""Patches up to this length run on 256-bit vectors."""

LARGEST_FLOAT = 1e30
"""Bounds below this leave no doubt that floats are finite."""


@dataclass
class Place:
    """A feature map that has no memory yet: its shape, the first and last layer that touch it, its borders."""

    shape: Shape
    first: int
    last: int
    zero: int
    borders: Pads = (0, 0, 0, 0)

    def widen(self, borders: Pads) -> None:
        """Make room for these borders too."""
        above, below, left, right = (max(pair) for pair in zip(self.borders, borders, strict=True))
        self.borders = (above, below, left, right)


class Builder:
    """Gives the feature maps of a plan their memory, and makes its steps."""

    def __init__(self, flow: CodeFlow) -> None:
        self.flow = flow
        self.routes = Routes(flow)
        self.ways = Ways(self.routes)
        self.groups = flow.places()
        self.zeros = flow.zeros()
        self.workshop = Workshop()
        self.holders = self._find_holders()
        self.framed: set[str] = set()
        self.map_groups = flow.map_places()
        self.sums = self._find_sums()
        self.joined = {reader: index for index, reader in (*self.flow.pooled.items(), *self.sums.items())}
        """For each layer that the step of a convolution runs too: the convolution."""
        self.following = Following(flow, self.joined)
        self.fed = self._find_fed()
        self.map_places = self._sum_in_place()
        self.maps = self._allot_maps()
        self.entered: set[str] = set()
        self.averages = self._find_averages()
        self.places = self._find_places()
        self.storages = self._allot()

    def plan(self, operators: list[Operator], outputs: list[str]) -> Plan:
        """The plan, with one row a layer; `operators` run what stays with numpy."""
        result = Plan(outputs, shapes={name: blob.shape for name, blob in self.flow.blobs.items()})
        joined = {*self.averages.values(), *self.joined}
        known = constants(self.flow.layers) & self.flow.reached
        for index, layer in enumerate(self.flow.layers):
            kernel, reason, step = "numpy", self.flow.reasons.get(index, ""), None
            on_maps = bool(layer.bottoms) and self.flow.maps.issuperset((*layer.bottoms, *layer.tops))
            on_codes = bool(layer.bottoms) and self.flow.hidden.issuperset((*layer.bottoms, *layer.tops))
            if index in self.flow.convolutions:
                step, kernel = self._convolution(self.flow.convolutions[index], index)
            elif index in self.flow.banded:
                step, kernel = self._banded(self.flow.banded[index])
            elif index in self.flow.products:
                step, kernel = self._product(self.flow.products[index], index)
            elif layer.tops and known.issuperset(layer.tops):
                step, kernel = ConstantStep({name: self.flow.blobs[name] for name in layer.tops}), "constant"
            elif on_codes and layer.type == "Pooling":
                step, kernel = self._pooling(layer)
            elif on_maps and self.flow.is_sum(layer) and index not in joined:
                step, kernel = self._sum(layer)
            elif on_maps and is_relu(layer) and not self._adds(layer.bottoms[0]):
                step, kernel = self._relu(layer), f"relu{' in place' if self.flow.works_in_place(layer) else ''}"
            elif on_maps and is_normalization(layer):
                step, kernel = self._by_rows(index), "LRN, row after row"
            elif on_maps and layer.type == "Pooling" and index not in joined:
                step, kernel = self._by_rows(index), "maxima, row after row"
            elif is_global_average(layer) and layer.bottoms[0] in self.flow.maps:
                step, kernel = self._average(layer), "averages"
            elif self.routes.moves_codes(index):
                step, kernel = self._moved(index)
            elif self.flow.cuts_outermost(layer):
                step, kernel = SliceStep(layer, [len(self.flow.blobs[name]) for name in layer.tops]), "views"
            elif on_codes or on_maps or layer.type == "Input" or index in joined:
                kernel = "nothing to do"
            else:
                step = OperatorStep(layer, operators[index])
                row = operator_row(layer, operators[index], reason or f"{layer.type} has no kernel for these blobs")
                kernel, reason = row.kernel, row.reason
            if step is not None and self.flow.reached.issuperset(layer.bottoms):
                result.steps.append((step, [name for name in layer.bottoms if name not in outputs]))
                result.layers.append(index)
            result.rows.append(PlanRow(layer.name, kernel, reason))
        return result

    def _find_averages(self) -> dict[int, int]:
        """For each dense convolution whose float top blob only global average pooling reads: the pooling layer."""
        averages = {}
        for index, convolution in self.flow.convolutions.items():
            name = convolution.layer.tops[0]
            reader = self.flow.readers.get(name)
            if reader is None or convolution.depthwise or convolution.top_scale is not None or name in self.flow.hidden:
                continue
            pixels = math.prod(self.flow.blobs[name].shape[1:])
            if is_global_average(self.flow.layers[reader]) and pixels * convolution.num_output <= 2 * FLOAT_TILE:
                averages[index] = reader
        return averages

    def _find_holders(self) -> dict[str, tuple[str, int]]:
        """For every place inside the feature map of a Concat: that feature map, and the first channel."""
        holders = {}
        for layer in self.flow.layers:
            if layer.type == "Concat" and layer.tops[0] in self.flow.hidden:
                offset = 0
                for name in layer.bottoms:
                    holders[self.groups.find(name)] = (self.groups.find(layer.tops[0]), offset)
                    offset += self.flow.blobs[name].shape[0]
        return holders

    def _outermost(self, name: str) -> tuple[str, int]:
        """The feature map that a hidden blob lies in and that lies in no other, and the blob's first channel there."""
        place, offset = self.groups.find(name), 0
        while place in self.holders:
            place, channel = self.holders[place]
            offset += channel
        return place, offset

    def _find_places(self) -> dict[str, Place]:
        places: dict[str, Place] = {}
        for name in self.flow.hidden:
            shape = self.flow.blobs[name].shape
            first, last = self.flow.producers[name], self.flow.readers[name]
            place = places.setdefault(self._outermost(name)[0], Place(shape, first, last, self.zeros[name]))
            place.first, place.last = min(place.first, first), max(place.last, last)
            place.shape = max(place.shape, shape)
            place.widen(self._borders(name))
        for index, convolution in self.flow.convolutions.items():
            name = self.flow.layers[index].bottoms[0]
            if name not in self.flow.hidden and index not in self.routes.by_reader:
                new = Place(self.flow.blobs[name].shape, index, index, self._entry_zero(convolution))
                place = places.setdefault(self._entry_name(index), new)
                place.last = index
                place.widen(self._borders(name))
        for maker, readers in self.fed.items():
            for name in readers:
                places[name].first = self.following.root(maker)
        for index, product in self.flow.products.items():
            num_input = product.weight.shape[1]
            shape = (num_input, row_count(self.flow.blobs[self.flow.layers[index].bottoms[0]], num_input), 1)
            places[entry_name(index)] = Place(shape, index, index, self._entry_zero(product))
        return places

    def _entry_name(self, index: int) -> str:
        """The feature map that a convolution quantizes into: one for all that want the same codes of the same blob."""
        convolution = self.flow.convolutions[index]
        source = convolution.layer.bottoms[0]
        root = self.map_groups.find(source) if source in self.flow.maps else self.flow.before_splits(source)
        return f"\n{root}\n{convolution.bottom_scale!r}"

    def _entry_zero(self, convolution: Convolution8) -> int:
        source = convolution.layer.bottoms[0]
        floats = self.flow.blobs[source].dtype == np.float32
        return 0 if floats and convolution.bottom_scale > 0 and self.flow.never_negative(source) else SIGNED_ZERO

    def _find_sums(self) -> dict[int, int]:
        """For each convolution that ends with an addition of maps, because the other map is there: the addition."""
        sums = {}
        for index, layer in enumerate(self.flow.layers):
            if layer.tops and layer.tops[0] in self.flow.maps and self.flow.is_sum(layer):
                last = max(self.flow.producers[name] for name in layer.bottoms)
                if last in self.flow.convolutions and self.flow.convolutions[last].layer.tops[0] in layer.bottoms:
                    sums[last] = index
        return sums

    def _sum_in_place(self) -> Groups:
        """Places of maps, where a convolution that ends with an addition leaves the sum where the other map was."""
        groups = self.flow.map_places()
        last = {groups.find(name): 0 for name in self.flow.maps}
        for name in self.flow.maps:
            place = groups.find(name)
            last[place] = max(last[place], self.flow.readers[name])
        for index, addition in self.sums.items():
            layer = self.flow.layers[addition]
            own = self.flow.convolutions[index].layer.tops[0]
            (other,) = (name for name in layer.bottoms if name != own)
            if last[groups.find(other)] == addition:
                until = last[groups.find(layer.tops[0])]
                groups.join_all([other, layer.tops[0]])
                last[groups.find(other)] = until
        return groups

    def _lives(self) -> dict[str, tuple[int, int]]:
        """The first and the last layer that touch each place of maps."""
        lives: dict[str, tuple[int, int]] = {}
        unmade = {self.flow.convolutions[index].layer.tops[0] for index in self.sums}
        for name in self.flow.maps - unmade:
            place, made, last = self.map_places.find(name), self.flow.producers[name], self.flow.readers[name]
            first, until = lives.get(place, (made, last))
            lives[place] = min(first, self.following.root(made)), max(until, last)
        return lives

    def _allot_maps(self) -> dict[str, Floats]:
        """Memory for every place of maps: an array that no other place needs while this one is alive."""
        lives = self._lives()
        slots: list[tuple[int, int]] = []
        chosen = {}
        for place, (first, until) in sorted(lives.items(), key=lambda item: item[1]):
            size = math.prod(self.flow.blobs[place].shape)
            slot = next((i for i, (_, busy_until) in enumerate(slots) if busy_until < first), len(slots))
            slots[slot : slot + 1] = [(max(size, slots[slot][0]) if slot < len(slots) else size, until)]
            chosen[place] = slot
        memory = [np.zeros(size, np.float32) for size, _ in slots]
        return {
            place: memory[slot][: math.prod(shape)].reshape(-1, shape[0])
            for place, slot in chosen.items()
            for shape in [self.flow.blobs[place].shape]
        }

    def _map(self, name: str) -> Floats:
        """The map (pixels, channels) that a blob is."""
        return self.maps[self.map_places.find(name)]

    def _adds(self, name: str) -> bool:
        return self.flow.is_sum(self.flow.layers[self.flow.producers[name]])

    def _sum(self, layer: Layer) -> tuple[Step, str]:
        """The step of an addition of maps, with the ReLU behind it, and what it is called."""
        relu = self._rectified(layer)
        run = add_maps(self._map(layer.bottoms[0]), self._map(layer.bottoms[1]), self._map(layer.tops[0]), relu)
        return CodesStep(layer.tops[0], None, [run]), "sum and relu" if relu else "sum"

    def _rectified(self, layer: Layer) -> bool:
        """Whether a ReLU follows."""
        return is_relu(self.flow.layers[self.flow.readers[layer.tops[0]]])

    def _relu(self, layer: Layer) -> Step:
        return CodesStep(layer.tops[0], None, [rectify_map(self._map(layer.bottoms[0]), self._map(layer.tops[0]))])

    def _by_rows(self, index: int) -> Step | None:
        """The step of LRN or max pooling of maps; None where it follows another layer."""
        if index in self.following.behind:
            return None
        follower, frames = self._follower(index)
        return CodesStep(self.flow.layers[index].tops[0], None, [*frames, partial(follower.write, 0, follower.rows)])

    def _follower(self, index: int) -> tuple[Follower, list[Action]]:
        """LRN or max pooling of maps, and what fills the borders of the codes that are made of it."""
        layer = self.flow.layers[index]
        source, target = layer.bottoms[0], layer.tops[0]
        shape, top = shape_of(self.flow.blobs[source]), shape_of(self.flow.blobs[target])
        followers, frames = self._followers(index)
        if is_normalization(layer):
            return NormalizedRows(layer, self._map(source), self._map(target), shape[1], followers), frames
        window = pool_window(layer, shape)
        assert window is not None
        return PooledRows(self._map(source), shape, window, self._map(target), top, followers), frames

    def _average(self, layer: Layer) -> Step:
        source = self._map(layer.bottoms[0])
        return BlobStep(layer.bottoms[0], None, [], lambda: mean_of_map(source), layer.tops[0])

    def _borders(self, name: str) -> Pads:
        """The borders that the reader of a blob needs."""
        reader, shape = self.flow.readers[name], self.flow.blobs[name].shape
        if reader in self.flow.convolutions:
            return self.flow.convolutions[reader].pads(shape)
        windows = pool_windows(self.flow.layers[reader], shape) if self.flow.layers[reader].type == "Pooling" else None
        return windows[2] if windows else (0, 0, 0, 0)

    def _allot(self) -> dict[str, Storage]:
        """Memory for every place: an arena that no other place needs while this one is alive."""
        arenas: list[tuple[Buffer[vec[u8]], int]] = []
        storages = {}
        for name, place in sorted(self.places.items(), key=lambda item: item[1].first):
            slot = next((i for i, (_, busy_until) in enumerate(arenas) if busy_until < place.first), len(arenas))
            buffer = arenas[slot][0] if slot < len(arenas) else byte_buffer(FEATURES + SLACK)
            arenas[slot : slot + 1] = [(buffer, place.last)]
            channels, h, w = place.shape
            storages[name] = Storage(buffer, h, w, pixel_bytes(channels), *place.borders, place.zero)
        return storages

    def _storage(self, name: str) -> Storage:
        """Where a hidden blob lies."""
        place, offset = self._outermost(name)
        return replace(self.storages[place], offset=offset, spare=self.groups.find(name) == place)

    def _frame(self, name: str) -> list[Action]:
        """What fills the border of a hidden blob's feature map, if this is the first layer that writes into it."""
        place, _ = self._outermost(name)
        if place in self.framed:
            return []
        self.framed.add(place)
        return frame(kernels.narrow(), self.storages[place])

    def _convolution(self, convolution: Convolution8, index: int) -> tuple[Step, str]:
        """The step of a convolution, and what it is called."""
        entries = self.ways.entries(self.workshop, index)
        if index in self.routes.sources:
            return self._source(self.routes.sources[index], entries)
        step, kernel = self._alone(self.ways.reader(convolution, index), index)
        return RoutedStep(step, entries) if entries else step, kernel

    def _source(self, source: Source, entries: list[tuple[str, Entry]]) -> tuple[Step, str]:
        """The step of a convolution that delivers codes, and what it is called."""
        convolution = self.ways.reader(source.convolution, source.index)
        name = convolution.layer.bottoms[0]
        bottom, place = self._bottom(source.index), self._place(convolution)
        lanes = runs_in_lanes(convolution.of_channels(source.channels), bottom.zero)
        level = self._level(convolution, lanes)
        entry, frames = self._entry(level, convolution, source.index, bottom)
        actions, kernel = self.ways.deliver(level, self.workshop, source, convolution, bottom, place)
        leaks = [
            LeakedChannels(
                leak.blob,
                shape_of(self.flow.blobs[leak.blob]),
                leak.target,
                dense_to_blob(level, self.workshop, convolution.of_channels(leak.channels), bottom, source.size, place)[
                    0
                ],
            )
            for leak in source.leaks
        ]
        step = CodesStep(name, entry, [*frames, *actions])
        return RoutedStep(step, entries, leaks), f"{kernel}, codes out{' and floats' if leaks else ''}"

    def _moved(self, index: int) -> tuple[Step | None, str]:
        """What is left to do of a layer that moves what sources deliver, and what it is called."""
        rests = self.routes.rests.get(index)
        if not rests:
            return None, "nothing to do"
        shapes = {rest.blob: shape_of(self.flow.blobs[rest.blob]) for rest in rests}
        copies = [
            CopiedChannels(rest.blob, shapes[rest.blob], rest.target, rest.source, rest.channels) for rest in rests
        ]
        return MovedStep(copies), "the rest of its floats"

    def _bottom(self, index: int) -> Storage:
        """The feature map that a convolution reads."""
        name = self.flow.layers[index].bottoms[0]
        if name in self.flow.hidden:
            return self._storage(name)
        return self.ways.storage(index) or self.storages[self._entry_name(index)]

    def _place(self, convolution: Convolution8) -> tuple[int, int]:
        """The border above and left that a convolution reads."""
        pads = convolution.pads(self.flow.blobs[convolution.layer.bottoms[0]].shape)
        return pads[0], pads[2]

    def _entry(
        self, level: Kernels, convolution: Convolution8, index: int, bottom: Storage
    ) -> tuple[Entry | MapEntry | None, list[Action]]:
        """What quantizes the bottom blob of a convolution, if that is to do, and fills its border."""
        name = convolution.layer.bottoms[0]
        if name in self.flow.hidden or index in self.routes.by_reader or self._entry_name(index) in self.entered:
            return None, []
        self.entered.add(self._entry_name(index))
        if name in self.flow.maps:
            entry: Entry | MapEntry = self._map_entry(index)
        else:
            shape = shape_of(self.flow.blobs[name])
            entry = Entry(level, self.workshop, convolution.layer, convolution.bottom_scale, bottom, shape)
        return entry, frame(level, bottom)

    def _map_entry(self, index: int) -> MapEntry:
        """What quantizes the map that a convolution reads."""
        convolution = self.flow.convolutions[index]
        name = convolution.layer.bottoms[0]
        storage, bounded = self.storages[self._entry_name(index)], self.flow.largest(name) < LARGEST_FLOAT
        return MapEntry(
            kernels.wide(),
            self.workshop,
            convolution.layer,
            convolution.bottom_scale,
            storage,
            self._map(name),
            bounded=bounded,
        )

    def _followers(self, index: int) -> tuple[list[Follower], list[Action]]:
        """What becomes of a map row after row while a layer makes it, and what fills the borders of the codes then."""
        readers = self.fed.get(index, {})
        self.entered.update(readers)
        followers: list[Follower] = [self._map_entry(reader) for reader in readers.values()]
        frames = [action for name in readers for action in frame(kernels.narrow(), self.storages[name])]
        for layer, before in self.following.behind.items():
            if before == index:
                follower, more = self._follower(layer)
                followers.append(follower)
                frames += more
        return followers, frames

    def _find_fed(self) -> dict[int, dict[str, int]]:
        """For each layer that makes a map row after row: the feature maps it is quantized into, each with a reader."""
        fed: dict[int, dict[str, int]] = {}
        for index, convolution in self.flow.convolutions.items():
            name = convolution.layer.bottoms[0]
            maker = (
                self.following.maker(name) if name in self.flow.maps and index not in self.routes.by_reader else None
            )
            if maker is not None:
                fed.setdefault(maker, {}).setdefault(self._entry_name(index), index)
        return fed

    def _alone(self, convolution: Convolution8, index: int) -> tuple[Step, str]:
        """The step of a convolution that makes one blob, and what it is called."""
        source, target = convolution.layer.bottoms[0], convolution.layer.tops[0]
        bottom, place = self._bottom(index), self._place(convolution)
        level = self._level(convolution, target in self.flow.hidden and runs_in_lanes(convolution, bottom.zero))
        entry, actions = self._entry(level, convolution, index, bottom)
        if target in self.flow.hidden:
            stairs = self.flow.stairs[index]
            actions += self._frame(target)
            top = self._storage(target)
            make = depthwise_to_codes if convolution.depthwise else dense_to_codes
            run, kernel = make(level, self.workshop, convolution, stairs, bottom, top, place)
            return CodesStep(source, entry, [*actions, run]), f"{kernel}, codes out"
        size = self.flow.blobs[target].shape[1:]
        if index in self.averages:
            target = self.flow.layers[self.averages[index]].tops[0]
            compute, kernel = dense_to_means(level, self.workshop, convolution, bottom, (size[0], size[1]), place)
            return BlobStep(source, entry, actions, compute, target), kernel
        followers, frames = self._followers(index)
        if index in self.flow.pooled:
            pooling = self.flow.layers[self.flow.pooled[index]]
            pool, pooled = pool_window(pooling, self.flow.blobs[target].shape), self.flow.blobs[pooling.tops[0]].shape
            assert pool is not None
            run, kernel = dense_to_pooled(
                level, self.workshop, convolution, bottom, (size[0], size[1]), place, pool, (pooled[1], pooled[2]),
                self._map(pooling.tops[0]), followers,
            )  # fmt: skip
            return CodesStep(source, entry, [*actions, *frames, run]), f"{kernel}, float32 inside"
        if target in self.flow.maps:
            run, kernel = self._to_map(level, convolution, index, bottom, followers)
            return CodesStep(source, entry, [*actions, *frames, run]), f"{kernel}, float32 inside"
        make_blob = depthwise_to_blob if convolution.depthwise else dense_to_blob
        compute, kernel = make_blob(level, self.workshop, convolution, bottom, (size[0], size[1]), place)
        return BlobStep(source, entry, actions, compute, target), f"{kernel}, {self.flow.blobs[target].dtype} out"

    def _to_map(
        self, level: Kernels, convolution: Convolution8, index: int, bottom: Storage, followers: list[Follower]
    ) -> tuple[Action, str]:
        """What computes a map of floats, and what it is called."""
        source, target = convolution.layer.bottoms[0], convolution.layer.tops[0]
        pads, (_, out_h, out_w) = convolution.pads(self.flow.blobs[source].shape), self.flow.blobs[target].shape
        arguments = (level, self.workshop, convolution, bottom, (out_h, out_w), (pads[0], pads[2]))
        if index not in self.sums:
            return dense_to_map(*arguments, self._map(target), followers)
        layer = self.flow.layers[self.sums[index]]
        (other,) = (name for name in layer.bottoms if name != target)
        relu = self._rectified(layer)
        run, kernel = dense_to_map(*arguments, self._map(layer.tops[0]), followers, self._map(other), rectified=relu)
        return run, f"{kernel} and sum{' and relu' if relu else ''}"

    def _product(self, product: Convolution8, index: int) -> tuple[Step, str]:
        """The step of an InnerProduct, and what it is called."""
        source, target = product.layer.bottoms[0], product.layer.tops[0]
        bottom, num_input = self.storages[entry_name(index)], product.weight.shape[1]
        if bottom.h > 1:
            rows = RowsEntry(self.workshop, product.layer, product.bottom_scale, bottom, num_input)
            compute, kernel = rows_to_blob(self._level(product, lanes=False), self.workshop, product, bottom)
            return BlobStep(source, rows, [], compute, target), f"{kernel}, float32 out"
        entry = VectorEntry(product.layer, product.bottom_scale, bottom, num_input)
        shape = shape_of(self.flow.blobs[target])
        compute, kernel = product_to_blob(kernels.wide(), self.workshop, product, bottom, shape)
        return BlobStep(source, entry, [], compute, target), f"{kernel}, float32 out"

    def _banded(self, convolution: Convolution8) -> tuple[Step, str]:
        """The step of a convolution of a blob that is larger than an arena, and what it is called."""
        source, target = convolution.layer.bottoms[0], convolution.layer.tops[0]
        shape, top = shape_of(self.flow.blobs[source]), shape_of(self.flow.blobs[target])
        level, pixel = self._level(convolution, lanes=False), pixel_bytes(shape[0])
        zero = self._entry_zero(convolution)
        step = BandedConvolution(level, self.workshop, convolution, shape, top, pixel, zero)
        return step, f"{step.kernel}, {len(step.bands)} bands, {self.flow.blobs[target].dtype} out"

    @staticmethod
    def _level(convolution: Convolution8, lanes: bool) -> Kernels:
        """Vectors of 256 bits for dot products of short patches, which spend their time adding up lanes."""
        short = math.prod(convolution.weight.shape[1:]) <= NARROW_PATCH
        return kernels.narrow() if short and not lanes and not convolution.depthwise else kernels.wide()

    def _pooling(self, layer: Layer) -> tuple[Step, str]:
        """The step of max pooling on codes, and what it is called."""
        source, target = layer.bottoms[0], layer.tops[0]
        shape = self.flow.blobs[source].shape
        windows = pool_windows(layer, shape)
        assert windows is not None
        kernel, stride, borders = windows
        actions = self._frame(target)
        level = kernels.wide()
        place = (borders[0], borders[2])
        run = max_pool(
            level, self.workshop, kernel, stride, shape[0], self._storage(source), self._storage(target), place
        )
        return CodesStep(source, None, [*actions, run]), f"max_pool {level.name}, codes out"


def entry_name(index: int) -> str:
    """The name of the feature map that a convolution quantizes its float blob into; no blob is called so."""
    return f"\n{index}"
