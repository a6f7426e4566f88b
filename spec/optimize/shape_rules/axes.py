"""Layers that cut, join, reorder, stretch or collapse axes.

Follows: ncnn src/layer/*.cpp @ a4d2ea1d.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from spec.binary32 import f32
from spec.errors import GraphError
from spec.graph import Layer, Shape, ncnn_extents
from spec.optimize.shape_rules.common import Rule, ShapeUnknown, axis_of, first, of_rank, positive, quotient
from spec.shape_expression import evaluate

ABSENT = -233
"""A size or position that is not given."""

_ORDERS = {
    2: ("wh", "hw"),
    3: ("whc", "hwc", "wch", "cwh", "hcw", "chw"),
    4: (
        *("whdc", "hwdc", "wdhc", "dwhc", "hdwc", "dhwc", "whcd", "hwcd", "wchd", "cwhd", "hcwd", "chwd"),
        *("wdch", "dwch", "wcdh", "cwdh", "dcwh", "cdwh", "hdcw", "dhcw", "hcdw", "chdw", "dchw", "cdhw"),
    ),
}
"""Permute's order_type: the result's axes, innermost first."""

_AXIS_NAMES = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}
"""Axes by their letters, outermost first."""


def _evaluated(layer: Layer, text: str, bottoms: Sequence[Shape]) -> list[int]:
    try:
        return evaluate(layer, text, bottoms)
    except GraphError as error:
        raise ShapeUnknown(error.message) from None


def concat(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Concat: extents add up along the axis."""
    shape = list(first(bottoms))
    axis = axis_of(layer.get.integer("axis"), len(shape))
    if any(len(other) != len(shape) for other in bottoms):
        raise ShapeUnknown(f"its bottoms have shapes {', '.join(map(str, bottoms))}")
    shape[axis] = sum(other[axis] for other in bottoms)
    return [tuple(shape)]


