"""From a network without int8 layers to the steps that run it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from fastpath.float_plan.averages import AverageStep, pixels_of, pixelwise
from fastpath.float_plan.bands import FEWEST_NUMBERS, banded
from fastpath.float_plan.calls import Call, Calls, activates_zero, copied
from fastpath.float_plan.convolution import (
    Filter,
    Scratch,
    bordered_pointwise,
    cleared,
    convolution,
    pointwise,
)
from fastpath.float_plan.depthwise import DepthwiseFilter, DoublePlanes, depthwise
from fastpath.float_plan.elementwise import added, rectified
from fastpath.float_plan.flow import Flow
from fastpath.float_plan.layer_kinds import IN_PLACE, LEAVES_GAPS, Kind, Planned, multiplications
from fastpath.float_plan.places import Cells, OutOfRoom, Place
from fastpath.float_plan.plan import FloatPlan, Leaving, copy_of
from fastpath.float_plan.pooling import max_pooling
from fastpath.layers.common import Floats, Operator
from fastpath.planning.plan import PlanRow, operator_row
from fastpath.planning.shapes import shape_of
from fastpath.steps.calls import Blobs, Step
from spec.graph import Graph, Layer

WORTH_IT = 5_000_000
"""Multiplications of the convolutions below which a network runs layer by layer."""

WIDEST = 65536
"""Pixels of one tile of columns, at most."""


def float_plan(graph: Graph, operators: Sequence[Operator], blobs: Blobs, wanted: Sequence[str]) -> FloatPlan | None:
    """The plan that computes the `wanted` blobs; `blobs` holds an array for each blob.

    None where there is too little to do, or too much for the array of feature maps.
    """
    flow = Flow(graph, blobs)
    if sum(multiplications(planned, blobs) for planned in flow.planned.values()) < WORTH_IT:
        return None
    try:
        return _Builder(graph, flow, wanted).plan(operators)
    except OutOfRoom:
        return None


class _OperatorStep:
    """A layer that stays with numpy: `maps` are the bottoms that it reads from places, by their position."""

    def __init__(self, sources: Sequence[str], maps: dict[int, Place], tops: Sequence[str], run: Operator) -> None:
        self.sources, self.maps, self.tops, self.run = sources, maps, tops, run

    def __call__(self, blobs: Blobs) -> None:
        """Run the operator on arrays."""
        copies = {i: copy_of(place.image) for i, place in self.maps.items()}
        bottoms = [copies[i] if i in copies else blobs[name] for i, name in enumerate(self.sources)]
        blobs.update(zip(self.tops, self.run(bottoms), strict=True))


class _Enter:
    """An array that becomes a feature map, with zeros between its rows."""

    def __init__(self, source: str, place: Place) -> None:
        self.source, self.place = source, place

    def __call__(self, blobs: Blobs) -> None:
        """Copy it."""
        np.copyto(self.place.image, blobs[self.source])
        self.place.gaps.fill(0.0)


class _Rename:
    """An array that goes by other names, too."""

    def __init__(self, source: str, names: Sequence[str]) -> None:
        self.source, self.names = source, names

    def __call__(self, blobs: Blobs) -> None:
        """Enter it."""
        blobs.update(dict.fromkeys(self.names, blobs[self.source]))


class _Sequence:
    """Steps of one layer."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps

    def __call__(self, blobs: Blobs) -> None:
        """Run them."""
        for step in self.steps:
            step(blobs)


