"""PixelShuffle, Reorg, ShuffleChannel: values move between channels and positions, for any dtype."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob
from spec.graph import Layer
from spec.layers.common import fault, only_bottom, require_rank
from spec.layers.strided import positions


def pixel_shuffle(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Groups of r * r channels become squares of r by r: (c * r * r, h, w) to (c, h * r, w * r).

    Row y, column x of a square of channel p come from channel (p * r + y) * r + x; in mode 1 from channel
    (y * r + x) * c + p.

    Follows: ncnn src/layer/pixelshuffle.cpp @ a4d2ea1d.

    >>> from spec.blob import float_blob
    >>> layer = Layer("PixelShuffle", "p", [], [], {0: 2})
    >>> pixel_shuffle(layer, [float_blob((4, 1, 1), [1.0, 2.0, 3.0, 4.0])])[0].tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """
    blob = only_bottom(layer, bottoms)
    require_rank(layer, blob, 3)
    channels, h, w = blob.shape
    r = layer.get.integer("upscale_factor")
    if r < 1 or channels % (r * r):
        raise fault(layer, f"cannot make squares of side {r} from {channels} channels")
    c, size = channels // (r * r), h * w
    of_p, of_y, of_x = (size, r * c * size, c * size) if layer.get.integer("mode") else (r * r * size, r * size, size)
    places = positions((c, h, r, w, r), (of_p, w, of_y, 1, of_x))
    return [Blob((c, h * r, w * r), blob.dtype, [blob.values[place] for place in places])]


def reorg(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Squares of stride by stride become channels: (c, h * s, w * s) to (c * s * s, h, w), undoing PixelShuffle.

    GraphError unless the stride divides h and w.

    Follows: ncnn src/layer/reorg.cpp @ a4d2ea1d.

    >>> from spec.blob import float_blob
    >>> reorg(Layer("Reorg", "r", [], [], {0: 2}), [float_blob((1, 2, 2), [1.0, 2.0, 3.0, 4.0])])[0].tolist()
    [[[1.0]], [[2.0]], [[3.0]], [[4.0]]]
    """
    blob = only_bottom(layer, bottoms)
    require_rank(layer, blob, 3)
    c, high, wide = blob.shape
    s = layer.get.integer("stride")
    if s < 1 or high % s or wide % s:
        raise fault(layer, f"cannot cut {high} x {wide} into squares of side {s}")
    h, w = high // s, wide // s
    whole, rows, columns = (c, high * wide), (s, wide), (s, 1)
    outer = (rows, columns, whole) if layer.get.integer("mode") else (whole, rows, columns)
    extents, strides = zip(*outer, (h, s * wide), (w, s))
    return [Blob((c * s * s, h, w), blob.dtype, [blob.values[place] for place in positions(extents, strides)])]


def shuffle_channel(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The channels, laid out in `group` rows, are read column by column; reverse undoes that.

    Channel g * j + i of the result is channel (c / g) * i + j, where g is group, or c / group in reverse.

    Follows: ncnn src/layer/shufflechannel.cpp @ a4d2ea1d.

    >>> from spec.blob import float_blob
    >>> layer = Layer("ShuffleChannel", "s", [], [], {0: 2})
    >>> shuffle_channel(layer, [float_blob((4, 1, 1), [1.0, 2.0, 3.0, 4.0])])[0].tolist()
    [[[1.0]], [[3.0]], [[2.0]], [[4.0]]]
    """
    blob = only_bottom(layer, bottoms)
    require_rank(layer, blob, 3, 4)
    channels = blob.shape[0]
    group = layer.get.integer("group")
    if group < 1 or channels % group:
        raise fault(layer, f"cannot divide {channels} channels into {group} groups")
    if layer.get.integer("reverse"):
        group = channels // group
    size = len(blob.values) // channels
    places = positions((channels // group, group, size), (size, channels // group * size, 1))
    return [Blob(blob.shape, blob.dtype, [blob.values[place] for place in places])]


FORWARD = {"PixelShuffle": pixel_shuffle, "Reorg": reorg, "ShuffleChannel": shuffle_channel}
