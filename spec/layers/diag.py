"""Diag."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob, float_blob
from spec.graph import Layer
from spec.layers.common import fault, float_bottom, require_rank


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """A 1-D blob becomes the diagonal of a square of zeros; of a 2-D blob the diagonal is taken.

    Diagonal k lies k columns to the right of the main one, or -k rows below it. GraphError for a diagonal outside.

    Follows: ncnn src/layer/diag.cpp @ a4d2ea1d.

    >>> forward(Layer("Diag", "d", [], []), [float_blob((2,), [1.0, 2.0])])[0].tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    blob = float_bottom(layer, bottoms)
    require_rank(layer, blob, 1, 2)
    k = layer.get.integer("diagonal")
    right, below = max(k, 0), max(-k, 0)
    values = blob.floats()
    if len(blob.shape) == 1:
        count = len(values)
        side = count + abs(k)
        square = [0.0] * (side * side)
        for index, value in enumerate(values):
            square[(index + below) * side + index + right] = value
        return [float_blob((side, side), square)]
    h, w = blob.shape
    count = min(h - below, w - right)
    if count <= 0:
        raise fault(layer, f"has no diagonal {k} in shape {blob.shape}")
    return [float_blob((count,), [values[(index + below) * w + index + right] for index in range(count)])]


FORWARD = {"Diag": forward}
