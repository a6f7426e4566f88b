"""Crop and CopyTo: a box inside a blob, taken out or written over, for any dtype."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob
from spec.graph import Layer, Shape
from spec.layers.common import fault, only_bottom, resolve_axis
from spec.layers.strided import box, positions, strides_of
from spec.shape_expression import evaluate

ALL = -233
"""A size that means all that is left, a start that means the first and an end that means the last."""

AXIS_NAMES = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}
"""The axes of a blob of each rank, outermost first."""

_SIZES_AND_TAILS = ("outw", "outh", "outd", "outc", "woffset2", "hoffset2", "doffset2", "coffset2")


def crop(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The part of the first bottom between a start and an end on every axis.

    Three ways to say it, the first that applies: the expressions `starts_expr`, `ends_expr`, `axes_expr`; the arrays
    `starts`, `ends`, `axes`; or an offset, a size and a tail offset for each of w, h, d, c. Without any size the
    extents of a second bottom are the sizes. GraphError for an empty result and for a box that leaves the blob.

    Follows: ncnn src/layer/crop.cpp @ a4d2ea1d.

    >>> from spec.blob import float_blob
    >>> crop(Layer("Crop", "c", [], [], {9: [1], 10: [-1]}), [float_blob((4,), [1.0, 2.0, 3.0, 4.0])])[0].tolist()
    [2.0, 3.0]
    """
    if not bottoms:
        raise fault(layer, "takes at least one bottom blob")
    blob = bottoms[0]
    if layer.get.text("starts_expr") and layer.get.text("ends_expr"):
        shapes = [bottom.shape for bottom in bottoms]
        starts, ends, axes = (
            evaluate(layer, layer.get.text(name), shapes) for name in ("starts_expr", "ends_expr", "axes_expr")
        )
        if not axes:
            raise fault(layer, "has expressions for starts and ends, but none for axes")
        region = _between(layer, blob.shape, starts, ends, axes)
    elif layer.get.integers("starts") and layer.get.integers("ends"):
        get = layer.get.integers
        region = _between(layer, blob.shape, get("starts"), get("ends"), get("axes"))
    elif len(bottoms) == 2 and not any(layer.get.integer(name) for name in _SIZES_AND_TAILS):
        region = _like(layer, blob, bottoms[1])
    else:
        region = _offset_and_size(layer, only_bottom(layer, bottoms).shape)
    return [_cut(layer, blob, *region)]


def copy_to(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The first bottom with the second written over it, beginning at an offset.

    The offsets are `starts` on `axes`, or else woffset, hoffset, doffset and coffset. Both bottoms have one dtype and
    one rank. GraphError where the second does not fit.

    Follows: ncnn src/layer/copyto.cpp @ a4d2ea1d.

    >>> from spec.blob import float_blob
    >>> layer = Layer("CopyTo", "c", [], [], {0: 1})
    >>> copy_to(layer, [float_blob((3,), [1.0, 2.0, 3.0]), float_blob((1,), [9.0])])[0].tolist()
    [1.0, 9.0, 3.0]
    """
    if len(bottoms) != 2:
        raise fault(layer, f"takes two bottom blobs, not {len(bottoms)}")
    blob, patch = bottoms
    if blob.dtype != patch.dtype or len(blob.shape) != len(patch.shape):
        raise fault(layer, f"cannot write {patch.dtype} of shape {patch.shape} over {blob.dtype} of {blob.shape}")
    starts = _patch_starts(layer, blob.shape)
    for start, extent, room in zip(starts, patch.shape, blob.shape):
        if start < 0 or start + extent > room:
            raise fault(layer, f"cannot write shape {patch.shape} at {starts} into shape {blob.shape}")
    strides = strides_of(blob.shape)
    first = sum(start * stride for start, stride in zip(starts, strides))
    values = list(blob.values)
    for position, value in zip(positions(patch.shape, strides, first), patch.values):
        values[position] = value
    return [Blob(blob.shape, blob.dtype, values)]


def _between(
    layer: Layer, shape: Shape, starts: list[int], ends: list[int], axes: list[int]
) -> tuple[list[int], list[int]]:
    """Starts and sizes from starts and ends in numpy's manner, where an end of 0 means the last."""
    axes = axes or list(range(len(starts)))
    if not len(starts) == len(ends) == len(axes):
        raise fault(layer, f"has {len(starts)} starts, {len(ends)} ends and {len(axes)} axes")
    offsets, sizes = [0] * len(shape), list(shape)
    for start, end, named in zip(starts, ends, axes):
        axis = resolve_axis(layer, named, len(shape))
        extent = shape[axis]
        first = 0 if start == ALL else start if start >= 0 else extent + start
        last = extent if end == ALL else min(extent, end if end > 0 else extent + end)
        offsets[axis], sizes[axis] = first, last - first
    return offsets, sizes


def _offset_and_size(layer: Layer, shape: Shape) -> tuple[list[int], list[int]]:
    names = AXIS_NAMES[len(shape)]
    offsets = [layer.get.integer(f"{name}offset") for name in names]
    sizes = []
    for name, extent, offset in zip(names, shape, offsets):
        left = extent - offset - layer.get.integer(f"{name}offset2")
        size = layer.get.integer(f"out{name}")
        sizes.append(left if size == ALL else min(size, left))
    return offsets, sizes


def _like(layer: Layer, blob: Blob, other: Blob) -> tuple[list[int], list[int]]:
    """Sizes from a second bottom: its extents, or what its int32 values say if woffset is -233."""
    rank = len(blob.shape)
    names = AXIS_NAMES[rank]
    if layer.get.integer("woffset") == ALL:
        slots = "whdc" if rank == 4 else "whc"
        if other.dtype != "int32" or len(other.values) < 2 * len(slots):
            raise fault(layer, f"needs {2 * len(slots)} int32 values of offsets and sizes in its second bottom")
        said = dict(zip((*slots, *slots.upper()), other.ints()))
        return [said[name] for name in names], [said[name.upper()] for name in names]
    offsets = [layer.get.integer(f"{name}offset") for name in names]
    extents = dict(zip(AXIS_NAMES[len(other.shape)], other.shape))
    sizes = [extents.get(name, 1) for name in names]
    if rank >= 3 and len(other.shape) != rank:
        sizes[0] = blob.shape[0]
    return offsets, sizes


def _cut(layer: Layer, blob: Blob, offsets: list[int], sizes: list[int]) -> Blob:
    for offset, size, extent in zip(offsets, sizes, blob.shape):
        if offset < 0 or size <= 0 or offset + size > extent:
            raise fault(layer, f"cannot take {sizes} at {offsets} from a blob of shape {blob.shape}")
    return box(blob, offsets, tuple(sizes))


def _patch_starts(layer: Layer, shape: Shape) -> list[int]:
    starts, axes = layer.get.integers("starts"), layer.get.integers("axes")
    if not starts:
        return [layer.get.integer(f"{name}offset") for name in AXIS_NAMES[len(shape)]]
    axes = axes or list(range(len(starts)))
    if len(axes) != len(starts):
        raise fault(layer, f"has {len(starts)} starts and {len(axes)} axes")
    offsets = [0] * len(shape)
    for start, named in zip(starts, axes):
        axis = resolve_axis(layer, named, len(shape))
        offsets[axis] = 0 if start == ALL else start if start >= 0 else shape[axis] + start
    return offsets


FORWARD = {"Crop": crop, "CopyTo": copy_to}
