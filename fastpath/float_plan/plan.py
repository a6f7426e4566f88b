"""A float plan: a plan whose blobs can be taken one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from fastpath.layers import recycle
from fastpath.layers.common import Array, Floats
from fastpath.planning.plan import Plan
from fastpath.steps.calls import Blobs, Step


def copy_of(image: Floats) -> Floats:
    """The pixels of a feature map as an array of their own."""
    copy = recycle.blob(image.shape)
    np.copyto(copy, image)
    return copy


@dataclass
class Leaving:
    """A step that makes a feature map, of which it leaves a copy under some names."""

    make: Step
    image: Floats
    names: Sequence[str]

    def __call__(self, blobs: Blobs) -> None:
        """Make the map, and copy it."""
        self.make(blobs)
        self.leave(blobs, self.names)

    def view(self, blobs: Blobs) -> None:
        """Make the map, and leave a view of it."""
        self.make(blobs)
        blobs.update(dict.fromkeys(self.names, self.image))

    def leave(self, blobs: Blobs, names: Sequence[str]) -> None:
        """Leave a copy under these names."""
        if names:
            blobs.update(dict.fromkeys(names, copy_of(self.image)))


@dataclass
class FloatPlan(Plan):
    """The steps in their order; no step reads the outputs `copies`, which stay feature maps for the others."""

    copies: set[str] = field(default_factory=set)

    def each(self, fed: Blobs) -> Iterator[Array]:
        """The outputs in their order, each as soon as it and those before it are there.

        Each is good until the next one is taken: it may be a view of a feature map.
        """
        blobs = dict(fed)
        waiting = list(reversed(self.outputs))
        for step, finished in self.steps:
            with np.errstate(all="ignore"):
                (step.view if isinstance(step, Leaving) else step)(blobs)
            while waiting and waiting[-1] in blobs:
                name = waiting.pop()
                yield blobs.pop(name) if name in self.copies and name not in waiting else blobs[name]
            if isinstance(step, Leaving):
                step.leave(blobs, [name for name in step.names if name in waiting])
            for name in finished:
                blobs.pop(name, None)
