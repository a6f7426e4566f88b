"""The calls that a float plan is made of: numpy, BLAS and kernels with their arguments bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from fastpath.layers.activation import NONE, RELU, Activation
from fastpath.layers.common import Floats
from fastpath.steps.calls import Blobs

Call = Callable[[], object]
"""Something with all its arguments, whose result is in memory that it knows."""

ONE_STRIPE = 65536
"""Numbers up to which OpenCV's threshold stays on one thread."""


class Calls:
    """A step of a plan: its calls, one after the other."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = list(calls)

    def __call__(self, blobs: Blobs) -> None:
        """Run all."""
        for call in self.calls:
            call()


def product(weight: Floats, columns: Floats, top: Floats) -> Call:
    """A matrix product into `top`."""
    return partial(np.matmul, weight, columns, out=top)


def copied(source: Floats, target: Floats) -> Call:
    """A copy."""
    return partial(np.copyto, target, source)


def filled(target: Floats, value: float) -> Call:
    """The same value everywhere."""
    return partial(np.copyto, target, np.float32(value))


def activated(activation: Activation, top: Floats) -> list[Call]:
    """The activation of a convolution, in place, on a view of two dims. ReLU makes NaN and negative zeros to zeros."""
    if activation.type == NONE:
        return []
    if activation.type != RELU:
        return [partial(activation, top)]
    import cv2

    rows = max(ONE_STRIPE // top.shape[1], 1)
    parts = [top[first : first + rows] for first in range(0, len(top), rows)]
    return [partial(cv2.threshold, part, 0.0, 0.0, cv2.THRESH_TOZERO, dst=part) for part in parts]


def activates_zero(activation: Activation) -> bool:
    """Whether the activation of zero is zero."""
    zero = np.zeros((1, 1), np.float32)
    activation(zero)
    return bool(zero[0, 0] == 0)
