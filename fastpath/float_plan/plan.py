"""A float plan: a plan whose blobs can be taken one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from fastpath.layers.common import Array
from fastpath.planning.plan import Plan
from fastpath.steps.calls import Blobs


@dataclass
class FloatPlan(Plan):
    """The steps in their order; no step reads the outputs `copies`, which stay feature maps for the others."""

    copies: set[str] = field(default_factory=set)

    def each(self, fed: Blobs) -> Iterator[Array]:
        """The outputs in their order, each as soon as it and those before it are there.

        Who is done with a blob before the next one lets its memory be used again.
        """
        blobs = dict(fed)
        waiting = list(reversed(self.outputs))
        for step, finished in self.steps:
            with np.errstate(all="ignore"):
                step(blobs)
            while waiting and waiting[-1] in blobs:
                name = waiting.pop()
                yield blobs.pop(name) if name in self.copies and name not in waiting else blobs[name]
            for name in finished:
                blobs.pop(name, None)
