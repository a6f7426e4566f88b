"""Softmax."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob, float_blob
from spec.functions import divide, exp
from spec.graph import Layer
from spec.layers.common import fault, float_bottom, resolve_axis, rounded, running_sum, split_at


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Exponentials along one axis, divided by their sum.

    y = e / sum(e) with e = exp(x - max(x)), summed in order; float32 of any shape.

    Follows: ncnn src/layer/softmax.cpp @ a4d2ea1d.
    Unspecified: a line of minus infinities is NaN.

    >>> forward(Layer("Softmax", "s", [], [], {0: 1, 1: 1}), [float_blob((2, 2), [3.0, 3.0, -200.0, 0.0])])[0].tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    blob = float_bottom(layer, bottoms)
    outer, count, inner = split_at(blob.shape, resolve_axis(layer, layer.get.integer("axis"), len(blob.shape)))
    values = blob.floats()
    result = [0.0] * len(values)
    for block in range(0, outer * count * inner, count * inner):
        for start in range(block, block + inner):
            line = slice(start, start + count * inner, inner)
            result[line] = softmax(values[line])
    return [float_blob(blob.shape, result)]


def softmax(values: list[float]) -> list[float]:
    """exp(x - max) / sum of exp(x - max).

    >>> softmax([1.0, 1.0]), softmax([-100.0, 100.0])
    ([0.5, 0.5], [0.0, 1.0])
    """
    largest = max(values)
    exponentials = [exp(difference) for difference in rounded(x - largest for x in values)]
    total = running_sum(exponentials)
    return [divide(e, total) for e in exponentials]


def check(layer: Layer) -> None:
    """GraphError for an axis other than 0 without the mark that the axis counts as it does now (parameter 1=1)."""
    if layer.get.integer("axis") != 0 and layer.get.integer("fixbug0") == 0:
        raise fault(layer, "has an axis, but lacks 1=1: the file is too old for ncnn to read")


FORWARD = {"Softmax": forward}
CHECK = {"Softmax": check}
