"""A network as data: layers in file order, wired by blob names, each with its parameters and weight records."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from spec.errors import GraphError
from spec.layer_table import BY_NAME, LayerType, Params, ParamValue

Shape = tuple[int, ...]
"""A blob's shape in numpy order: (w,), (h, w), (c, h, w) or (c, d, h, w)."""

WeightDtype = Literal["float32", "float16", "int8"]

_TYPECODES: dict[WeightDtype, str] = {"float32": "f", "float16": "H", "int8": "b"}


@dataclass
class Weight:
    """One weight record of a layer.

    `values` holds binary32 numbers (`array("f")`), binary16 bit patterns (`array("H")`) or int8 codes (`array("b")`),
    by `dtype`; arrays support the buffer protocol, so numpy reads them without a copy. `kind` is how the file stores
    it.
    """

    name: str
    kind: Literal["tagged", "raw"]
    dtype: WeightDtype
    values: array  # type: ignore[type-arg]

    def __post_init__(self) -> None:
        if self.values.typecode != _TYPECODES[self.dtype]:
            raise TypeError(f"weight {self.name}: {self.dtype} values need array({_TYPECODES[self.dtype]!r})")

    def __len__(self) -> int:
        return len(self.values)

    def floats(self) -> array[float]:
        """The values as binary32, widened exactly where the file holds binary16. TypeError for int8 codes."""
        if self.dtype == "int8":
            raise TypeError(f"weight {self.name} holds int8 codes, not floats")
        if self.dtype == "float16":
            return array("f", struct.unpack(f"={len(self.values)}e", self.values.tobytes()))
        return self.values

    def int8(self) -> array[int]:
        """The int8 codes. TypeError for float records."""
        if self.dtype != "int8":
            raise TypeError(f"weight {self.name} holds {self.dtype}, not int8 codes")
        return self.values


def float_weight(name: str, values: array[float], kind: Literal["tagged", "raw"]) -> Weight:
    """A binary32 record."""
    return Weight(name, kind, "float32", values)


def int8_weight(name: str, values: array[int]) -> Weight:
    """An int8 record; these are always tagged."""
    return Weight(name, "tagged", "int8", values)


@dataclass
class Layer:
    """One layer line of a .param file, with its records of the .bin file.

    `params` maps ids to the values that the file gives; `get` resolves defaults by name. Shape hints (id 30) are kept
    apart: `hints` has one shape per top, None where a shape is unknown, or is empty when the file gives no hint.
    `weights` maps the names of `spec.layer_table` to records, in file order.
    """

    type: str
    name: str
    bottoms: list[str]
    tops: list[str]
    params: dict[int, ParamValue] = field(default_factory=dict)
    hints: list[Shape | None] = field(default_factory=list)
    weights: dict[str, Weight] = field(default_factory=dict)

    @property
    def layer_type(self) -> LayerType | None:
        """The entry of `spec.layer_table`, or None for a custom type."""
        return BY_NAME.get(self.type)

    @property
    def get(self) -> Params:
        """The parameters by name, defaults resolved: `layer.get.integer("kernel_h")`. GraphError for custom types."""
        layer_type = self.layer_type
        if layer_type is None:
            raise GraphError(self.name, f"{self.type} is not a built-in layer type: its parameters have no names")
        return Params(layer_type, self.params)

    def set(self, name: str, value: ParamValue) -> None:
        """Set a parameter by name."""
        layer_type = self.layer_type
        if layer_type is None:
            raise GraphError(self.name, f"{self.type} is not a built-in layer type: its parameters have no names")
        self.params[layer_type.param_by_name(name).id] = value

    def unset(self, name: str) -> None:
        """Give a parameter its default again."""
        layer_type = self.layer_type
        if layer_type is None:
            raise GraphError(self.name, f"{self.type} is not a built-in layer type: its parameters have no names")
        self.params.pop(layer_type.param_by_name(name).id, None)

    def weight(self, name: str) -> Weight:
        """The record `name`; GraphError if the layer has none."""
        try:
            return self.weights[name]
        except KeyError:
            raise GraphError(self.name, f"{self.type} has no weight record {name}") from None


