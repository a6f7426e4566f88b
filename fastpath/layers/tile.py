"""Tile: a blob repeated, any dtype."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Operator, Prepare, fault, only_bottom, resolve_axis
from spec.graph import Layer


def prepare_tile(layer: Layer) -> Operator:
    """Tile: `tiles` times along an axis, or `repeats` times along each, aligned with the innermost.

    A (c, h, w) blob with four repeats becomes (c * r0, r1, h * r2, w * r3).
    Follows: ncnn src/layer/tile.cpp @ a4d2ea1d.
    """
    repeats, tiles = layer.get.integers("repeats"), layer.get.integer("tiles")
    if len(repeats) > 4:
        raise fault(layer, f"has {len(repeats)} repeats, but a blob has at most 4 dims")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        wanted = repeats
        if not repeats:
            axis = resolve_axis(layer, layer.get.integer("axis"), blob.ndim)
            wanted = [tiles if index == axis else 1 for index in range(blob.ndim)]
        if min(wanted) < 1:
            raise fault(layer, f"cannot repeat {wanted} times")
        return [np.tile(blob[:, np.newaxis] if blob.ndim == 3 and len(wanted) == 4 else blob, wanted)]

    return operator


PREPARE: dict[str, Prepare] = {"Tile": prepare_tile}
