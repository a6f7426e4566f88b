"""Quantize: binary32 values become int8 codes. Also what every layer does with its own input, weights and output."""

from __future__ import annotations

import math
from collections.abc import Sequence

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob, int8_blob
from spec.graph import Layer, Shape
from spec.layers.common import fault, float_bottom
from spec.rounding import quantize_all


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each value becomes the int8 code of its product with the scale.

    y = float_to_int8(f32(x * scale)), float32 of 1 to 4 dims to int8 of the same shape. There is one scale, or one for
    each slice along the outermost axis; a 1-D blob always uses the first.

    Follows: ncnn src/layer/quantize.cpp @ a4d2ea1d.
    Unspecified: raises GraphError for NaN and infinities (x86 builds give -127), and when the number of scales is
    neither 1 nor the outermost extent. Products beyond the int32 range saturate at plus or minus 127 (x86: -127).

    >>> from array import array
    >>> from spec.blob import float_blob
    >>> from spec.graph import float_weight
    >>> scale = float_weight("scale_data", array("f", [4.0]), "raw")
    >>> layer = Layer("Quantize", "q", ["x"], ["y"], {}, [], {"scale_data": scale})
    >>> forward(layer, [float_blob((3,), [0.5, -0.125, 100.0])])[0].tolist()
    [2, -1, 127]
    """
    blob = float_bottom(layer, bottoms)
    scales = outermost(layer, layer.weight("scale_data").floats(), blob.shape, "scales")
    size = len(blob.values) // len(scales)

    # quantize input
    codes: list[int] = []
    for index, scale in enumerate(scales):
        codes.extend(int8_codes(layer, blob.floats()[index * size : (index + 1) * size], scale, profile))

    # accumulate
    # descale
    # bias
    # activation
    # requantize
    return [int8_blob(blob.shape, codes)]


def int8_codes(layer: Layer, values: Sequence[float], scale: float, profile: Profile = REFERENCE) -> list[int]:
    """The int8 codes of `values` under one scale; GraphError that names the layer for NaN and infinities."""
    try:
        return quantize_all(values, scale, profile)
    except ValueError as error:
        raise fault(layer, f"cannot quantize: {error}") from None


def outermost(layer: Layer, values: Sequence[float], shape: Shape, what: str) -> list[float]:
    """One value for each slice along the outermost axis; for a 1-D blob, and where there is one value, for all of it.

    A single element stands for the whole blob. GraphError for any other number of values.
    """
    if len(values) == 1 or (len(shape) == 1 and values):
        return [values[0]]
    if len(values) != shape[0]:
        raise fault(layer, f"has {len(values)} {what}, but the outermost extent of shape {shape} is {shape[0]}")
    return list(values)


def check(layer: Layer) -> None:
    """GraphError for scales that are not finite."""
    require_finite(layer, "scale_data")


def require_finite(layer: Layer, *names: str) -> None:
    """GraphError unless every number of these weight records is finite."""
    for name in names:
        if not all(map(math.isfinite, layer.weight(name).floats())):
            raise fault(layer, f"needs finite numbers in {name}")


FORWARD = {"Quantize": forward}
CHECK = {"Quantize": check}
