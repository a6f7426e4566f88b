"""The plan of a network: which layers compiled kernels run, on which feature maps, and why the others stay with numpy.

A plan belongs to one set of input shapes, and computes all outputs of the network. int8 convolutions run compiled. A
blob between them never becomes floats where all its readers want codes of one scale: the float steps of the layer that
makes it and the quantization of the layers that read it are one staircase of the integer sum, which the kernels climb
exactly. Split, Concat, max pooling and ReLU on such blobs work on codes too, or cost nothing at all. Where floats are
needed after all, as for the additions of residual networks, they stand pixel after pixel while only convolutions,
additions, ReLU and global pooling use them. The outputs hold the same bits with and without a plan.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np
from librt.vecs import vec
from mypy_extensions import u8

from fastpath import kernels
from fastpath.arena import Buffer, byte_buffer
from fastpath.kernels import Kernels
from fastpath.kernels.packing import fits_dense, fits_depthwise, round_up
from fastpath.kernels.source.capacity import CHANNELS, FEATURES, PATCH, SLACK
from fastpath.kernels.staircase import Stairs
from fastpath.layers.activation import NONE, RELU, Activation
from fastpath.layers.common import Array, Floats, Operator
from fastpath.layers.eltwise import SUM
from fastpath.layers.epilogue import (
    descales,
    read_bias,
    read_bottom_scale,
    read_int8_weights,
    read_scale,
    read_weight_scales,
)
from fastpath.layers.pooling import AVERAGE, axis_of
from fastpath.layers.window import Pads, Window, window_of
from fastpath.steps import (
    FLOAT_TILE,
    SIGNED_ZERO,
    Action,
    Blobs,
    BlobStep,
    CodesStep,
    Convolution8,
    Entry,
    MapEntry,
    OperatorStep,
    SliceStep,
    Step,
    Storage,
    Workshop,
    add_maps,
    dense_to_blob,
    dense_to_codes,
    dense_to_map,
    dense_to_means,
    dense_to_pooled,
    depthwise_to_blob,
    depthwise_to_codes,
    fits_pooled,
    frame,
    max_pool,
    mean_of_map,
    rectify_map,
    runs_in_lanes,
    storage_bytes,
)
from spec.errors import AssayError
from spec.graph import Graph, Layer, Shape

NARROW_PATCH = 384
"""Patches up to this length run on 256-bit vectors."""


SMALLEST_DESCALE = np.float32(1e-20)
"""Sums times a factor above this never underflow."""

MOST_PLANS = 8
"""Plans that a network keeps; the one that was not used for longest goes first."""

ADD = 0
"""The `op_type` of a BinaryOp that adds."""

KEEP_SIGNS = ("Split", "Concat", "Slice", "ShuffleChannel")
"""Types that make no negative numbers where they read none."""

NO_PADS: Pads = (0, 0, 0, 0)


@dataclass(frozen=True)
class PlanRow:
    """What runs a layer, and why it is not something faster."""

    layer: str
    kernel: str
    reason: str


@dataclass
class Plan:
    """The steps in their order, each with the blobs that nobody reads afterwards."""

    outputs: list[str]
    steps: list[tuple[Step, list[str]]] = field(default_factory=list)
    rows: list[PlanRow] = field(default_factory=list)
    layers: list[int] = field(default_factory=list)
    """The layer that each step runs, by its place in the network."""
    shapes: dict[str, Shape] = field(default_factory=dict)
    """The shapes of all blobs, also of those that exist as codes only."""

    def run(self, fed: Blobs) -> Blobs:
        """All outputs, from blobs of the shapes that the plan was made for."""
        blobs = dict(fed)
        with np.errstate(all="ignore"):
            for step, finished in self.steps:
                step(blobs)
                for name in finished:
                    blobs.pop(name, None)
        return {name: blobs[name] for name in self.outputs}

    def time(self, fed: Blobs, times: dict[int, float]) -> None:
        """Run once, and lower `times` (seconds by layer) where a step took less."""
        blobs = dict(fed)
        with np.errstate(all="ignore"):
            for index, (step, _) in zip(self.layers, self.steps, strict=True):
                start = time.perf_counter()
                step(blobs)
                times[index] = min(times.get(index, math.inf), time.perf_counter() - start)


def _is_int8(layer: Layer) -> bool:
    types = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
    return layer.type in types and layer.get.integer("int8_scale_term") != 0


class Refusal(Exception):
    """Why a layer stays with numpy."""


def read_convolution(layer: Layer) -> Convolution8:
    """An int8 convolution as the kernels need it. Refusal where they cannot run it."""
    if not _is_int8(layer):
        raise Refusal("float weights")
    get = layer.get.integer
    group = get("group") if layer.type == "ConvolutionDepthWise" else 1
    num_output, window = get("num_output"), window_of(layer)
    taps = window.kernel[0] * window.kernel[1]
    group_channels = get("weight_data_size") // (num_output * taps)
    depthwise = layer.type == "ConvolutionDepthWise" and group_channels == 1 and num_output == group
    if group != 1 and not depthwise:
        raise Refusal("groups of several channels")
    if layer.get.number("pad_value") != 0:
        raise Refusal("a pad value other than 0")
    term = get("int8_scale_term")
    count = num_output if layer.type == "Convolution" else group if term in (1, 101) else 1
    scales = read_weight_scales(layer, count)
    if count == 1:
        scales = np.repeat(scales, group)
    weight = read_int8_weights(layer, scales, get("weight_data_size"))
    weight = weight.reshape(num_output, group_channels, *window.kernel)
    if not (fits_depthwise(weight) if depthwise else fits_dense(weight)):
        raise Refusal("more weights than the kernels take, or a weight of -128")
    bottom_scale = read_bottom_scale(layer)
    return Convolution8(
        layer,
        window,
        weight,
        depthwise,
        Activation(layer),
        read_bias(layer),
        descales(bottom_scale, np.repeat(scales, num_output // scales.size)),
        bottom_scale,
        read_scale(layer, "top_blob_int8_scales") if term > 100 else None,
    )


def read_inner_product(layer: Layer, bottom: Array) -> Convolution8:
    """An int8 InnerProduct of a whole blob, as a convolution of one pixel. Refusal where it is something else."""
    get = layer.get.integer
    if get("int8_scale_term") == 0:
        raise Refusal("float weights")
    num_output = get("num_output")
    num_input = get("weight_data_size") // num_output
    if bottom.size != num_input:
        raise Refusal("rows of a matrix")
    scales, bottom_scale = read_weight_scales(layer, num_output), read_bottom_scale(layer)
    weight = read_int8_weights(layer, scales, get("weight_data_size")).reshape(num_output, num_input, 1, 1)
    if not fits_dense(weight) or not fits_arena((num_input, 1, 1), NO_PADS):
        raise Refusal("more weights than the kernels take")
    return Convolution8(
        layer,
        Window((1, 1), (1, 1), (1, 1), NO_PADS),
        weight,
        False,
        Activation(layer),
        read_bias(layer),
        descales(bottom_scale, scales),
        bottom_scale,
        None,
    )


def _slopes(layer: Layer, channels: int) -> Floats | None:
    """What a layer of type ReLU or PReLU multiplies the negative values of each channel by; None for other layers."""
    if layer.type == "ReLU":
        return np.full(channels, layer.get.number("slope"), np.float32)
    if layer.type == "PReLU" and layer.get.integer("num_slope") in (1, channels):
        slopes = np.array(layer.weight("slope_data").floats(), np.float32)
        return np.broadcast_to(slopes, channels).copy()
    return None


def _joins(layer: Layer, convolution: Convolution8) -> bool:
    """Whether a layer is a ReLU, leaky or not, that can be one staircase with the convolution before it."""
    slopes = _slopes(layer, convolution.num_output)
    if slopes is None or convolution.activation.type not in (NONE, RELU):
        return False
    return not slopes.any() or (convolution.activation.type == NONE and convolution.top_scale is None)


def is_relu(layer: Layer) -> bool:
    """Whether a layer is a plain ReLU."""
    return layer.type == "ReLU" and layer.get.number("slope") == 0


def is_global_average(layer: Layer) -> bool:
    """Whether a layer averages each channel."""
    get = layer.get.integer
    return layer.type == "Pooling" and get("pooling_type") == AVERAGE and get("global_pooling") != 0


def shape_of(blob: Array) -> Shape:
    """The shape as plain integers."""
    return tuple(int(extent) for extent in blob.shape)


class Groups:
    """Names that belong together; `find` gives one name for all of a group."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, name: str) -> str:
        """The representative of the group that a name belongs to."""
        while name in self._parents:
            name = self._parents[name]
        return name

    def join_all(self, names: Iterable[str]) -> None:
        """Make one group of all these names."""
        roots = {self.find(name) for name in names}
        for root in sorted(roots)[1:]:
            self._parents[root] = min(roots)


