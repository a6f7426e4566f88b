"""What a plan calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from fastpath.layers.common import Array

Blobs = dict[str, Array]

Step = Callable[[Blobs], None]
"""Runs one layer: takes blobs from the dictionary, leaves blobs in it, and knows its feature maps."""

Action = Callable[[], None]
"""A part of a step: a kernel with its arguments."""


class Follower(Protocol):
    """Makes something of the rows of a map as soon as they are there, from the first to the last."""

    @property
    def rows(self) -> int:
        """So many rows at a time, at most."""

    def write(self, first: int, end: int) -> None:
        """Take some rows."""


def hand_on(followers: Sequence[Follower], first: int, end: int) -> None:
    """Tell all that some rows are there."""
    for follower in followers:
        for y in range(first, end, follower.rows):
            follower.write(y, min(y + follower.rows, end))
