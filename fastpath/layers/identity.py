"""Layers that hand on their bottoms: Split, Noop, DeepCopy."""

from __future__ import annotations

from fastpath.layers.common import Array, Operator, Prepare, fault, only_bottom
from spec.graph import Layer


def prepare_split(layer: Layer) -> Operator:
    """Split: every top is the bottom, any dtype. Follows: ncnn src/layer/split.cpp @ a4d2ea1d."""
    count = len(layer.tops)
    return lambda bottoms: [only_bottom(layer, bottoms)] * count


def prepare_noop(layer: Layer) -> Operator:
    """Noop: the tops are the bottoms, one to one. Follows: ncnn src/layer/noop.cpp @ a4d2ea1d.

    One with more tops than bottoms is an error when it runs, not before: it may stand in a network unused.
    """
    count = len(layer.tops)

    def operator(bottoms: list[Array]) -> list[Array]:
        if count > len(bottoms):
            raise fault(layer, f"has {count} top blobs, but {len(bottoms)} bottom blobs")
        return bottoms[:count]

    return operator


def prepare_deep_copy(layer: Layer) -> Operator:
    """DeepCopy: the same values in other memory. Follows: ncnn src/layer/deepcopy.cpp @ a4d2ea1d."""
    return lambda bottoms: [only_bottom(layer, bottoms).copy()]


PREPARE: dict[str, Prepare] = {"Split": prepare_split, "Noop": prepare_noop, "DeepCopy": prepare_deep_copy}
