"""Crop and CopyTo: a box inside a blob, taken out or written over, any dtype."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastpath.layers.common import Array, Operator, Prepare, fault, only_bottom, resolve_axis
from spec.graph import Layer, Shape
from spec.shape_expression import evaluate

ALL = -233
"""A size that means all that is left, a start that means the first and an end that means the last."""

AXIS_NAMES = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}
"""The axes of a blob of each rank, outermost first."""

SIZES_AND_TAILS = ("outw", "outh", "outd", "outc", "woffset2", "hoffset2", "doffset2", "coffset2")

Region = tuple[list[int], list[int]]
"""Offsets and sizes, one of each an axis."""


def prepare_crop(layer: Layer) -> Operator:
    """Crop: the box that expressions, starts and ends, offsets and sizes or a second bottom give, in this order.

    Follows: ncnn src/layer/crop.cpp @ a4d2ea1d.
    """
    starts, ends, axes = (layer.get.integers(name) for name in ("starts", "ends", "axes"))
    expressions = [layer.get.text(name) for name in ("starts_expr", "ends_expr", "axes_expr")]
    by_reference = not any(layer.get.integer(name) for name in SIZES_AND_TAILS)

    def operator(bottoms: list[Array]) -> list[Array]:
        if not bottoms:
            raise fault(layer, "takes at least one bottom blob")
        blob = bottoms[0]
        if expressions[0] and expressions[1]:
            shapes = [bottom.shape for bottom in bottoms]
            first, last, named = (evaluate(layer, expression, shapes) for expression in expressions)
            if not named:
                raise fault(layer, "has expressions for starts and ends, but none for axes")
            region = _between(layer, blob.shape, first, last, named)
        elif starts and ends:
            region = _between(layer, blob.shape, starts, ends, axes)
        elif len(bottoms) == 2 and by_reference:
            region = _like(layer, blob, bottoms[1])
        else:
            region = _offset_and_size(layer, only_bottom(layer, bottoms).shape)
        return [np.ascontiguousarray(blob[_box(layer, blob.shape, *region)])]

    return operator


def prepare_copy_to(layer: Layer) -> Operator:
    """CopyTo: the first bottom with the second written over it. Follows: ncnn src/layer/copyto.cpp @ a4d2ea1d."""

    def operator(bottoms: list[Array]) -> list[Array]:
        if len(bottoms) != 2:
            raise fault(layer, f"takes two bottom blobs, not {len(bottoms)}")
        blob, patch = bottoms
        if blob.dtype != patch.dtype or blob.ndim != patch.ndim:
            raise fault(layer, f"cannot write {patch.dtype} of shape {patch.shape} over {blob.dtype} of {blob.shape}")
        starts = _patch_starts(layer, blob.shape)
        for start, extent, room in zip(starts, patch.shape, blob.shape, strict=True):
            if start < 0 or start + extent > room:
                raise fault(layer, f"cannot write shape {patch.shape} at {starts} into shape {blob.shape}")
        result = blob.copy()
        result[tuple(slice(start, start + extent) for start, extent in zip(starts, patch.shape, strict=True))] = patch
        return [result]

    return operator


def _between(layer: Layer, shape: Shape, starts: list[int], ends: list[int], axes: list[int]) -> Region:
    axes = axes or list(range(len(starts)))
    if not len(starts) == len(ends) == len(axes):
        raise fault(layer, f"has {len(starts)} starts, {len(ends)} ends and {len(axes)} axes")
    offsets, sizes = [0] * len(shape), list(shape)
    for start, end, named in zip(starts, ends, axes, strict=True):
        axis = resolve_axis(layer, named, len(shape))
        extent = shape[axis]
        first = 0 if start == ALL else start if start >= 0 else extent + start
        last = extent if end == ALL else min(extent, end if end > 0 else extent + end)
        offsets[axis], sizes[axis] = first, last - first
    return offsets, sizes


def _offset_and_size(layer: Layer, shape: Shape) -> Region:
    names = AXIS_NAMES[len(shape)]
    offsets = [layer.get.integer(f"{name}offset") for name in names]
    sizes = []
    for name, extent, offset in zip(names, shape, offsets, strict=True):
        left = extent - offset - layer.get.integer(f"{name}offset2")
        size = layer.get.integer(f"out{name}")
        sizes.append(left if size == ALL else min(size, left))
    return offsets, sizes


def _like(layer: Layer, blob: Array, other: Array) -> Region:
    """Sizes from a second bottom: its extents, or what its int32 values say if woffset is -233."""
    names = AXIS_NAMES[blob.ndim]
    if layer.get.integer("woffset") == ALL:
        slots = "whdc" if blob.ndim == 4 else "whc"
        if other.dtype != np.int32 or other.size < 2 * len(slots):
            raise fault(layer, f"needs {2 * len(slots)} int32 values of offsets and sizes in its second bottom")
        said = dict(zip((*slots, *slots.upper()), other.reshape(-1).tolist(), strict=False))
        return [said[name] for name in names], [said[name.upper()] for name in names]
    offsets = [layer.get.integer(f"{name}offset") for name in names]
    extents = dict(zip(AXIS_NAMES[other.ndim], other.shape, strict=True))
    sizes = [extents.get(name, 1) for name in names]
    if blob.ndim >= 3 and other.ndim != blob.ndim:
        sizes[0] = blob.shape[0]
    return offsets, sizes


def _box(layer: Layer, shape: Shape, offsets: Sequence[int], sizes: Sequence[int]) -> tuple[slice, ...]:
    for offset, size, extent in zip(offsets, sizes, shape, strict=True):
        if offset < 0 or size <= 0 or offset + size > extent:
            raise fault(layer, f"cannot take {list(sizes)} at {list(offsets)} from a blob of shape {shape}")
    return tuple(slice(offset, offset + size) for offset, size in zip(offsets, sizes, strict=True))


def _patch_starts(layer: Layer, shape: Shape) -> list[int]:
    starts, axes = layer.get.integers("starts"), layer.get.integers("axes")
    if not starts:
        return [layer.get.integer(f"{name}offset") for name in AXIS_NAMES[len(shape)]]
    axes = axes or list(range(len(starts)))
    if len(axes) != len(starts):
        raise fault(layer, f"has {len(starts)} starts and {len(axes)} axes")
    offsets = [0] * len(shape)
    for start, named in zip(starts, axes, strict=True):
        axis = resolve_axis(layer, named, len(shape))
        offsets[axis] = 0 if start == ALL else start if start >= 0 else shape[axis] + start
    return offsets


PREPARE: dict[str, Prepare] = {"Crop": prepare_crop, "CopyTo": prepare_copy_to}