class _Builder:
    """Takes places for feature maps as layers make them, and gives them back after the last one that reads them."""

    def __init__(self, graph: Graph, flow: Flow, wanted: Sequence[str]) -> None:
        self.graph, self.flow, self.wanted = graph, flow, wanted
        self.cells = Cells()
        self.scratch = Scratch(self.cells, WIDEST)
        self.doubles = DoublePlanes()
        self.places: dict[str, Place] = {}
        """By source, of blobs that are whole; a place may have more channels than its blob."""
        self.between: set[str] = set()
        """The feature maps that surely have zeros between their rows."""
        self.pixels: dict[str, Floats] = {}
        """Blobs that are only averaged."""
        self.leaving: dict[str, list[str]] = defaultdict(list)
        for name in wanted:
            self.leaving[flow.source(name)].append(name)
        self.before = {index: before for index in flow.planned if (before := self._banded_before(index)) is not None}
        """The depthwise layers that run along with the 1 by 1 kernels behind them, by the places of those."""

    def plan(self, operators: Sequence[Operator]) -> FloatPlan:
        """The steps in file order."""
        shapes = {name: shape_of(blob) for name, blob in self.flow.blobs.items()}
        plan = FloatPlan(list(self.wanted), shapes=shapes)
        given = [_Rename(name, names) for name, names in self.leaving.items() if name not in self.flow.makers]
        for index, planned in self.flow.planned.items():
            if index in self.before.values():
                continue
            steps = self._steps(index, planned, operators[index])
            if not plan.steps:
                steps = [*given, *steps]
            finished = self._finish(index, planned)
            if index in self.before:
                finished += self._finish(self.before[index], self.flow.planned[self.before[index]])
            plan.steps.append((steps[0] if len(steps) == 1 else _Sequence(steps), finished))
            plan.layers.append(index)
        plan.rows = [self._row(index, operator) for index, operator in enumerate(operators)]
        plan.copies = {name for name in self.wanted if self.flow.is_map(self.flow.source(name))}
        return plan

    def _row(self, index: int, operator: Operator) -> PlanRow:
        layer, planned = self.graph.layers[index], self.flow.planned.get(index)
        if planned is None or planned.kind == Kind.OPERATOR:
            return operator_row(layer, operator, f"float plans have no step for this {layer.type}")
        where = ", with the next layer" if index in self.before.values() else ""
        return PlanRow(layer.name, f"float {planned.kind.name.lower()}{where}", "")

    def _steps(self, index: int, planned: Planned, operator: Operator) -> list[Step]:
        layer, flow = planned.layer, self.flow
        reader = flow.planned[self.before[index]].layer if index in self.before else layer
        sources = [flow.source(name) for name in reader.bottoms]
        if planned.kind == Kind.OPERATOR and sources and sources[0] in self.pixels:
            return [AverageStep(self.pixels.pop(sources[0]), layer.tops[0])]
        if planned.kind == Kind.OPERATOR:
            maps = {i: self._place(name) for i, name in enumerate(sources) if flow.is_map(name)}
            steps: list[Step] = [_OperatorStep(sources, maps, layer.tops, operator)]
            for name in layer.tops:
                others = [other for other in self.leaving[name] if other != name]
                steps += [_Rename(name, others)] if others else []
            return steps
        entries: list[Step] = []
        bottoms = []
        for name in sources:
            entered = flow.is_map(name) or name in self.places
            bottoms.append(self._place(name))
            if not entered:
                entries.append(_Enter(name, bottoms[-1]))
                self.between.add(name)
        if flow.is_averaged(layer.tops[0]) and not self.leaving[layer.tops[0]]:
            return [*entries, Calls(self._pixelwise(planned, bottoms[0]))]
        self._inherit(index, planned, sources)
        top = self._place(layer.tops[0])
        if index in self.before:
            calls = self._banded(flow.planned[self.before[index]], planned, bottoms[0], top)
        else:
            calls = self._calls(planned, bottoms, top)
        needed = flow.needs_border(layer.tops[0]) or planned.kind in LEAVES_GAPS
        if needed and layer.tops[0] not in self.between:
            calls += cleared(top)
            self.between.add(layer.tops[0])
        leaving = self.leaving[layer.tops[0]]
        made: list[Step] = [*entries, Calls(calls)]
        return [Leaving(_Sequence(made), top.image, leaving)] if leaving else made

    def _calls(self, planned: Planned, bottoms: list[Place], top: Place) -> list[Call]:
        layer, kind, bottom = planned.layer, planned.kind, bottoms[0]
        if kind == Kind.ADDITION:
            return added(bottoms[0], bottoms[1], top)
        if kind == Kind.RELU:
            return rectified(bottom, top)
        if kind == Kind.CONCAT:
            return self._joined(layer.bottoms, bottoms, top)
        assert planned.window is not None
        if kind == Kind.MAX_POOLING:
            return max_pooling(planned.window.kernel[0], self.cells, bottom, (planned.pads[0], planned.pads[2]), top)
        if kind == Kind.DEPTHWISE:
            filter = DepthwiseFilter(layer, planned.window, bottom.channels, self.doubles)
            self._note_zeros(layer, activates_zero(filter.activation))
            return depthwise(filter, self.doubles, bottom, planned.pads, 0, top)
        dense = Filter.of(layer, planned.window, bottom.channels)
        if kind == Kind.POINTWISE:
            self._note_zeros(layer, self.flow.source(layer.bottoms[0]) in self.between and dense.keeps_zeros)
            return pointwise(dense, bottom.runs_and_ones, top.runs)
        if kind == Kind.BORDERED_POINTWISE:
            inner = self.cells.take(bottom.geometry, top.channels)
            self.cells.give(inner)
            return bordered_pointwise(dense, bottom, planned.pads, inner.part(0, top.channels), top)
        return convolution(dense, self.scratch, bottom, planned.pads, top)

    def _banded_before(self, index: int) -> int | None:
        """The depthwise layer that runs along with a 1 by 1 kernel: its top blob is large, and nobody wants it."""
        before, top = self.flow.depthwise_before(index), self.flow.planned[index].layer.tops
        if before is None or self.flow.is_averaged(top[0]):
            return None
        (between,) = self.flow.planned[before].layer.tops
        large = self.flow.blobs[between].size >= FEWEST_NUMBERS
        return before if large and not self.leaving[between] else None

    def _banded(self, first: Planned, second: Planned, bottom: Place, top: Place) -> list[Call]:
        assert first.window is not None
        assert second.window is not None
        deep = DepthwiseFilter(first.layer, first.window, bottom.channels, self.doubles)
        dense = Filter.of(second.layer, second.window, bottom.channels)
        self._note_zeros(second.layer, activates_zero(deep.activation) and dense.keeps_zeros)
        return banded(deep, self.doubles, dense, self.cells, bottom, first.pads, top)

    def _note_zeros(self, layer: Layer, zeros: bool) -> None:
        """Remember whether there are zeros between the rows of its top blob."""
        if zeros:
            self.between.add(layer.tops[0])

    def _pixelwise(self, planned: Planned, bottom: Place) -> list[Call]:
        """The convolution of a blob that is only averaged."""
        assert planned.window is not None
        top = planned.layer.tops[0]
        dense = Filter.of(planned.layer, planned.window, bottom.channels)
        _, h, w = self.flow.blobs[top].shape
        self.pixels[top] = pixels_of(dense, h, w)
        return pixelwise(dense, bottom, planned.pads, self.pixels[top])

    def _inherit(self, index: int, planned: Planned, sources: Sequence[str]) -> None:
        """Let the top blob of a layer that can work in place have that of a bottom which nobody else reads any more."""
        top = planned.layer.tops[0]
        if planned.kind not in IN_PLACE or not planned.keeps_geometry or self.flow.whole(top)[0] != top:
            return
        for name in sources:
            if name in self.places and self.flow.last_reader(name) == index:
                self.places[top] = self.places.pop(name)
                return

    def _joined(self, names: Sequence[str], bottoms: Sequence[Place], top: Place) -> list[Call]:
        """Copies of those bottoms that are not parts of the top already."""
        calls: list[Call] = []
        first = 0
        for name, bottom in zip(names, bottoms, strict=True):
            source = self.flow.source(name)
            if self.flow.whole(source)[0] == source:
                calls.append(copied(bottom.planes, top.part(first, bottom.channels).planes))
            first += bottom.channels
        return calls

    def _place(self, source: str) -> Place:
        """The place of a blob, taken if it is new."""
        whole, first = self.flow.whole(source)
        if whole not in self.places:
            self.places[whole] = self.cells.take(self.flow.geometry(whole), self.flow.blobs[whole].shape[0])
        return self.places[whole].part(first, self.flow.blobs[source].shape[0])

    def _finish(self, index: int, planned: Planned) -> list[str]:
        """Give back the places that nobody reads after this layer; returns the arrays that nobody does."""
        flow = self.flow
        finished = []
        for name in {flow.source(name) for name in planned.layer.bottoms} | set(planned.layer.tops):
            whole, _ = flow.whole(name)
            if whole == name and flow.last_reader(name) in (index, -1):
                if name in self.places:
                    self.cells.give(self.places.pop(name))
                if not flow.is_map(name) and name not in self.wanted:
                    finished.append(name)
        return finished
