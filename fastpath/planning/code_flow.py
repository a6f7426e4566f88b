"""Which blobs exist as codes only, and which as maps of floats."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np

from fastpath.kernels.source.capacity import FEATURES
from fastpath.kernels.staircase import Stairs
from fastpath.layers.activation import NONE, RELU
from fastpath.layers.common import Array
from fastpath.layers.eltwise import SUM
from fastpath.layers.lrn import numbers_of
from fastpath.planning.groups import Groups
from fastpath.planning.int8_layers import Refusal, read_convolution, read_inner_product
from fastpath.planning.layer_kinds import (
    ADD,
    KEEP_SIGNS,
    SHAPES_ALONE,
    is_global_average,
    is_normalization,
    is_relu,
    joins,
    pool_window,
    pool_windows,
    slopes_of,
)
from fastpath.planning.shapes import MOST_CHANNELS, NO_PADS, fits_arena, pixel_bytes, shape_of
from fastpath.steps.bands import can_band
from fastpath.steps.convolution8 import Convolution8
from fastpath.steps.dense import fits_pooled
from fastpath.steps.storage import SIGNED_ZERO
from fastpath.steps.workshop import FLOAT_TILE
from spec.graph import Graph, Layer

WIDEST = 16000
"""Pixels of the longest rows that the kernels take."""

SMALLEST_DESCALE = np.float32(1e-20)
"""Sums times a factor above this never underflow."""


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
        self.banded: dict[int, Convolution8] = {}
        """Convolutions whose bottom blobs are larger than an arena."""
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
            and joins(self.layers[self.readers[name]], convolution)
        }
        self.hidden = {name for name in blobs if self._can_hide(name)}
        while shown := self._must_show():
            self.hidden -= shown
        self._leave_scaling_to_readers()
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
        if bottom[0] > MOST_CHANNELS:
            raise Refusal("more channels than the kernels take")
        columns = bottom[2] + pads[2] + pads[3] + convolution.window.dilation[1]
        if columns * convolution.window.kernel[0] * bottom[0] > FEATURES // 2 or top[2] * top[0] > FLOAT_TILE:
            raise Refusal("one of its rows is larger than a tile")
        if max(columns, top[2]) > WIDEST:
            raise Refusal("its rows are longer than the kernels take")
        if fits_arena(bottom, pads):
            self.convolutions[index] = convolution
        elif can_band(convolution, bottom, top[1], pixel_bytes(bottom[0])):
            self.banded[index] = convolution
        else:
            raise Refusal("what one of its rows sees is larger than an arena")

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
        if reader in self.convolutions or self.layers[reader].type in SHAPES_ALONE:
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
            slopes = slopes_of(self.layers[self.readers[convolution.layer.tops[0]]], convolution.num_output)
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

    def _leave_scaling_to_readers(self) -> None:
        """Let convolutions make floats instead of codes, where no integers stand for their float steps.

        Only where the one reader is a convolution of the same scale: it makes the same codes of the floats.
        """
        for index, convolution in self.convolutions.items():
            name = convolution.layer.tops[0]
            reader = self.convolutions.get(self.readers.get(name, -1))
            if name in self.hidden or convolution.top_scale is None or convolution.depthwise or reader is None:
                continue
            if reader.bottom_scale == convolution.top_scale and not convolution.epilogue(None).must_check:
                self.convolutions[index] = replace(convolution, top_scale=None, becomes_codes=True)
                self.blobs[name] = np.broadcast_to(np.float32(0), self.blobs[name].shape)

    def _find_pooled(self) -> dict[int, int]:
        """For each dense convolution of floats behind which max pooling follows: the pooling layer.

        The largest float comes of the largest sum, because the float steps never fall.
        """
        pooled = {}
        for index, convolution in self.convolutions.items():
            name = convolution.layer.tops[0]
            reader = self.readers.get(name)
            if reader is None or self.layers[reader].type != "Pooling" or not self.makes_floats(index):
                continue
            size = self.blobs[name].shape
            window = pool_window(self.layers[reader], size)
            rises = convolution.descale.min() > SMALLEST_DESCALE and convolution.activation.type in (NONE, RELU)
            if window is not None and rises and fits_pooled(size[1:], size[0], window):
                pooled[index] = reader
        return pooled

    def makes_floats(self, index: int) -> bool:
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
        if self.makes_floats(index):
            return self.layers[self.readers[name]].type != "Pooling"
        return index in self.pooled.values() or self._works_on_maps(layer)

    def _works_on_maps(self, layer: Layer) -> bool:
        """Whether a layer makes maps of maps."""
        if layer.type == "Split" or is_relu(layer) or is_normalization(layer):
            return True
        return self.is_sum(layer) or self._pools_maps(layer)

    def _pools_maps(self, layer: Layer) -> bool:
        """Whether a layer takes the maxima of floats that are not negative, apart from the convolution before it."""
        if layer.type != "Pooling" or layer.bottoms[0] not in self.blobs:
            return False
        if self.producers[layer.tops[0]] in self.pooled.values() or not self.never_negative(layer.bottoms[0]):
            return False
        return pool_windows(layer, self.blobs[layer.bottoms[0]].shape) is not None

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

    def largest(self, name: str) -> float:
        """What the magnitude of the floats of a map cannot exceed; infinite where that is not known."""
        index = self.producers[name]
        layer = self.layers[index]
        if index in self.convolutions:
            return self.convolutions[index].largest
        if is_normalization(layer):
            return self.largest(layer.bottoms[0]) * numbers_of(layer).largest_power
        if self.is_sum(layer):
            return sum(self.largest(bottom) for bottom in layer.bottoms)
        return self.largest(layer.bottoms[0])

    def works_in_place(self, layer: Layer) -> bool:
        """Whether a layer may write where it reads: nobody else reads its bottom blob."""
        return (is_relu(layer) or is_normalization(layer)) and self.layers[
            self.producers[layer.bottoms[0]]
        ].type != "Split"

    def map_places(self) -> Groups:
        """Maps that lie at the same place."""
        groups = Groups()
        for layer in self.layers:
            if layer.type == "Split" or (
                self.maps.issuperset(layer.bottoms) and layer.bottoms and self.works_in_place(layer)
            ):
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
