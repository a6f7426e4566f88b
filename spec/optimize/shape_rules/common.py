"""What the rules share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spec.graph import Layer, Shape

Rule = Callable[[Layer, Sequence[Shape]], list[Shape]]
"""From a layer and the shapes of its bottoms to the shapes of its tops."""

SAME_UPPER = -233
SAME_LOWER = -234
"""Values of a pad that ask for an output of ceil(n / stride)."""


class ShapeUnknown(ValueError):
    """The shape cannot be said; the message is the reason."""


def first(shapes: Sequence[Shape]) -> Shape:
    """The first bottom's shape."""
    if not shapes:
        raise ShapeUnknown("it has no bottom")
    return shapes[0]


def of_rank(shape: Shape, *ranks: int) -> Shape:
    """The shape, if it has one of these numbers of dims."""
    if len(shape) not in ranks:
        raise ShapeUnknown(f"it wants {' or '.join(map(str, ranks))} dims, but its bottom has shape {shape}")
    return shape


def positive(shape: Shape) -> Shape:
    """The shape, if all extents are at least 1."""
    if any(extent < 1 for extent in shape):
        raise ShapeUnknown(f"its top would have shape {shape}")
    return shape


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from 0; negative ones count from the end."""
    if not -rank <= axis < rank:
        raise ShapeUnknown(f"it wants axis {axis} of a blob with {rank} dims")
    return axis % rank


def quotient(dividend: int, divisor: int, what: str) -> int:
    """An exact quotient."""
    if divisor < 1 or dividend % divisor:
        raise ShapeUnknown(f"{dividend} {what} do not divide by {divisor}")
    return dividend // divisor
