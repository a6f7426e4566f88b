"""Which layers a float plan runs by its own steps, and what those want of their bottom blobs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto

from fastpath.float_plan.convolution import MOST_COLUMNS
from fastpath.kernels.source.cells import CELL_ROW
from fastpath.kernels.source.planes import PLANE_SLACK, PLANES, TAPS
from fastpath.layers.activation import RELU
from fastpath.layers.common import Array
from fastpath.layers.eltwise import SUM
from fastpath.layers.planes import WIDEST_STEP
from fastpath.layers.window import Pads, Window, resolve_pads, window_of
from fastpath.planning.layer_kinds import is_relu, pool_windows
from fastpath.steps.calls import Blobs
from spec.graph import Layer

NO_PADS: Pads = (0, 0, 0, 0)

ADD = 0
"""The `op_type` of a BinaryOp that adds."""


class Kind(Enum):
    """How a layer runs."""

    OPERATOR = auto()
    POINTWISE = auto()
    BORDERED_POINTWISE = auto()
    CONVOLUTION = auto()
    DEPTHWISE = auto()
    MAX_POOLING = auto()
    ADDITION = auto()
    RELU = auto()
    CONCAT = auto()


IN_PLACE = (Kind.DEPTHWISE, Kind.ADDITION, Kind.RELU)
"""These may write where they read, if that has the same geometry."""

LEAVES_GAPS = (Kind.BORDERED_POINTWISE, Kind.MAX_POOLING)
"""These write pixels, but nothing between the rows."""

CONVOLUTIONS = (Kind.POINTWISE, Kind.BORDERED_POINTWISE, Kind.CONVOLUTION, Kind.DEPTHWISE)


@dataclass(frozen=True)
class Planned:
    """A layer, how it runs, and the window of those that have one."""

    layer: Layer
    kind: Kind
    window: Window | None = None
    pads: Pads = NO_PADS
    border: int = 0
    """The border that the bottom blob needs on every side."""
    keeps_geometry: bool = False
    """Whether bottoms and tops have the same borders."""


def plan_layer(layer: Layer, blobs: Blobs, never_negative: Collection[str]) -> Planned:
    """How to run a layer on blobs of these shapes; `never_negative` are blobs that hold neither that nor NaN."""
    bottoms, tops = [blobs[name] for name in layer.bottoms], [blobs[name] for name in layer.tops]
    operator = Planned(layer, Kind.OPERATOR)
    if not bottoms or len(tops) != 1 or any(blob.ndim != 3 or blob.dtype != "float32" for blob in (*bottoms, *tops)):
        return operator
    if layer.type in ("Convolution", "ConvolutionDepthWise"):
        return _convolution(layer, bottoms[0], tops[0]) or operator
    if layer.type == "Pooling" and layer.bottoms[0] in never_negative:
        return _pooling(layer, bottoms[0], tops[0]) or operator
    kind = _elementwise(layer, bottoms)
    return operator if kind is None else Planned(layer, kind, keeps_geometry=True)


def is_never_negative(planned: Planned, never_negative: Collection[str]) -> bool:
    """Whether the top blob holds neither NaN nor numbers below zero, and no negative zeros."""
    if planned.kind in CONVOLUTIONS:
        return planned.layer.get.integer("activation_type") == RELU
    if planned.kind in (Kind.MAX_POOLING, Kind.CONCAT):
        return all(name in never_negative for name in planned.layer.bottoms)
    return False


def multiplications(planned: Planned, blobs: Blobs) -> int:
    """The products of a convolution; 0 for other layers."""
    if planned.kind not in CONVOLUTIONS:
        return 0
    top = blobs[planned.layer.tops[0]]
    return planned.layer.get.integer("weight_data_size") * int(top[0].size)


def _convolution(layer: Layer, bottom: Array, top: Array) -> Planned | None:
    get = layer.get
    if get.integer("dynamic_weight") or get.integer("int8_scale_term") or get.number("pad_value") != 0:
        return None
    group = get.integer("group") if layer.type == "ConvolutionDepthWise" else 1
    depthwise = layer.type == "ConvolutionDepthWise" and group == bottom.shape[0] == top.shape[0]
    if group != 1 and not depthwise:
        return None
    window = window_of(layer)
    _, h, w = bottom.shape
    pads = resolve_pads(layer, window, h, w, int8=False)
    border = max(pads[0], pads[2], _after(window, 0, pads[0], h, top), _after(window, 1, pads[2], w, top))
    if (w + 2 * border) * window.stride[1] > CELL_ROW:
        return None
    if depthwise:
        same = window.stride == (1, 1) and top.shape == bottom.shape
        planned = Planned(layer, Kind.DEPTHWISE, window, pads, border, same)
        return planned if _fits_doubles(bottom, top, border, window) else None
    if window.kernel == (1, 1) == window.stride:
        if any(pads):
            return Planned(layer, Kind.BORDERED_POINTWISE, window, pads)
        return Planned(layer, Kind.POINTWISE, window, keeps_geometry=True)
    depth = 1 + bottom.shape[0] * window.kernel[0] * window.kernel[1]
    if depth * (top.shape[2] + border) > MOST_COLUMNS:
        return None
    return Planned(layer, Kind.CONVOLUTION, window, pads, border)


def _after(window: Window, axis: int, before: int, length: int, top: Array) -> int:
    """The border that the last window needs."""
    windows = int(top.shape[1 + axis])
    return (windows - 1) * window.stride[axis] + window.extent[axis] - before - length


def _fits_doubles(bottom: Array, top: Array, border: int, window: Window) -> bool:
    """Whether the kernels can run: planes and tables fit, and at stride 1 rows are no longer than those they read."""
    channels, h, w = bottom.shape
    plane = (h + 2 * border + 2) * (w + border) + 64
    taps = window.kernel[0] * window.kernel[1]
    if window.stride == (1, 1) and top.shape[2] > w + border:
        return False
    return (
        plane <= PLANES
        and channels * taps <= TAPS
        and max(window.stride) <= WIDEST_STEP
        and top.shape[2] <= PLANE_SLACK // 2 - 2
    )


def _pooling(layer: Layer, bottom: Array, top: Array) -> Planned | None:
    windows = pool_windows(layer, bottom.shape)
    if windows is None or windows[0] not in ((2, 2), (3, 3)) or windows[1] != (2, 2):
        return None
    window = Window(windows[0], (1, 1), windows[1], windows[2])
    pads = windows[2]
    _, h, w = bottom.shape
    border = max(pads[0], pads[2], _after(window, 0, pads[0], h, top), _after(window, 1, pads[2], w, top))
    if 2 * (w + 2 * border) > CELL_ROW:
        return None
    return Planned(layer, Kind.MAX_POOLING, window, pads, border)


def _elementwise(layer: Layer, bottoms: list[Array]) -> Kind | None:
    get = layer.get
    same = all(blob.shape == bottoms[0].shape for blob in bottoms)
    if layer.type == "Eltwise" and len(bottoms) == 2 and same:
        return Kind.ADDITION if get.integer("op_type") == SUM and not get.numbers("coeffs") else None
    if layer.type == "BinaryOp" and len(bottoms) == 2 and same:
        return Kind.ADDITION if get.integer("op_type") == ADD and not get.integer("with_scalar") else None
    if layer.type == "Concat" and get.integer("axis") in (0, -3):
        return Kind.CONCAT
    return Kind.RELU if is_relu(layer) else None