@dataclass
class Graph:
    """A network: layers in file order.

    `file` names where it came from, for messages. `null_weights` tells that the model file was the word `null`: the
    weights are zeros here, and saving the network writes pseudo-random ones.
    """

    layers: list[Layer]
    file: str = "<memory>"
    null_weights: bool = False

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def layer(self, name: str) -> Layer:
        """The layer called `name`; GraphError if there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise GraphError(name, "no such layer")

    def blob_names(self) -> list[str]:
        """Distinct blob names by blob index: order of first appearance, a layer's bottoms before its tops."""
        names: dict[str, None] = {}
        for layer in self.layers:
            for name in (*layer.bottoms, *layer.tops):
                names.setdefault(name)
        return list(names)

    def producers(self) -> dict[str, Layer]:
        """For each blob that has one, the layer that makes it."""
        return {top: layer for layer in self.layers for top in layer.tops}

    def consumers(self) -> dict[str, list[Layer]]:
        """For each blob, the layers that read it, in file order."""
        readers: dict[str, list[Layer]] = {name: [] for name in self.blob_names()}
        for layer in self.layers:
            for name in layer.bottoms:
                readers[name].append(layer)
        return readers

    def input_names(self) -> list[str]:
        """Tops of the Input layers, in file order."""
        return [top for layer in self.layers if layer.type == "Input" for top in layer.tops]

    def output_names(self) -> list[str]:
        """Blobs that some layer makes and none reads, by blob index."""
        read = {name for layer in self.layers for name in layer.bottoms}
        made = {name for layer in self.layers for name in layer.tops}
        return [name for name in self.blob_names() if name in made and name not in read]

    def blob_shapes(self) -> dict[str, Shape]:
        """The shape hints by blob name."""
        shapes: dict[str, Shape] = {}
        for layer in self.layers:
            for top, shape in zip(layer.tops, layer.hints, strict=False):
                if shape is not None:
                    shapes[top] = shape
        return shapes

    def check(self) -> None:
        """Raise GraphError unless the wiring can run.

        Every bottom is made by an earlier layer, every blob by one layer only and read by one layer at most (fan-out
        needs Split), and layer names are distinct.
        """
        made: set[str] = set()
        read: dict[str, str] = {}
        names: set[str] = set()
        for layer in self.layers:
            if layer.name in names:
                raise GraphError(layer.name, "two layers have this name")
            names.add(layer.name)
            for bottom in layer.bottoms:
                if bottom not in made:
                    raise GraphError(layer.name, f"reads blob {bottom}, which no earlier layer makes")
                if bottom in read:
                    raise GraphError(
                        layer.name, f"reads blob {bottom}, which {read[bottom]} reads already: put a Split between"
                    )
                read[bottom] = layer.name
            for top in layer.tops:
                if top in made:
                    raise GraphError(layer.name, f"makes blob {top}, which an earlier layer makes already")
                made.add(top)


def numpy_shape(dims: int, w: int, h: int, d: int, c: int) -> Shape | None:
    """The (dims, w, h, d, c) of ncnn as a shape in numpy order; None for dims 0, which means unknown."""
    return {0: None, 1: (w,), 2: (h, w), 3: (c, h, w), 4: (c, d, h, w)}[dims]


def ncnn_extents(shape: Shape) -> tuple[int, int, int, int, int]:
    """A shape in numpy order as ncnn's (dims, w, h, d, c); extents that a blob of this rank lacks are 1."""
    if len(shape) == 1:
        return (1, shape[0], 1, 1, 1)
    if len(shape) == 2:
        return (2, shape[1], shape[0], 1, 1)
    if len(shape) == 3:
        return (3, shape[2], shape[1], 1, shape[0])
    if len(shape) == 4:
        return (4, shape[3], shape[2], shape[1], shape[0])
    raise ValueError(f"a blob has 1 to 4 dims, not {len(shape)}")


def hint_extents(shapes: list[Shape | None]) -> list[int]:
    """A shape hint as param files hold it: (dims, w, h, d, c) of each top, zeros for an unknown shape."""
    return [extent for shape in shapes for extent in ((0,) * 5 if shape is None else ncnn_extents(shape))]
