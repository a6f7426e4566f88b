"""Net and Extractor: load a network, feed blobs, extract blobs. The calls are those of ncnn's Python binding.

    with Net() as net:
        net.load_param("squeezenet.param")
        net.load_model("squeezenet.bin")
        with net.create_extractor() as extractor:
            extractor.input("data", image)
            ret, probabilities = extractor.extract("prob")

Where the binding returns an error code, these raise an error of `spec.errors`; `ret` is always 0.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fastpath.layers import PREPARE
from fastpath.layers.common import Array, Operator
from fastpath.option import Option
from fastpath.parallel import Infer, in_order
from fastpath.planner import Plans
from fastpath.planning.plan import Plan, PlanRow
from fastpath.profile import LayerTime, profile_layers, profile_plan
from spec.errors import GraphError, UnsupportedError, UsageError
from spec.formats.param import read_param
from spec.formats.weights import read_weights
from spec.graph import Graph, Layer, Shape

STATIC_INT8 = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
"""The types that ncnn's `use_int8_inference` switches."""

FLOAT32_EXTRACT = 0
"""Extract type: int8 blobs become float32."""


class Net:
    """A network whose layers are prepared once, when the weights are loaded, and run by any number of extractors."""

    def __init__(self) -> None:
        self.opt = Option()
        self._graph: Graph | None = None
        self._operators: list[Operator] = []
        self._blobs: list[str] = []
        self._known: set[str] = set()
        self._producers: dict[str, int] = {}
        self._plans = Plans()

    @classmethod
    def from_graph(cls, graph: Graph) -> Self:
        """A network from a graph with weights. GraphError where it cannot run, UnsupportedError for unknown layers."""
        net = cls()
        net._set_graph(graph)
        net._prepare(graph)
        return net

    def load_param(self, path: str | os.PathLike[str]) -> int:
        """Read the structure. FormatError, GraphError or UnsupportedError where it cannot be used."""
        self._set_graph(read_param(path))
        return 0

    def load_model(self, path: str | os.PathLike[str]) -> int:
        """Read the weights, after `load_param`, and prepare all layers; the word `null` gives weights of zero."""
        graph = self._loaded()
        read_weights(graph, path)
        self._prepare(graph)
        return 0

    def create_extractor(self) -> Extractor:
        """An extractor, which holds the blobs of one inference. UsageError before the weights are loaded."""
        if self._graph is None or len(self._operators) != len(self._graph.layers):
            raise UsageError("load_param and load_model come before create_extractor")
        return Extractor(self)

    def input_names(self) -> list[str]:
        """The blobs that Input layers make, in file order."""
        return self._loaded().input_names()

    def output_names(self) -> list[str]:
        """The blobs that nobody reads, in the order of their indexes."""
        return self._loaded().output_names()

    def clear(self) -> None:
        """Forget structure and weights."""
        self._graph = None
        self._operators = []
        self._blobs = []
        self._known = set()
        self._producers = {}
        self._plans = Plans()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    @property
    def graph(self) -> Graph:
        """The network as data."""
        return self._loaded()

    @property
    def layers(self) -> list[Layer]:
        """The layers in file order."""
        return self._loaded().layers

    def blob_name(self, name_or_index: str | int) -> str:
        """The name of a blob given by name or blob index. GraphError for one that the network does not have."""
        if isinstance(name_or_index, str):
            if name_or_index not in self._known:
                raise GraphError("", f"no layer makes or reads a blob {name_or_index!r}")
            return name_or_index
        index = operator.index(name_or_index)
        if not 0 <= index < len(self._blobs):
            raise GraphError("", f"there is no blob {index}: the network has blobs 0 to {len(self._blobs) - 1}")
        return self._blobs[index]

    def run(self, fed: dict[str, Array], computed: dict[str, Array], wanted: str, *, light_mode: bool) -> None:
        """Add `wanted` to the `computed` blobs, running the layers that it needs and whose tops are missing.

        In light mode a computed blob other than `wanted` is dropped as soon as the last layer of this run that reads
        it is done. Where a plan of compiled kernels fits, an output comes with all others.
        """
        layers = self._loaded().layers
        plan = self._plan(fed) if not computed else None
        if plan is not None and wanted in plan.outputs:
            computed.update(plan.run(fed))
            return
        needed = self._needed(fed, computed, wanted)
        last_reader = {name: index for index in needed for name in layers[index].bottoms}
        with np.errstate(all="ignore"):
            for index in needed:
                layer = layers[index]
                bottoms = [fed[name] if name in fed else computed[name] for name in layer.bottoms]
                tops = self._operators[index](bottoms)
                if len(tops) != len(layer.tops):
                    message = f"{layer.type} makes {len(tops)} blobs, but has {len(layer.tops)} tops"
                    raise GraphError(layer.name, message)
                for name, blob in zip(layer.tops, tops, strict=True):
                    computed.setdefault(name, blob)
                if light_mode:
                    for name in layer.bottoms:
                        if last_reader[name] == index and name != wanted:
                            computed.pop(name, None)

    def infer(self, feeds: Mapping[str, object], wanted: Sequence[str] | None = None) -> dict[str, Array]:
        """The `wanted` blobs, or all outputs, for inputs by name, in arrays of the caller's own; int8 as float32."""
        names = self.output_names() if wanted is None else list(wanted)
        with self.create_extractor() as extractor:
            extractor.set_light_mode(self.opt.lightmode and len(names) == 1)
            for name, data in feeds.items():
                extractor.input(name, data)
            return {name: extractor.extract(name)[1] for name in names}

    def map(
        self,
        inputs: Iterable[Mapping[str, object] | object],
        wanted: Sequence[str] | None = None,
        *,
        workers: int = 1,
    ) -> Iterator[dict[str, Array]]:
        """`infer` for every input, in their order, by so many processes that share the weights.

        An input is a mapping from blob names to data, or the data of the network's only input. AssayError, with the
        number of the input, for one that cannot run and for a process that dies. With several workers inputs are taken
        a few ahead of the results.
        """
        graph = self._loaded()
        names = self.input_names()

        def feeds(item: Mapping[str, object] | object) -> Mapping[str, object]:
            if isinstance(item, Mapping):
                return item
            if len(names) != 1:
                raise UsageError(f"the network has {len(names)} inputs: map needs mappings from blob names to data")
            return {names[0]: item}

        def infer(item: Mapping[str, object]) -> dict[str, Array]:
            return self.infer(item, wanted)

        return in_order(infer, partial(_rebuilt, graph, self.opt, wanted), map(feeds, inputs), workers)

    def profile(self, feeds: Mapping[str, object], runs: int = 10) -> list[LayerTime]:
        """The shortest time of each layer that does something, over so many runs, with its multiplications."""
        fed = {self.blob_name(name): as_array(data) for name, data in feeds.items()}
        plan = self._plan(fed)
        if plan is not None:
            return profile_plan(self._loaded(), plan, fed, runs)
        return profile_layers(self._loaded(), self._operators, fed, runs)

    def plan(self, **shapes: Shape) -> list[PlanRow]:
        """What runs each layer and why, for inputs of these shapes (name=shape), or of those in the Input layers.

        Makes the plan if it is not there yet. Empty where compiled kernels have nothing to do. UsageError for inputs
        whose shapes are not known.
        """
        fed = {}
        for layer in self._loaded():
            if layer.type == "Input":
                extents = tuple(layer.get.integer(name) for name in ("c", "d", "h", "w"))
                shape = shapes.get(layer.tops[0]) or tuple(extent for extent in extents if extent > 0)
                if not shape:
                    raise UsageError(f"a plan needs the shape of input {layer.tops[0]}")
                fed[layer.tops[0]] = np.zeros(shape, np.float32)
        plan = self._plan(fed, at_once=True)
        return [] if plan is None else plan.rows

    def _plan(self, fed: dict[str, Array], *, at_once: bool = False) -> Plan | None:
        if not self.opt.use_compiled_kernels:
            return None
        return self._plans.find(self._loaded(), self._operators, fed, at_once=at_once)

    def _needed(self, fed: dict[str, Array], computed: dict[str, Array], wanted: str) -> list[int]:
        """The indexes of the layers that must run before `wanted` is there, each after those that it reads from."""
        layers = self._loaded().layers
        order: list[int] = []
        ready: set[str] = set()
        pending = [wanted]
        while pending:
            name = pending[-1]
            if name in ready or name in fed or name in computed:
                pending.pop()
                continue
            index = self._producers.get(name)
            if index is None:
                raise GraphError("", f"blob {name} must be fed: no layer makes it")
            layer = layers[index]
            if layer.type == "Input":
                raise GraphError(layer.name, f"Input blob {name} was not fed")
            missing = [
                bottom
                for bottom in layer.bottoms
                if bottom not in ready and bottom not in fed and bottom not in computed
            ]
            if any(bottom in pending for bottom in missing):
                raise GraphError(layer.name, "needs its own output: the network has a cycle")
            if missing:
                pending.extend(reversed(missing))
            else:
                order.append(index)
                ready.update(layer.tops)
        return order

    def _loaded(self) -> Graph:
        if self._graph is None:
            raise UsageError("load_param comes first")
        return self._graph

    def _set_graph(self, graph: Graph) -> None:
        self.clear()
        for index, layer in enumerate(graph.layers):
            for top in layer.tops:
                if top in self._producers:
                    maker = graph.layers[self._producers[top]].name
                    raise GraphError(layer.name, f"makes blob {top}, which {maker} makes already")
                self._producers[top] = index
        self._graph = graph
        self._blobs = graph.blob_names()
        self._known = set(self._blobs)

    def _prepare(self, graph: Graph) -> None:
        with np.errstate(all="ignore"):
            self._operators = [self._prepared(layer) for layer in graph]
        self._plans = Plans()

    def _prepared(self, layer: Layer) -> Operator:
        if not self.opt.use_int8_inference and layer.type in STATIC_INT8 and layer.get.integer("int8_scale_term"):
            raise GraphError(layer.name, f"{layer.type} is int8, but use_int8_inference is off")
        if layer.type not in PREPARE:
            known = "is a layer type of ncnn that cannot run here"
            unknown = "is not a built-in layer type"
            raise UnsupportedError(layer.name, f"{layer.type} {known if layer.layer_type else unknown}")
        return PREPARE[layer.type](layer)


