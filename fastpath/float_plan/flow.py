"""Who makes and reads each blob of a float plan, which borders it has, and which blobs are parts of others."""

from __future__ import annotations

from collections import defaultdict

from fastpath.float_plan.averages import FEWEST_CHANNELS
from fastpath.float_plan.layer_kinds import Kind, Planned, is_never_negative, plan_layer
from fastpath.float_plan.places import Geometry
from fastpath.planning.layer_kinds import is_global_average
from fastpath.steps.calls import Blobs
from spec.graph import Graph


class Flow:
    """The blobs of a network whose inputs and shapes are known.

    A blob is named after its source: Split layers hand on the same numbers.
    """

    def __init__(self, graph: Graph, blobs: Blobs) -> None:
        """`blobs` holds an array for each blob that is there."""
        self.blobs = blobs
        self._source: dict[str, str] = {}
        self.planned: dict[int, Planned] = {}
        self.readers: dict[str, list[int]] = defaultdict(list)
        self.makers: dict[str, int] = {}
        never_negative: set[str] = set()
        for index, layer in enumerate(graph.layers):
            if layer.type == "Input" or any(name not in blobs for name in (*layer.bottoms, *layer.tops)):
                continue
            if layer.type == "Split":
                self._source.update(dict.fromkeys(layer.tops, self.source(layer.bottoms[0])))
                never_negative.update(layer.tops if layer.bottoms[0] in never_negative else ())
                continue
            planned = plan_layer(layer, blobs, never_negative)
            self.planned[index] = planned
            if is_never_negative(planned, never_negative):
                never_negative.update(layer.tops)
            for name in layer.bottoms:
                self.readers[self.source(name)].append(index)
            self.makers.update(dict.fromkeys(layer.tops, index))
        self._groups: dict[str, str] = {}
        for planned in self.planned.values():
            if planned.keeps_geometry or self._may_keep_geometry(planned):
                for name in planned.layer.bottoms:
                    self._groups[self._group(self.source(name))] = self._group(planned.layer.tops[0])
        self._borders: dict[str, int] = defaultdict(int)
        for planned in self.planned.values():
            if planned.kind != Kind.OPERATOR:
                group = self._group(self.source(planned.layer.bottoms[0]))
                self._borders[group] = max(self._borders[group], planned.border)

    def source(self, name: str) -> str:
        """The blob whose numbers a blob holds."""
        return self._source.get(name, name)

    def is_map(self, source: str) -> bool:
        """Whether a step of the plan makes this blob, in a place of its array."""
        return source in self.makers and self.planned[self.makers[source]].kind != Kind.OPERATOR

    def geometry(self, source: str) -> Geometry:
        """The planes of a blob (channels, h, w)."""
        _, h, w = self.blobs[source].shape
        return Geometry(h, w, self._borders[self._group(source)])

    def needs_border(self, source: str) -> bool:
        """Whether somebody reads the borders of this blob."""
        readers = [self.planned[index] for index in self.readers[source]]
        return any(reader.border > 0 and reader.kind != Kind.OPERATOR for reader in readers)

    def whole(self, source: str) -> tuple[str, int]:
        """The blob of which this one is a part, and its first channel there: blobs that only a Concat reads."""
        readers = self.readers[source]
        if len(readers) != 1 or self.planned[readers[0]].kind != Kind.CONCAT or not self.is_map(source):
            return source, 0
        joined = self.planned[readers[0]].layer
        if self.planned[self.makers[source]].kind == Kind.CONCAT or self.is_joined_elsewhere(joined.tops[0]):
            return source, 0
        names = [self.source(name) for name in joined.bottoms]
        return joined.tops[0], sum(self.blobs[name].shape[0] for name in names[: names.index(source)])

    def is_averaged(self, source: str) -> bool:
        """Whether a 1 by 1 kernel makes this blob, and only global average pooling reads it."""
        readers = self.readers[source]
        if len(readers) != 1 or not is_global_average(self.planned[readers[0]].layer) or not self.is_map(source):
            return False
        kind = self.planned[self.makers[source]].kind
        return kind in (Kind.POINTWISE, Kind.BORDERED_POINTWISE) and self.blobs[source].shape[0] >= FEWEST_CHANNELS

    def depthwise_before(self, index: int) -> int | None:
        """The layer just before a 1 by 1 kernel, if that is a depthwise one whose top blob nobody else reads."""
        planned, before = self.planned[index], max((i for i in self.planned if i < index), default=-1)
        if planned.kind != Kind.POINTWISE or before < 0 or self.planned[before].kind != Kind.DEPTHWISE:
            return None
        (top,) = self.planned[before].layer.tops
        return before if self.readers[top] == [index] and self.source(planned.layer.bottoms[0]) == top else None

    def last_reader(self, source: str) -> int:
        """The last layer that reads a blob, by its place in the network; -1 where none does."""
        return max(self.readers[source], default=-1)

    def is_joined_elsewhere(self, source: str) -> bool:
        """Whether a blob may become a part of another one itself."""
        readers = self.readers[source]
        return len(readers) == 1 and self.planned[readers[0]].kind == Kind.CONCAT

    def _may_keep_geometry(self, planned: Planned) -> bool:
        """Whether a convolution reads a border of 1, and makes a blob of that size that wants no more than that."""
        if planned.kind != Kind.CONVOLUTION or planned.border != 1:
            return False
        (bottom,), (top,) = planned.layer.bottoms, planned.layer.tops
        readers = [self.planned[index].border for index in self.readers[top]]
        return self.blobs[bottom].shape[1:] == self.blobs[top].shape[1:] and max(readers, default=0) <= 1

    def _group(self, name: str) -> str:
        while name in self._groups and self._groups[name] != name:
            name = self._groups[name]
        return name