def slice_(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Slice: by sizes, of which -233 shares out what is left, or by cut positions."""
    get, shape = layer.get, first(bottoms)
    axis = axis_of(get.integer("axis"), len(shape))
    size, tops = shape[axis], len(layer.tops)
    sizes: list[int] = []
    indices = get.integers("indices")
    if indices:
        cuts = [0, *(index % size if index < 0 else index for index in indices), size]
        sizes = [end - begin for begin, end in itertools.pairwise(cuts)]
    else:
        left = size
        for position, wanted in enumerate(get.integers("slices")):
            sizes.append(left // (tops - position) if wanted == ABSENT and position < tops else wanted)
            left -= sizes[-1]
    if len(sizes) != tops:
        raise ShapeUnknown(f"it cuts {len(sizes)} pieces for {tops} tops")
    return [positive((*shape[:axis], piece, *shape[axis + 1 :])) for piece in sizes]


def crop(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Crop: by starts and ends, by offsets and sizes, or to the size of a second bottom."""
    get, shape = layer.get, first(bottoms)
    if get.text("starts_expr") and get.text("ends_expr"):
        names = ("starts_expr", "ends_expr", "axes_expr")
        starts, ends, axes = (_evaluated(layer, get.text(name), bottoms) for name in names)
        return [_between(shape, starts, ends, axes)]
    if get.integers("starts") and get.integers("ends"):
        return [_between(shape, get.integers("starts"), get.integers("ends"), get.integers("axes"))]
    sizes = {name: get.integer(f"out{name}") for name in "whdc"}
    if len(bottoms) > 1:
        return [_like(layer, shape, bottoms[1])]
    result = []
    for name, extent in zip(_AXIS_NAMES[len(shape)], shape, strict=True):
        left = extent - get.integer(f"{name}offset") - get.integer(f"{name}offset2")
        result.append(left if sizes[name] == ABSENT else min(left, sizes[name]))
    return [positive(tuple(result))]


def _between(shape: Shape, starts: list[int], ends: list[int], axes: list[int]) -> Shape:
    result = list(shape)
    axes = axes or list(range(len(starts)))
    if not len(starts) == len(ends) == len(axes):
        raise ShapeUnknown(f"it has {len(starts)} starts, {len(ends)} ends and {len(axes)} axes")
    for start, end, number in zip(starts, ends, axes, strict=True):
        axis = axis_of(number, len(shape))
        size = shape[axis]
        begin = 0 if start == ABSENT else start if start >= 0 else size + start
        stop = size if end == ABSENT else min(size, end if end > 0 else size + end)
        result[axis] = stop - begin
    return positive(tuple(result))


def _like(layer: Layer, shape: Shape, model: Shape) -> Shape:
    """The second bottom's extents, its channels only if it has the same rank."""
    if layer.get.integer("woffset") == ABSENT:
        raise ShapeUnknown("the values of its second bottom say what is cropped")
    _, w, h, d, c = ncnn_extents(model)
    channels = c if len(model) == len(shape) else shape[0]
    return {1: (w,), 2: (h, w), 3: (channels, h, w), 4: (channels, d, h, w)}[len(shape)]


def permute(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Permute: axes in another order."""
    shape = first(bottoms)
    if len(shape) == 1:
        return [shape]
    orders, number = _ORDERS[len(shape)], layer.get.integer("order_type")
    if not 0 <= number < len(orders):
        raise ShapeUnknown(f"there is no order {number} of {len(shape)} axes")
    extents = dict(zip(_AXIS_NAMES[len(shape)], shape, strict=True))
    return [tuple(extents[name] for name in reversed(orders[number]))]


def reshape(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Reshape: 0 copies the extent of the same name, -1 takes what is left."""
    get, shape = layer.get, first(bottoms)
    expression = get.text("shape_expr")
    if expression:
        values = _evaluated(layer, expression, bottoms)
        if not 1 <= len(values) <= 4:
            raise ShapeUnknown(f"its expression has {len(values)} values")
        names = {1: "w", 2: "wh", 3: "whc", 4: "whdc"}[len(values)]
        target = dict(zip(names, values, strict=True))
    else:
        target = {name: get.integer(name) for name in "whdc"}
    rank = _target_rank(target)
    own = dict(zip(_AXIS_NAMES[len(shape)], shape, strict=True))
    wanted = [own.get(name, 1) if target[name] == 0 else target[name] for name in _AXIS_NAMES.get(rank, "")]
    total = math.prod(shape)
    if wanted.count(-1) > 1 or rank == 0:
        raise ShapeUnknown(f"it asks for the shape {tuple(wanted)}")
    given = math.prod(extent for extent in wanted if extent != -1)
    result = tuple(total // max(1, given) if extent == -1 else extent for extent in wanted)
    if math.prod(result) != total:
        raise ShapeUnknown(f"{total} elements do not fill shape {result}")
    return [positive(result)]


def _target_rank(target: dict[str, int]) -> int:
    for name, rank in (("w", 0), ("h", 1), ("c", 2), ("d", 3)):
        if target.get(name, ABSENT) == ABSENT:
            return rank
    return 4


def flatten(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Flatten: all elements in one row."""
    return [(math.prod(first(bottoms)),)]


def squeeze(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Squeeze: the named axes disappear where they are 1."""
    get, shape = layer.get, first(bottoms)
    axes = get.integers("axes")
    if axes:
        named = {axis % len(shape) for axis in axes if -len(shape) <= axis < len(shape)}
    else:
        names = _AXIS_NAMES[len(shape)]
        named = {axis for axis, name in enumerate(names) if get.integer(f"squeeze_{name}")}
    return [tuple(n for axis, n in enumerate(shape) if n != 1 or axis not in named) or (1,)]


def expand_dims(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """ExpandDims: axes of 1 at these places of the result."""
    shape, axes = first(bottoms), layer.get.integers("axes")
    rank = len(shape) + len(axes)
    if rank > 4:
        raise ShapeUnknown(f"its top would have {rank} dims")
    places = {axis_of(axis, rank) for axis in axes}
    extents = iter(shape)
    return [tuple(1 if place in places else next(extents) for place in range(rank))]


def tile(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Tile: one axis, or a list of repeats aligned with the innermost axes."""
    get, shape = layer.get, first(bottoms)
    repeats = get.integers("repeats")
    if not repeats:
        axis = axis_of(get.integer("axis"), len(shape))
        return [positive((*shape[:axis], shape[axis] * get.integer("tiles"), *shape[axis + 1 :]))]
    if len(shape) == 3 and len(repeats) == 4:
        shape = (shape[0], 1, shape[1], shape[2])
    rank = max(len(shape), len(repeats))
    if rank > 4:
        raise ShapeUnknown(f"it has {len(repeats)} repeats")
    extents = (1,) * (rank - len(shape)) + shape
    times = [1] * (rank - len(repeats)) + repeats
    return [positive(tuple(n * k for n, k in zip(extents, times, strict=True)))]


def padding(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Padding: columns, rows, and channels of a 3-D or slices of a 4-D blob."""
    get, shape = layer.get, list(first(bottoms))
    shape[-1] += get.integer("left") + get.integer("right")
    if len(shape) > 1:
        shape[-2] += get.integer("top") + get.integer("bottom")
    if len(shape) > 2:
        shape[-3] += get.integer("front") + get.integer("behind")
    return [positive(tuple(shape))]


def interp(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Interp: to a size by expression, by a second bottom, by numbers, or by scales, whichever is given first."""
    get, shape = layer.get, first(bottoms)
    _, w, h, _, _ = ncnn_extents(shape)
    if get.text("size_expr"):
        sizes = _evaluated(layer, get.text("size_expr"), bottoms)
        width, height = sizes[0], sizes[1] if len(sizes) > 1 else h
    elif get.integer("dynamic_target_size") and len(bottoms) > 1:
        _, width, height, _, _ = ncnn_extents(bottoms[1])
    elif get.integer("output_width") and get.integer("output_height"):
        width, height = get.integer("output_width"), get.integer("output_height")
    else:
        columns, rows = (1, 1) if len(shape) == 1 else (w, h)
        width = int(f32(columns * get.number("width_scale")))
        height = int(f32(rows * get.number("height_scale")))
    if len(shape) == 1:
        return [positive((shape[0], height, width))]
    if len(shape) == 2:
        return [positive((shape[0], width))]
    of_rank(shape, 3)
    return [positive((shape[0], height, width))]


def reduction(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Reduction: the reduced axes disappear, or stay as 1."""
    get, shape = layer.get, first(bottoms)
    rank = len(shape)
    axes = get.integers("axes")
    if get.integer("reduce_all") or not axes or rank == 1:
        reduced = set(range(rank))
    else:
        reduced = {axis_of(axis, rank) for axis in axes}
    if get.integer("keepdims"):
        return [tuple(1 if axis in reduced else n for axis, n in enumerate(shape))]
    return [tuple(n for axis, n in enumerate(shape) if axis not in reduced) or (1,)]


def pixel_shuffle(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """PixelShuffle: channels become finer rows and columns."""
    c, h, w = of_rank(first(bottoms), 3)
    factor = layer.get.integer("upscale_factor")
    return [(quotient(c, factor * factor, "channels"), h * factor, w * factor)]


def reorg(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """Reorg: rows and columns become channels."""
    c, h, w = of_rank(first(bottoms), 3)
    stride = layer.get.integer("stride")
    return [positive((c * stride * stride, h // stride, w // stride))]


def glu(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """GLU: half of the axis gates the other half."""
    shape = first(bottoms)
    axis = axis_of(layer.get.integer("axis"), len(shape))
    return [positive((*shape[:axis], shape[axis] // 2, *shape[axis + 1 :]))]


def grid_sample(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """GridSample of a 3-D blob: the grid's rows and columns."""
    if len(bottoms) < 2:
        raise ShapeUnknown("its grid is missing")
    shape, grid = of_rank(bottoms[0], 3), of_rank(bottoms[1], 3)
    return [(shape[0], *(grid[1:] if layer.get.integer("permute_fusion") else grid[:2]))]


RULES: dict[str, Rule] = {
    "Concat": concat,
    "Crop": crop,
    "ExpandDims": expand_dims,
    "Flatten": flatten,
    "GLU": glu,
    "GridSample": grid_sample,
    "Interp": interp,
    "Padding": padding,
    "Permute": permute,
    "PixelShuffle": pixel_shuffle,
    "Reduction": reduction,
    "Reorg": reorg,
    "Reshape": reshape,
    "Slice": slice_,
    "Squeeze": squeeze,
    "Tile": tile,
}