def pixel_bytes(channels: int) -> int:
    """From pixel to pixel in a feature map of so many channels."""
    return channels if channels < 8 else round_up(channels, 16)


def fits_arena(shape: Shape, borders: Pads) -> bool:
    """Whether a feature map (channels, h, w) with these borders fits one arena."""
    channels, h, w = shape
    return channels <= CHANNELS - 64 and storage_bytes(h, w, pixel_bytes(channels), borders) <= FEATURES - PATCH


def pool_windows(layer: Layer, shape: Shape) -> tuple[tuple[int, int], tuple[int, int], Pads] | None:
    """Kernel, stride and borders of windowed max pooling; None for every other kind."""
    get = layer.get.integer
    if get("pooling_type") != 0 or get("global_pooling") or get("adaptive_pooling") or len(shape) != 3:
        return None
    vertical = axis_of(layer, shape[1], "kernel_h", "stride_h", "pad_top", "pad_bottom")
    horizontal = axis_of(layer, shape[2], "kernel_w", "stride_w", "pad_left", "pad_right")
    for axis in (vertical, horizontal):
        if (axis.count - 1) * axis.stride >= axis.before + axis.length or axis.before >= axis.kernel:
            return None
    borders = (vertical.before, vertical.after, horizontal.before, horizontal.after)
    return (vertical.kernel, horizontal.kernel), (vertical.stride, horizontal.stride), borders


def pool_window(layer: Layer, shape: Shape) -> Window | None:
    """The same as one window."""
    windows = pool_windows(layer, shape)
    return None if windows is None else Window(windows[0], (1, 1), windows[1], windows[2])


