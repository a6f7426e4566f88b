"""Layers whose tops have the shape of a bottom, and elementwise layers of several bottoms.

Follows: ncnn src/layer/*.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from collections.abc import Sequence

from spec.graph import Layer, Shape
from spec.optimize.shape_rules.common import Rule, ShapeUnknown, first

_SAME = (
    *("AbsVal", "BatchNorm", "Bias", "BNLL", "CELU", "Cast", "Clip", "CopyTo", "CumulativeSum", "DeepCopy"),
    *("Dequantize", "Dropout", "ELU", "Erf", "Exp", "Flip", "GELU", "GroupNorm", "HardSigmoid", "HardSwish"),
    *("InstanceNorm", "LRN", "LayerNorm", "Log", "MVN", "Mish", "Normalize", "PReLU", "Power", "Quantize"),
    *("RMSNorm", "ReLU", "Requantize", "RotaryEmbed", "SELU", "Scale", "Shrink", "ShuffleChannel", "Sigmoid"),
    *("Softmax", "Softplus", "Split", "Swish", "TanH", "Threshold", "UnaryOp"),
)


def same(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Every top has the first bottom's shape."""
    return [first(bottoms)] * len(layer.tops)


def one_to_one(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Noop: the tops are the bottoms."""
    return list(bottoms[: len(layer.tops)])


def eltwise(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Eltwise: all bottoms have one shape. ncnn does not check that, and takes the first."""
    return [first(bottoms)]


def binary(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """BinaryOp: a scalar keeps the shape, two bottoms broadcast."""
    if len(bottoms) < 2 or layer.get.integer("with_scalar"):
        return [first(bottoms)]
    return [broadcast(bottoms[0], bottoms[1])]


def broadcast(left: Shape, right: Shape) -> Shape:
    """The common shape of two bottoms of BinaryOp.

    A blob of lower rank is aligned with the outermost axes of the other; a 1-D blob of another length than the
    outermost axis lies along the innermost one. Then extents of 1 stretch.
    """
    rank = max(len(left), len(right))
    wide = [_lifted(shape, other, rank) for shape, other in ((left, right), (right, left))]
    pairs = list(zip(*wide, strict=True))
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        raise ShapeUnknown(f"shapes {left} and {right} do not broadcast")
    return tuple(max(pair) for pair in pairs)


def _lifted(shape: Shape, other: Shape, rank: int) -> Shape:
    ones = (1,) * (rank - len(shape))
    if len(shape) == 1 and rank > 1 and shape[0] != other[0]:
        return ones + shape
    return shape + ones


RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME, same),
    "BinaryOp": binary,
    "Eltwise": eltwise,
    "Noop": one_to_one,
}
