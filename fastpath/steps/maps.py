"""Layers between maps of floats, pixel after pixel."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Floats
from fastpath.layers.epilogue import ZERO
from fastpath.rounding import BLOCK
from fastpath.steps.calls import Action


def add_maps(left: Floats, right: Floats, top: Floats, relu: bool) -> Action:
    """The sum of two maps, with a ReLU behind it or without."""
    operands = [blob.reshape(-1) for blob in (left, right, top)]

    def add() -> None:
        for first in range(0, operands[2].size, BLOCK):
            a, b, out = (operand[first : first + BLOCK] for operand in operands)
            np.add(a, b, out=out)
            if relu:
                np.maximum(out, ZERO, out=out)

    return add


def rectify_map(blob: Floats) -> Action:
    """ReLU in place."""
    flat = blob.reshape(-1)

    def rectify() -> None:
        np.maximum(flat, ZERO, out=flat)

    return rectify


def mean_of_map(source: Floats) -> Array:
    """The average of each channel, adding up one pixel after the other as global pooling does."""
    means: Array = np.add.reduce(source, axis=0, initial=ZERO) / np.float32(source.shape[0])
    return means