class CodeFlow:
    """Which blobs of a network need exist as codes only: `hidden`, with the staircases of the layers that make them.

    A blob is hidden if its maker can make codes, its reader takes codes, and all readers that the codes reach want the
    same scale.
    """

    def __init__(self, graph: Graph, blobs: dict[str, Array]) -> None:
        """`blobs` has every blob of the network, as numpy computed it; only shapes and types are used."""
        self.layers = graph.layers
        self.blobs = blobs
        self.reached = set(blobs)
        self.producers = {top: index for index, layer in enumerate(graph.layers) for top in layer.tops}
        self.readers = {name: index for index, layer in enumerate(graph.layers) for name in layer.bottoms}
        self.reasons: dict[int, str] = {}
        self.convolutions: dict[int, Convolution8] = {}
        self.products: dict[int, Convolution8] = {}
        self.stairs: dict[int, Stairs] = {}
        self._signs: dict[str, bool] = {}
        for index, layer in enumerate(graph.layers):
            try:
                self._read(index, layer)
            except Refusal as refusal:
                self.reasons[index] = str(refusal)
        self.relus = {
            self.readers[name]: index
            for index, convolution in self.convolutions.items()
            if (name := convolution.layer.tops[0]) in self.readers
            and _joins(self.layers[self.readers[name]], convolution)
        }
        self.hidden = {name for name in blobs if self._can_hide(name)}
        while shown := self._must_show():
            self.hidden -= shown
        self.pooled = self._find_pooled()
        self.maps = {name for name in blobs if self._can_map(name)}
        while odd := {name for name in self.maps if not self._map_neighbours_agree(name)}:
            self.maps -= odd
        self.pooled = {
            index: reader for index, reader in self.pooled.items() if self.layers[reader].tops[0] in self.maps
        }

    def _read(self, index: int, layer: Layer) -> None:
        """Take a layer if kernels can run it. Refusal where they cannot."""
        if layer.type not in ("Convolution", "ConvolutionDepthWise", "InnerProduct"):
            return
        if any(name not in self.blobs for name in (*layer.bottoms, *layer.tops)):
            raise Refusal("no input reaches it")
        if layer.type == "InnerProduct":
            self.products[index] = read_inner_product(layer, self.blobs[layer.bottoms[0]])
            return
        bottom, top = self.blobs[layer.bottoms[0]].shape, self.blobs[layer.tops[0]].shape
        convolution = read_convolution(layer)
        pads = convolution.pads(bottom)
        if not fits_arena(bottom, pads):
            raise Refusal("its bottom blob is larger than an arena")
        columns = bottom[2] + pads[2] + pads[3] + convolution.window.dilation[1]
        if columns * convolution.window.kernel[0] * bottom[0] > FEATURES // 2 or top[2] * top[0] > FLOAT_TILE:
            raise Refusal("one of its rows is larger than a tile")
        self.convolutions[index] = convolution

    def _can_hide(self, name: str) -> bool:
        """Whether a blob could exist as codes only, as far as it alone tells."""
        index = self.producers.get(name)
        if index is None or name not in self.readers or self.blobs[name].ndim != 3:
            return False
        return fits_arena(self.blobs[name].shape, (8, 8, 8, 8)) and self._works_on_codes(index)

    def _works_on_codes(self, index: int) -> bool:
        """Whether a layer can make codes of what it reads."""
        layer = self.layers[index]
        if index in self.convolutions or index in self.relus or layer.type == "Split":
            return True
        if layer.type == "Dropout":
            return layer.get.number("scale") == 1
        if layer.type == "Concat":
            return layer.get.integer("axis") in (0, -3)
        return layer.type == "Pooling" and pool_windows(layer, self.blobs[layer.bottoms[0]].shape) is not None

    def _must_show(self) -> set[str]:
        """Hidden blobs that something wants as floats after all."""
        shown = {name for name in self.hidden if not self._neighbours_agree(name)}
        return shown or self._disagreeing() or self._held_twice() or self._without_stairs() or self._badly_padded()

    def _neighbours_agree(self, name: str) -> bool:
        """Whether the maker of a hidden blob reads codes, unless it is a convolution, and its reader makes codes."""
        maker, reader = self.producers[name], self.readers[name]
        if maker not in self.convolutions and not all(bottom in self.hidden for bottom in self.layers[maker].bottoms):
            return False
        if reader in self.convolutions:
            return True
        return self._works_on_codes(reader) and all(top in self.hidden for top in self.layers[reader].tops)

    def _disagreeing(self) -> set[str]:
        """Float blobs whose readers want codes of several scales."""
        return {name for name, scales in self.scales().items() if len(scales) > 1}

    def scales(self) -> dict[str, set[np.float32]]:
        """For every hidden blob of floats, the scales that readers want."""
        flows = self.flows()
        wanted: dict[str, set[np.float32]] = {flows.find(name): set() for name in self.hidden}
        for name in self.hidden:
            reader = self.convolutions.get(self.readers[name])
            if reader is not None:
                wanted[flows.find(name)].add(reader.bottom_scale)
        return {name: wanted[flows.find(name)] for name in self.hidden if self.blobs[name].dtype != np.int8}

    def _held_twice(self) -> set[str]:
        """Tops of Concats that hold a blob which another Concat, or another part of the same one, holds already."""
        places, held, shown = self.places(), set[str](), set[str]()
        for layer in self.layers:
            if layer.type == "Concat" and layer.tops[0] in self.hidden:
                parts = {places.find(name) for name in layer.bottoms}
                if parts & held or len(parts) < len(layer.bottoms):
                    shown.add(layer.tops[0])
                held |= parts
        return shown

    def _without_stairs(self) -> set[str]:
        """Tops of convolutions whose float steps no integers can stand for."""
        scales, shown = self.scales(), set[str]()
        for index, convolution in self.convolutions.items():
            name = convolution.layer.tops[0]
            if name not in self.hidden or index in self.stairs:
                continue
            stairs = self._climb(
                index, convolution.top_scale if convolution.top_scale is not None else min(scales[name])
            )
            if stairs is None:
                self.reasons[index] = "no integers stand for its float steps"
                shown.add(name)
            else:
                self.stairs[index] = stairs
        return shown

    def _climb(self, index: int, scale: np.float32) -> Stairs | None:
        convolution = self.convolutions[index]
        if self.relus.get(self.readers[convolution.layer.tops[0]]) == index:
            slopes = _slopes(self.layers[self.readers[convolution.layer.tops[0]]], convolution.num_output)
            if slopes is not None and slopes.any():
                convolution = replace(convolution, slopes=slopes)
            else:
                relu = copy(convolution.activation)
                relu.type = RELU
                convolution = replace(convolution, activation=relu)
        return convolution.stairs(scale)

    def _badly_padded(self) -> set[str]:
        """Tops of max pooling that pads signed codes: the border would have to be lower than a convolution's."""
        zeros, shown = self.zeros(), set[str]()
        for layer in self.layers:
            if layer.type == "Pooling" and layer.tops[0] in self.hidden and zeros[layer.tops[0]]:
                windows = pool_windows(layer, self.blobs[layer.bottoms[0]].shape)
                if windows is None or any(windows[2]):
                    shown.add(layer.tops[0])
        return shown

    def _find_pooled(self) -> dict[int, int]:
        """For each dense convolution of floats behind which max pooling follows: the pooling layer.

        The largest float comes of the largest sum, because the float steps never fall.
        """
        pooled = {}
        for index, convolution in self.convolutions.items():
            name = convolution.layer.tops[0]
            reader = self.readers.get(name)
            if reader is None or self.layers[reader].type != "Pooling" or not self._makes_floats(index):
                continue
            size = self.blobs[name].shape
            window = pool_window(self.layers[reader], size)
            rises = convolution.descale.min() > SMALLEST_DESCALE and convolution.activation.type in (NONE, RELU)
            if window is not None and rises and fits_pooled(size[1:], size[0], window):
                pooled[index] = reader
        return pooled

    def _makes_floats(self, index: int) -> bool:
        """Whether a layer is a dense convolution of floats that leave."""
        convolution = self.convolutions.get(index)
        if convolution is None or convolution.depthwise or convolution.top_scale is not None:
            return False
        return convolution.layer.tops[0] not in self.hidden

    def _can_map(self, name: str) -> bool:
        """Whether a blob could be a map of floats, pixel after pixel, as far as its maker alone tells."""
        index, blob = self.producers.get(name), self.blobs[name]
        if index is None or name not in self.readers or name in self.hidden or blob.ndim != 3:
            return False
        if blob.dtype != np.float32 or not fits_arena(shape_of(blob), NO_PADS):
            return False
        layer = self.layers[index]
        if self._makes_floats(index):
            return self.layers[self.readers[name]].type != "Pooling"
        return index in self.pooled.values() or self._works_on_maps(layer)

    def _works_on_maps(self, layer: Layer) -> bool:
        """Whether a layer makes maps of maps."""
        return layer.type == "Split" or is_relu(layer) or self.is_sum(layer)

    def is_sum(self, layer: Layer) -> bool:
        """Whether a layer adds two blobs of one shape."""
        if layer.type not in ("Eltwise", "BinaryOp") or len(layer.bottoms) != 2:
            return False
        shapes = {self.blobs[name].shape for name in layer.bottoms if name in self.blobs}
        if len(shapes) != 1:
            return False
        if layer.type == "Eltwise":
            return layer.get.integer("op_type") == SUM and not layer.get.numbers("coeffs")
        return layer.get.integer("op_type") == ADD and not layer.get.integer("with_scalar")

    def before_splits(self, name: str) -> str:
        """The blob that a blob is a copy of."""
        while (index := self.producers.get(name)) is not None and self.layers[index].type == "Split":
            name = self.layers[index].bottoms[0]
        return name

    def cuts_outermost(self, layer: Layer) -> bool:
        """Whether a layer is a Slice along the outermost axis, whose pieces need no copy."""
        if layer.type != "Slice" or not self.reached.issuperset(layer.bottoms):
            return False
        return layer.get.integer("axis") in (0, -self.blobs[layer.bottoms[0]].ndim)

    def _map_neighbours_agree(self, name: str) -> bool:
        """Whether what makes a map has maps to make it of, and its reader takes maps."""
        maker, reader = self.layers[self.producers[name]], self.layers[self.readers[name]]
        if self._works_on_maps(maker) and not self.maps.issuperset(maker.bottoms):
            return False
        if self.readers[name] in self.convolutions or is_global_average(reader):
            return True
        return self._works_on_maps(reader) and self.maps.issuperset((*reader.bottoms, *reader.tops))

    def never_negative(self, name: str) -> bool:
        """Whether no number of a float blob is below zero, as far as the layers tell that it comes from."""
        if name not in self._signs:
            self._signs[name] = name in self.producers and self._makes_no_negative(self.producers[name])
        return self._signs[name]

    def _makes_no_negative(self, index: int) -> bool:
        layer = self.layers[index]
        if layer.type in ("Convolution", "ConvolutionDepthWise", "InnerProduct"):
            return layer.get.integer("activation_type") == RELU
        if is_relu(layer):
            return True
        if layer.type == "Pooling":
            # A window that sees nothing but border has the lowest number of all.
            sees = (
                layer.bottoms[0] in self.blobs and pool_windows(layer, self.blobs[layer.bottoms[0]].shape) is not None
            )
            return sees and self.never_negative(layer.bottoms[0])
        return (layer.type in KEEP_SIGNS or self.is_sum(layer)) and all(map(self.never_negative, layer.bottoms))

    def map_places(self) -> Groups:
        """Maps that lie at the same place: ReLU works where its bottom lies."""
        groups = Groups()
        for layer in self.layers:
            if layer.type == "Split" or is_relu(layer):
                groups.join_all(name for name in (*layer.bottoms, *layer.tops) if name in self.maps)
        return groups

    def flows(self) -> Groups:
        """Hidden blobs that hold the same codes, or parts or maxima of them."""
        groups = Groups()
        for index, layer in enumerate(self.layers):
            if index not in self.convolutions:
                groups.join_all(name for name in (*layer.bottoms, *layer.tops) if name in self.hidden)
        return groups

    def places(self) -> Groups:
        """Hidden blobs that lie at the same place."""
        groups = Groups()
        for index, layer in enumerate(self.layers):
            if layer.type in ("Split", "Dropout") or index in self.relus:
                groups.join_all(name for name in (*layer.bottoms, *layer.tops) if name in self.hidden)
        return groups

    def zeros(self) -> dict[str, int]:
        """The zero point of every hidden blob: 0 where no layer that its codes come from makes negative ones."""
        flows = self.flows()
        signed = {
            flows.find(self.layers[index].tops[0])
            for index, stairs in self.stairs.items()
            if stairs.low < 0 and self.layers[index].tops[0] in self.hidden
        }
        return {name: SIGNED_ZERO if flows.find(name) in signed else 0 for name in self.hidden}


