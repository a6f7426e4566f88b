"""Additions and ReLU of a float plan: of whole planes with their borders, a part that fits the cache at a time."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastpath.float_plan.calls import Call
from fastpath.float_plan.places import Place
from fastpath.layers.common import Floats

PART = 32 * 1024
"""Numbers of one call."""

ZERO = np.float32(0)


def added(left: Place, right: Place, top: Place) -> list[Call]:
    """The sums of two places of one geometry."""
    x, y, z = (place.planes.reshape(-1) for place in (left, right, top))
    return [partial(np.add, x[part], y[part], out=z[part]) for part in _parts(z)]


def rectified(bottom: Place, top: Place) -> list[Call]:
    """The larger one of zero and each number."""
    x, z = bottom.planes.reshape(-1), top.planes.reshape(-1)
    return [partial(np.maximum, ZERO, x[part], out=z[part]) for part in _parts(z)]


def _parts(numbers: Floats) -> list[slice]:
    return [slice(first, first + PART) for first in range(0, numbers.size, PART)]
