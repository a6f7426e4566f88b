"""What a plan calls."""

from __future__ import annotations

from collections.abc import Callable

from fastpath.layers.common import Array

Blobs = dict[str, Array]

Step = Callable[[Blobs], None]
"""Runs one layer: takes blobs from the dictionary, leaves blobs in it, and knows its feature maps."""

Action = Callable[[], None]
"""A part of a step: a kernel with its arguments."""