@dataclass
class Place:
    """A feature map that has no memory yet: its shape, the first and last layer that touch it, its borders."""

    shape: Shape
    first: int
    last: int
    zero: int
    borders: Pads = (0, 0, 0, 0)

    def widen(self, borders: Pads) -> None:
        """Make room for these borders too."""
        above, below, left, right = (max(pair) for pair in zip(self.borders, borders, strict=True))
        self.borders = (above, below, left, right)


class Builder:
    """Gives the feature maps of a plan their memory, and makes its steps."""

    def __init__(self, flow: CodeFlow) -> None:
        self.flow = flow
        self.groups = flow.places()
        self.zeros = flow.zeros()
        self.workshop = Workshop()
        self.holders = self._find_holders()
        self.framed: set[str] = set()
        self.map_groups = flow.map_places()
        self.sums = self._find_sums()
        self.maps = self._allot_maps()
        self.entered: set[str] = set()
        self.averages = self._find_averages()
        self.places = self._find_places()
        self.storages = self._allot()

    def plan(self, operators: list[Operator], outputs: list[str]) -> Plan:
        """The plan, with one row a layer; `operators` run what stays with numpy."""
        result = Plan(outputs, shapes={name: blob.shape for name, blob in self.flow.blobs.items()})
        joined = {*self.averages.values(), *self.flow.pooled.values(), *self.sums.values()}
        for index, layer in enumerate(self.flow.layers):
            kernel, reason, step = "numpy", self.flow.reasons.get(index, ""), None
            on_maps = bool(layer.bottoms) and self.flow.maps.issuperset((*layer.bottoms, *layer.tops))
            on_codes = bool(layer.bottoms) and self.flow.hidden.issuperset((*layer.bottoms, *layer.tops))
            if index in self.flow.convolutions:
                step, kernel = self._convolution(self.flow.convolutions[index], index)
            elif index in self.flow.products:
                step, kernel = self._product(self.flow.products[index], index)
            elif on_codes and layer.type == "Pooling":
                step, kernel = self._pooling(layer)
            elif on_maps and self.flow.is_sum(layer) and index not in joined:
                step, kernel = self._sum(layer)
            elif on_maps and is_relu(layer) and not self._adds(layer.bottoms[0]):
                step, kernel = self._relu(layer), "relu in place"
            elif is_global_average(layer) and layer.bottoms[0] in self.flow.maps:
                step, kernel = self._average(layer), "averages"
            elif self.flow.cuts_outermost(layer):
                step, kernel = SliceStep(layer, [len(self.flow.blobs[name]) for name in layer.tops]), "views"
            elif on_codes or on_maps or layer.type == "Input" or index in joined:
                kernel = "nothing to do"
            else:
                step = OperatorStep(layer, operators[index])
                reason = reason or f"{layer.type} has no kernel for these blobs"
            if step is not None and self.flow.reached.issuperset(layer.bottoms):
                result.steps.append((step, [name for name in layer.bottoms if name not in outputs]))
                result.layers.append(index)
            result.rows.append(PlanRow(layer.name, kernel, reason))
        return result

    def _find_averages(self) -> dict[int, int]:
        """For each dense convolution whose float top blob only global average pooling reads: the pooling layer."""
        averages = {}
        for index, convolution in self.flow.convolutions.items():
            name = convolution.layer.tops[0]
            reader = self.flow.readers.get(name)
            if reader is None or convolution.depthwise or convolution.top_scale is not None or name in self.flow.hidden:
                continue
            pixels = math.prod(self.flow.blobs[name].shape[1:])
            if is_global_average(self.flow.layers[reader]) and pixels * convolution.num_output <= 2 * FLOAT_TILE:
                averages[index] = reader
        return averages

    def _find_holders(self) -> dict[str, tuple[str, int]]:
        """For every place inside the feature map of a Concat: that feature map, and the first channel."""
        holders = {}
        for layer in self.flow.layers:
            if layer.type == "Concat" and layer.tops[0] in self.flow.hidden:
                offset = 0
                for name in layer.bottoms:
                    holders[self.groups.find(name)] = (self.groups.find(layer.tops[0]), offset)
                    offset += self.flow.blobs[name].shape[0]
        return holders

    def _outermost(self, name: str) -> tuple[str, int]:
        """The feature map that a hidden blob lies in and that lies in no other, and the blob's first channel there."""
        place, offset = self.groups.find(name), 0
        while place in self.holders:
            place, channel = self.holders[place]
            offset += channel
        return place, offset

    def _find_places(self) -> dict[str, Place]:
        places: dict[str, Place] = {}
        for name in self.flow.hidden:
            shape = self.flow.blobs[name].shape
            first, last = self.flow.producers[name], self.flow.readers[name]
            place = places.setdefault(self._outermost(name)[0], Place(shape, first, last, self.zeros[name]))
            place.first, place.last = min(place.first, first), max(place.last, last)
            place.shape = max(place.shape, shape)
            place.widen(self._borders(name))
        for index in self.flow.convolutions:
            name = self.flow.layers[index].bottoms[0]
            if name not in self.flow.hidden:
                new = Place(self.flow.blobs[name].shape, index, index, self._entry_zero(index))
                place = places.setdefault(self._entry_name(index), new)
                place.last = index
                place.widen(self._borders(name))
        for index, product in self.flow.products.items():
            places[entry_name(index)] = Place((product.weight.shape[1], 1, 1), index, index, SIGNED_ZERO)
        return places

    def _entry_name(self, index: int) -> str:
        """The feature map that a convolution quantizes into: one for all that want the same codes of the same blob."""
        convolution = self.flow.convolutions[index]
        source = convolution.layer.bottoms[0]
        root = self.map_groups.find(source) if source in self.flow.maps else self.flow.before_splits(source)
        return f"\n{root}\n{convolution.bottom_scale!r}"

    def _entry_zero(self, index: int) -> int:
        convolution = self.flow.convolutions[index]
        source = convolution.layer.bottoms[0]
        floats = self.flow.blobs[source].dtype == np.float32
        return 0 if floats and convolution.bottom_scale > 0 and self.flow.never_negative(source) else SIGNED_ZERO

    def _find_sums(self) -> dict[int, int]:
        """For each convolution that ends with an addition of maps, because the other map is there: the addition."""
        sums = {}
        for index, layer in enumerate(self.flow.layers):
            if layer.tops and layer.tops[0] in self.flow.maps and self.flow.is_sum(layer):
                last = max(self.flow.producers[name] for name in layer.bottoms)
                if last in self.flow.convolutions and self.flow.convolutions[last].layer.tops[0] in layer.bottoms:
                    sums[last] = index
        return sums

    def _allot_maps(self) -> dict[str, Floats]:
        """Memory for every place of maps: an array that no other place needs while this one is alive."""
        lives: dict[str, tuple[int, int]] = {}
        made_by = {reader: index for index, reader in (*self.flow.pooled.items(), *self.sums.items())}
        unmade = {self.flow.convolutions[index].layer.tops[0] for index in self.sums}
        for name in self.flow.maps - unmade:
            place, made, last = self.map_groups.find(name), self.flow.producers[name], self.flow.readers[name]
            first, until = lives.get(place, (made, last))
            lives[place] = min(first, made_by.get(made, made)), max(until, last)
        slots: list[tuple[int, int]] = []
        chosen = {}
        for place, (first, until) in sorted(lives.items(), key=lambda item: item[1]):
            size = math.prod(self.flow.blobs[place].shape)
            slot = next((i for i, (_, busy_until) in enumerate(slots) if busy_until < first), len(slots))
            slots[slot : slot + 1] = [(max(size, slots[slot][0]) if slot < len(slots) else size, until)]
            chosen[place] = slot
        memory = [np.zeros(size, np.float32) for size, _ in slots]
        return {
            place: memory[slot][: math.prod(shape)].reshape(-1, shape[0])
            for place, slot in chosen.items()
            for shape in [self.flow.blobs[place].shape]
        }

    def _map(self, name: str) -> Floats:
        """The map (pixels, channels) that a blob is."""
        return self.maps[self.map_groups.find(name)]

    def _adds(self, name: str) -> bool:
        return self.flow.is_sum(self.flow.layers[self.flow.producers[name]])

    def _sum(self, layer: Layer) -> tuple[Step, str]:
        """The step of an addition of maps, with the ReLU behind it, and what it is called."""
        relu = self._rectified(layer)
        run = add_maps(self._map(layer.bottoms[0]), self._map(layer.bottoms[1]), self._map(layer.tops[0]), relu)
        return CodesStep(layer.tops[0], None, [run]), "sum and relu" if relu else "sum"

    def _rectified(self, layer: Layer) -> bool:
        """Whether a ReLU follows."""
        return is_relu(self.flow.layers[self.flow.readers[layer.tops[0]]])

    def _relu(self, layer: Layer) -> Step:
        return CodesStep(layer.tops[0], None, [rectify_map(self._map(layer.bottoms[0]))])

    def _average(self, layer: Layer) -> Step:
        source = self._map(layer.bottoms[0])
        return BlobStep(layer.bottoms[0], None, [], lambda: mean_of_map(source), layer.tops[0])

    def _borders(self, name: str) -> Pads:
        """The borders that the reader of a blob needs."""
        reader, shape = self.flow.readers[name], self.flow.blobs[name].shape
        if reader in self.flow.convolutions:
            return self.flow.convolutions[reader].pads(shape)
        windows = pool_windows(self.flow.layers[reader], shape) if self.flow.layers[reader].type == "Pooling" else None
        return windows[2] if windows else (0, 0, 0, 0)

    def _allot(self) -> dict[str, Storage]:
        """Memory for every place: an arena that no other place needs while this one is alive."""
        arenas: list[tuple[Buffer[vec[u8]], int]] = []
        storages = {}
        for name, place in sorted(self.places.items(), key=lambda item: item[1].first):
            slot = next((i for i, (_, busy_until) in enumerate(arenas) if busy_until < place.first), len(arenas))
            buffer = arenas[slot][0] if slot < len(arenas) else byte_buffer(FEATURES + SLACK)
            arenas[slot : slot + 1] = [(buffer, place.last)]
            channels, h, w = place.shape
            storages[name] = Storage(buffer, h, w, pixel_bytes(channels), *place.borders, place.zero)
        return storages

    def _storage(self, name: str) -> Storage:
        """Where a hidden blob lies."""
        place, offset = self._outermost(name)
        return replace(self.storages[place], offset=offset, spare=self.groups.find(name) == place)

    def _frame(self, name: str) -> list[Action]:
        """What fills the border of a hidden blob's feature map, if this is the first layer that writes into it."""
        place, _ = self._outermost(name)
        if place in self.framed:
            return []
        self.framed.add(place)
        return frame(kernels.narrow(), self.storages[place])

    def _convolution(self, convolution: Convolution8, index: int) -> tuple[Step, str]:
        """The step of a convolution, and what it is called."""
        source, target = convolution.layer.bottoms[0], convolution.layer.tops[0]
        shape = self.flow.blobs[source].shape
        pads = convolution.pads(shape)
        place = (pads[0], pads[2])
        hidden = source in self.flow.hidden
        bottom = self._storage(source) if hidden else self.storages[self._entry_name(index)]
        level = self._level(convolution, target in self.flow.hidden and runs_in_lanes(convolution, bottom.zero))
        entry: Entry | MapEntry | None = None
        actions: list[Action] = []
        if not hidden and self._entry_name(index) not in self.entered:
            self.entered.add(self._entry_name(index))
            if source in self.flow.maps:
                entry = MapEntry(convolution.layer, convolution.bottom_scale, bottom, self._map(source))
            else:
                entry = Entry(level, self.workshop, convolution.layer, convolution.bottom_scale, bottom, shape)
            actions += frame(level, bottom)
        if target in self.flow.hidden:
            stairs = self.flow.stairs[index]
            actions += self._frame(target)
            top = self._storage(target)
            make = depthwise_to_codes if convolution.depthwise else dense_to_codes
            run, kernel = make(level, self.workshop, convolution, stairs, bottom, top, place)
            return CodesStep(source, entry, [*actions, run]), f"{kernel}, codes out"
        size = self.flow.blobs[target].shape[1:]
        if index in self.averages:
            target = self.flow.layers[self.averages[index]].tops[0]
            compute, kernel = dense_to_means(level, self.workshop, convolution, bottom, (size[0], size[1]), place)
            return BlobStep(source, entry, actions, compute, target), kernel
        if index in self.flow.pooled:
            pooling = self.flow.layers[self.flow.pooled[index]]
            pool, pooled = pool_window(pooling, self.flow.blobs[target].shape), self.flow.blobs[pooling.tops[0]].shape
            assert pool is not None
            run, kernel = dense_to_pooled(
                level, self.workshop, convolution, bottom, (size[0], size[1]), place, pool, (pooled[1], pooled[2]),
                self._map(pooling.tops[0]),
            )  # fmt: skip
            return CodesStep(source, entry, [*actions, run]), f"{kernel}, float32 inside"
        if target in self.flow.maps:
            run, kernel = self._to_map(level, convolution, index, bottom)
            return CodesStep(source, entry, [*actions, run]), f"{kernel}, float32 inside"
        make_blob = depthwise_to_blob if convolution.depthwise else dense_to_blob
        compute, kernel = make_blob(level, self.workshop, convolution, bottom, (size[0], size[1]), place)
        return BlobStep(source, entry, actions, compute, target), f"{kernel}, {self.flow.blobs[target].dtype} out"

    def _to_map(self, level: Kernels, convolution: Convolution8, index: int, bottom: Storage) -> tuple[Action, str]:
        """What computes a map of floats, and what it is called."""
        source, target = convolution.layer.bottoms[0], convolution.layer.tops[0]
        pads, (_, out_h, out_w) = convolution.pads(self.flow.blobs[source].shape), self.flow.blobs[target].shape
        arguments = (level, self.workshop, convolution, bottom, (out_h, out_w), (pads[0], pads[2]))
        if index not in self.sums:
            return dense_to_map(*arguments, self._map(target))
        layer = self.flow.layers[self.sums[index]]
        (other,) = (name for name in layer.bottoms if name != target)
        relu = self._rectified(layer)
        run, kernel = dense_to_map(*arguments, self._map(layer.tops[0]), self._map(other), rectified=relu)
        return run, f"{kernel} and sum{' and relu' if relu else ''}"

    def _product(self, product: Convolution8, index: int) -> tuple[Step, str]:
        """The step of an InnerProduct, and what it is called."""
        source, target = product.layer.bottoms[0], product.layer.tops[0]
        level, bottom = self._level(product, lanes=False), self.storages[entry_name(index)]
        entry = Entry(
            level, self.workshop, product.layer, product.bottom_scale, bottom, (product.weight.shape[1], 1, 1)
        )
        compute, kernel = dense_to_blob(level, self.workshop, product, bottom, (1, 1), (0, 0))
        shape = self.flow.blobs[target].shape
        return BlobStep(source, entry, [], lambda: compute().reshape(shape), target), f"{kernel}, float32 out"

    @staticmethod
    def _level(convolution: Convolution8, lanes: bool) -> Kernels:
        """Vectors of 256 bits for dot products of short patches, which spend their time adding up lanes."""
        short = math.prod(convolution.weight.shape[1:]) <= NARROW_PATCH
        return kernels.narrow() if short and not lanes and not convolution.depthwise else kernels.wide()

    def _pooling(self, layer: Layer) -> tuple[Step, str]:
        """The step of max pooling on codes, and what it is called."""
        source, target = layer.bottoms[0], layer.tops[0]
        shape = self.flow.blobs[source].shape
        windows = pool_windows(layer, shape)
        assert windows is not None
        kernel, stride, borders = windows
        actions = self._frame(target)
        level = kernels.wide()
        place = (borders[0], borders[2])
        run = max_pool(level, kernel, stride, shape[0], self._storage(source), self._storage(target), place)
        return CodesStep(source, None, [*actions, run]), f"max_pool {level.name}, codes out"


