"""The steps of a plan, one a layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastpath.layers.common import Array, Operator
from fastpath.steps.calls import Action, Blobs
from fastpath.steps.entry import Entry, MapEntry, RowsEntry, VectorEntry
from spec.graph import Layer


class OperatorStep:
    """A layer that stays with numpy."""

    def __init__(self, layer: Layer, operator: Operator) -> None:
        self.bottoms, self.tops, self.operator = layer.bottoms, layer.tops, operator

    def __call__(self, blobs: Blobs) -> None:
        """Run the operator."""
        blobs.update(zip(self.tops, self.operator([blobs[name] for name in self.bottoms]), strict=True))


class ConstantStep:
    """A layer whose top blobs are known when the plan is made."""

    def __init__(self, tops: dict[str, Array]) -> None:
        self.tops = tops

    def __call__(self, blobs: Blobs) -> None:
        """Put them among the blobs."""
        blobs.update(self.tops)


class SliceStep:
    """A blob cut along its outermost axis; the pieces are parts of it."""

    def __init__(self, layer: Layer, sizes: list[int]) -> None:
        self.source = layer.bottoms[0]
        ends = np.cumsum(sizes).tolist()
        self.parts = [(top, slice(end - size, end)) for top, size, end in zip(layer.tops, sizes, ends, strict=True)]

    def __call__(self, blobs: Blobs) -> None:
        """Put the pieces among the blobs."""
        blob = blobs[self.source]
        for top, part in self.parts:
            blobs[top] = blob[part]


Enter = Entry | VectorEntry | RowsEntry | MapEntry
"""What brings the bottom blob of a layer into a feature map."""


class CodesStep:
    """A layer whose top blob stays inside the plan: a feature map, or a map of floats."""

    def __init__(self, source: str, entry: Enter | None, actions: list[Action]) -> None:
        self.source, self.entry, self.actions = source, entry, actions

    def __call__(self, blobs: Blobs) -> None:
        """Quantize the bottom blob if it is one, then run the kernels."""
        if isinstance(self.entry, MapEntry):
            self.entry()
        elif self.entry is not None:
            self.entry(blobs[self.source])
        for action in self.actions:
            action()


class BlobStep:
    """A layer whose top blob leaves as an array."""

    def __init__(
        self,
        source: str,
        entry: Enter | None,
        actions: list[Action],
        compute: Callable[[], Array],
        target: str,
    ) -> None:
        self.before = CodesStep(source, entry, actions)
        self.compute, self.target = compute, target

    def __call__(self, blobs: Blobs) -> None:
        """Run the kernels and put the top blob among the others."""
        self.before(blobs)
        blobs[self.target] = self.compute()
