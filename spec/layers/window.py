"""Sliding windows: how much padding "same" means, and how many windows fit."""

from __future__ import annotations

SAME_UPPER = -233
"""A padding that means: so much that every `stride`-th position begins a window, an odd cell at the end."""

SAME_LOWER = -234
"""The same with the odd cell at the beginning."""


def same_padding(length: int, extent: int, stride: int, kind: int) -> tuple[int, int]:
    """The cells before and after an axis of `length` for windows of `extent`, of kind SAME_UPPER or SAME_LOWER.

    Unspecified: where the stride exceeds the extent the total may be negative; it counts as 0 here, and upstream writes
    outside its memory if the other axis does need padding.

    >>> same_padding(8, 3, 2, SAME_UPPER), same_padding(8, 3, 2, SAME_LOWER)
    ((0, 1), (1, 0))
    """
    total = max(extent + (length - 1) // stride * stride - length, 0)
    before = total // 2 if kind == SAME_UPPER else total - total // 2
    return before, total - before


def window_count(length: int, extent: int, stride: int) -> int:
    """How many windows of `extent` fit at multiples of `stride`; not positive if none does.

    >>> window_count(7, 3, 2)
    3
    """
    return (length - extent) // stride + 1