def entry_name(index: int) -> str:
    """The name of the feature map that a convolution quantizes its float blob into; no blob is called so."""
    return f"\n{index}"


class Plans(threading.local):
    """The plans of one network in one thread, by the names, shapes and types of the blobs that are fed.

    Making a plan takes longer than one inference by numpy, so it waits until the same shapes come a second time.
    """

    def __init__(self) -> None:
        self._plans: OrderedDict[tuple[object, ...], Plan | None] = OrderedDict()
        self._latest: tuple[object, ...] | None = None

    def find(self, graph: Graph, operators: list[Operator], fed: Blobs, *, at_once: bool = False) -> Plan | None:
        """The plan for these inputs; None where there are no kernels, no work for them, or a fault in the network.

        Also None when these shapes come for the first time, unless it is wanted `at_once`.
        """
        if not kernels.COMPILED:
            return None
        key = tuple((name, blob.shape, blob.dtype) for name, blob in sorted(fed.items()))
        if key in self._plans:
            self._plans.move_to_end(key)
            return self._plans[key]
        if key != self._latest and not at_once:
            self._latest = key
            return None
        try:
            self._plans[key] = make_plan(graph, operators, fed)
        except AssayError:
            # The fault is raised where the network runs, layer by layer.
            self._plans[key] = None
        if len(self._plans) > MOST_PLANS:
            self._plans.popitem(last=False)
        return self._plans[key]


def make_plan(graph: Graph, operators: list[Operator], fed: Blobs) -> Plan | None:
    """The plan of a network for these inputs, or None where kernels have nothing to do. Runs the network once."""
    if not set(fed) <= set(graph.input_names()) or not any(_is_int8(layer) for layer in graph):
        return None
    graph.check()
    blobs = _all_blobs(graph, operators, fed)
    outputs = [name for name in graph.output_names() if name in blobs]
    return Builder(CodeFlow(graph, blobs)).plan(operators, outputs)


def _all_blobs(graph: Graph, operators: list[Operator], fed: Blobs) -> Blobs:
    """Every blob that the inputs reach, by numpy."""
    blobs = dict(fed)
    with np.errstate(all="ignore"):
        for layer, operator in zip(graph.layers, operators, strict=True):
            if layer.type != "Input" and all(name in blobs for name in layer.bottoms):
                OperatorStep(layer, operator)(blobs)
    return blobs
