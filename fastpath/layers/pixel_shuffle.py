"""PixelShuffle, Reorg, ShuffleChannel: values move between channels and positions, any dtype."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Operator, Prepare, fault, only_bottom, require_rank
from spec.graph import Layer


def prepare_pixel_shuffle(layer: Layer) -> Operator:
    """PixelShuffle: (c * r * r, h, w) to (c, h * r, w * r). Follows: ncnn src/layer/pixelshuffle.cpp @ a4d2ea1d."""
    r, mode = layer.get.integer("upscale_factor"), layer.get.integer("mode")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        require_rank(layer, blob, 3)
        channels, h, w = blob.shape
        if r < 1 or channels % (r * r):
            raise fault(layer, f"cannot make squares of side {r} from {channels} channels")
        c = channels // (r * r)
        if mode:
            squares = blob.reshape(r, r, c, h, w).transpose(2, 3, 0, 4, 1)
        else:
            squares = blob.reshape(c, r, r, h, w).transpose(0, 3, 1, 4, 2)
        return [squares.reshape(c, h * r, w * r)]

    return operator


def prepare_reorg(layer: Layer) -> Operator:
    """Reorg: (c, h * s, w * s) to (c * s * s, h, w). Follows: ncnn src/layer/reorg.cpp @ a4d2ea1d."""
    s, mode = layer.get.integer("stride"), layer.get.integer("mode")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        require_rank(layer, blob, 3)
        c, high, wide = blob.shape
        if s < 1 or high % s or wide % s:
            raise fault(layer, f"cannot cut {high} x {wide} into squares of side {s}")
        squares = blob.reshape(c, high // s, s, wide // s, s)
        order = (2, 4, 0, 1, 3) if mode else (0, 2, 4, 1, 3)
        return [squares.transpose(order).reshape(c * s * s, high // s, wide // s)]

    return operator


def prepare_shuffle_channel(layer: Layer) -> Operator:
    """ShuffleChannel: channels in `group` rows, read column by column; `reverse` undoes that.

    Follows: ncnn src/layer/shufflechannel.cpp @ a4d2ea1d.
    """
    given, reverse = layer.get.integer("group"), layer.get.integer("reverse")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        require_rank(layer, blob, 3, 4)
        channels = blob.shape[0]
        if given < 1 or channels % given:
            raise fault(layer, f"cannot divide {channels} channels into {given} groups")
        group = channels // given if reverse else given
        rows = blob.reshape(group, channels // group, -1)
        return [np.ascontiguousarray(rows.swapaxes(0, 1)).reshape(blob.shape)]

    return operator


PREPARE: dict[str, Prepare] = {
    "PixelShuffle": prepare_pixel_shuffle,
    "Reorg": prepare_reorg,
    "ShuffleChannel": prepare_shuffle_channel,
}