def _rebuilt(graph: Graph, opt: Option, wanted: Sequence[str] | None) -> Infer:
    """`Net.infer` of a network prepared anew, in a process that shares no memory."""
    net = Net()
    net.opt = opt
    net._set_graph(graph)
    net._prepare(graph)
    return lambda feeds: net.infer(feeds, wanted)


class Extractor:
    """The blobs of one inference.

    `input` again starts the next one: what was computed before is forgotten, and its memory used again.
    """

    def __init__(self, net: Net) -> None:
        self._net = net
        self._fed: dict[str, Array] = {}
        self._computed: dict[str, Array] = {}
        self._light_mode = net.opt.lightmode

    def set_light_mode(self, enable: bool) -> None:
        """Whether blobs are dropped as soon as they are read; extracting one of them later runs its layers again."""
        self._light_mode = enable

    def input(self, name_or_index: str | int, data: object) -> int:
        """Feed any blob, by name or blob index; feeding one that a layer makes cuts the graph there.

        `data` is an array, a Blob or nested lists of 1 to 4 dims: floats of any width become float32, int8 and int32
        stay, int64 becomes int32. A contiguous array of the right type is not copied, so leave it alone until the
        extraction is done. What was computed from earlier inputs is forgotten. UsageError for other types and ranks,
        GraphError for an unknown blob.
        """
        self._fed[self._net.blob_name(name_or_index)] = as_array(data)
        self._computed.clear()
        return 0

    def extract(self, name_or_index: str | int, type: int = FLOAT32_EXTRACT, *, copy: bool = True) -> tuple[int, Array]:
        """The pair of 0 and the blob, running what it needs.

        With type 0 an int8 blob comes back as float32 of the same numbers; with type 1 it stays int8. The array is the
        caller's own; with `copy=False` it may share memory with blobs of this extractor. GraphError for an unknown
        blob, an input that was not fed, or a layer that cannot run on its bottoms.
        """
        name = self._net.blob_name(name_or_index)
        if name not in self._fed and name not in self._computed:
            self._net.run(self._fed, self._computed, name, light_mode=self._light_mode)
        blob = self._fed[name] if name in self._fed else self._computed[name]
        if blob.dtype == np.int8 and type == FLOAT32_EXTRACT:
            return 0, blob.astype(np.float32)
        return 0, np.array(blob, order="C") if copy else blob

    def clear(self) -> None:
        """Forget all blobs."""
        self._fed.clear()
        self._computed.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()


def as_array(data: object) -> Array:
    """A blob from anything that numpy reads: see `Extractor.input`."""
    array: NDArray[np.generic] = np.asarray(data)
    if isinstance(data, Sequence) or array.dtype.kind == "f":
        array = np.asarray(array, np.float32)
    elif array.dtype in (np.int32, np.int64):
        array = np.asarray(array, np.int32)
    elif array.dtype != np.int8:
        raise UsageError(f"a blob holds float32, int8 or int32, not {array.dtype}")
    if not 1 <= array.ndim <= 4:
        raise UsageError(f"a blob has 1 to 4 dims, not shape {array.shape}")
    return np.ascontiguousarray(array)
