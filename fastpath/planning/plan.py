"""A plan: its steps, and what runs each layer."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np

from fastpath.layers.common import Operator
from fastpath.steps.calls import Blobs, Step
from spec.graph import Layer, Shape

FREE = ("Input", "Split", "Noop")
"""Layers that hand on what they get."""


@dataclass(frozen=True)
class PlanRow:
    """What runs a layer, and why it is not something faster."""

    layer: str
    kernel: str
    reason: str


def operator_row(layer: Layer, operator: Operator, reason: str) -> PlanRow:
    """The row of a layer that its operator runs; one that has kernels of its own says so by an attribute `kernel`."""
    kernel: str = getattr(operator, "kernel", "numpy")
    if layer.type in FREE:
        return PlanRow(layer.name, "nothing to do", "")
    return PlanRow(layer.name, kernel, reason if kernel == "numpy" else "")


@dataclass
class Plan:
    """The steps in their order, each with the blobs that nobody reads afterwards."""

    outputs: list[str]
    steps: list[tuple[Step, list[str]]] = field(default_factory=list)
    rows: list[PlanRow] = field(default_factory=list)
    layers: list[int] = field(default_factory=list)
    """The layer that each step runs, by its place in the network."""
    shapes: dict[str, Shape] = field(default_factory=dict)
    """The shapes of all blobs, also of those that exist as codes only."""

    @np.errstate(all="ignore")
    def run(self, fed: Blobs) -> Blobs:
        """All outputs, from blobs of the shapes that the plan was made for."""
        blobs = dict(fed)
        for step, finished in self.steps:
            step(blobs)
            for name in finished:
                blobs.pop(name, None)
        return {name: blobs[name] for name in self.outputs}

    @np.errstate(all="ignore")
    def time(self, fed: Blobs, times: dict[int, float]) -> None:
        """Run once, and lower `times` (seconds by layer) where a step took less."""
        blobs = dict(fed)
        for index, (step, _) in zip(self.layers, self.steps, strict=True):
            start = time.perf_counter()
            step(blobs)
            times[index] = min(times.get(index, math.inf), time.perf_counter() - start)
