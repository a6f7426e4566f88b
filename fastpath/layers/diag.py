"""Diag: a vector as a diagonal, or the diagonal of a matrix."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Operator, Prepare, fault, float_bottom, require_rank
from spec.graph import Layer


def prepare_diag(layer: Layer) -> Operator:
    """Diag: (n,) to a square of zeros with that diagonal, (h, w) to its diagonal.

    Follows: ncnn src/layer/diag.cpp @ a4d2ea1d.
    """
    k = layer.get.integer("diagonal")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        require_rank(layer, blob, 1, 2)
        if blob.ndim == 2 and min(blob.shape[0] + min(k, 0), blob.shape[1] - max(k, 0)) <= 0:
            raise fault(layer, f"has no diagonal {k} in shape {blob.shape}")
        return [np.array(np.diag(blob, k))]

    return operator


PREPARE: dict[str, Prepare] = {"Diag": prepare_diag}
