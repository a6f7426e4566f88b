"""Split, Noop, DeepCopy: blobs pass through unchanged, whatever their dtype."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob
from spec.graph import Layer
from spec.layers.common import fault, only_bottom


def split(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Every top is the bottom.

    Follows: ncnn src/layer/split.cpp @ a4d2ea1d.
    """
    return [only_bottom(layer, bottoms)] * len(layer.tops)


def noop(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The tops are the bottoms, one to one. GraphError where there are more tops than bottoms.

    Follows: ncnn src/layer/noop.cpp @ a4d2ea1d.
    """
    if len(layer.tops) > len(bottoms):
        raise fault(layer, f"has {len(layer.tops)} tops, but only {len(bottoms)} bottoms")
    return bottoms[: len(layer.tops)]


def deep_copy(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The top is a copy of the bottom; as blobs never change here, it is the bottom.

    Follows: ncnn src/layer/deepcopy.cpp @ a4d2ea1d.
    """
    return [only_bottom(layer, bottoms)]


FORWARD = {"Split": split, "Noop": noop, "DeepCopy": deep_copy}
