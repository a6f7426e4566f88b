"""Input and MemoryData: the layers without bottoms."""

from __future__ import annotations

import math

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob, float_blob
from spec.graph import Layer, Shape
from spec.layers.common import fault, require_weights


def input_layer(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """An Input layer is what was fed for its top; its declared shape is not enforced.

    Raises GraphError whenever it runs, because nothing was fed then.

    Follows: ncnn src/layer/input.cpp @ a4d2ea1d.
    """
    raise fault(layer, f"blob {layer.tops[0]} was not fed")


def memory_data(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """A constant from the model file: float32 of shape (c, d, h, w) without the extents that are 0.

    The rank is 4 if d is given, else 3 if c, else 2 if h, else 1. Extents that are given as 0 inside that rank are an
    error, and so is a record of another size.

    Follows: ncnn src/layer/memorydata.cpp @ a4d2ea1d.
    Unspecified: all extents 0 make upstream return one undefined value; here GraphError.
    """
    shape = _memory_shape(layer)
    return [float_blob(shape, require_weights(layer, "data", math.prod(shape)))]


def _memory_shape(layer: Layer) -> Shape:
    w, h, d, c = (layer.get.integer(name) for name in "whdc")
    if d != 0:
        shape: Shape = (c, d, h, w)
    elif c != 0:
        shape = (c, h, w)
    elif h != 0:
        shape = (h, w)
    else:
        shape = (w,)
    if min(shape) <= 0:
        raise fault(layer, f"has the impossible shape {shape}")
    return shape


FORWARD = {"Input": input_layer, "MemoryData": memory_data}
