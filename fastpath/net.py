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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, zip_longest
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastpath import kernels
from fastpath.float_plan.plan import FloatPlan
from fastpath.layers import PREPARE
from fastpath.layers.common import Array, Operator
from fastpath.option import Option
from fastpath.parallel import in_order
from fastpath.planner import Plans
from fastpath.planning.plan import Plan, PlanRow, operator_row
from fastpath.profile import LayerTime, profile_layers, profile_plan
from spec.errors import AssayError, GraphError, UnsupportedError, UsageError
from spec.formats.param import read_param
from spec.formats.weights import read_weights
from spec.graph import Graph, Layer, Shape

STATIC_INT8 = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
"""The types that ncnn's `use_int8_inference` switches."""

FLOAT32_EXTRACT = 0
"""Extract type: int8 blobs become float32."""

FLOAT32 = np.dtype(np.float32)

MOST_ROUTES = 64
"""Routes that a network keeps."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A layer that runs on the way to a blob, by its index, and the blobs that nobody reads on this way after it."""

    index: int
    layer: Layer
    finished: list[str]


Route = list[Stop]
"""The layers that must run before a blob is there, each after those that it reads from."""


class Net:
    """A network whose layers are prepared once, when the weights are loaded, and run by any number of extractors."""

    def __init__(self) -> None:
        self.opt = Option()
        self._graph: Graph | None = None
        self._operators: list[Operator] = []
        self._blobs: list[str] = []
        self._known: set[str] = set()
        self._outputs: set[str] = set()
        self._producers: dict[str, int] = {}
        self._plans = Plans()
        self._routes: dict[tuple[object, ...], Route] = {}

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

    def __getstate__(self) -> tuple[Option, Graph | None, bool]:
        """What another process needs: layers are prepared anew there."""
        return self.opt, self._graph, bool(self._operators)

    def __setstate__(self, state: tuple[Option, Graph | None, bool]) -> None:
        self.opt, graph, prepared = state
        self.clear()
        if graph is not None:
            self._set_graph(graph)
        if graph is not None and prepared:
            self._prepare(graph)

    def clear(self) -> None:
        """Forget structure and weights."""
        self._graph = None
        self._operators = []
        self._blobs = []
        self._known = set()
        self._outputs = set()
        self._producers = {}
        self._plans = Plans()
        self._routes = {}

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
        plan = self._plan(fed) if not computed and wanted in self._outputs else None
        if plan is not None and wanted in plan.outputs:
            computed.update(plan.run(fed))
        else:
            self._follow(self._route(fed, computed, wanted, light_mode), fed, computed)

    @np.errstate(all="ignore")
    def _follow(self, route: Route, fed: dict[str, Array], computed: dict[str, Array]) -> None:
        """Run the layers of a route."""
        for stop in route:
            layer = stop.layer
            tops = self._operators[stop.index]([fed[name] if name in fed else computed[name] for name in layer.bottoms])
            if len(tops) != len(layer.tops):
                raise GraphError(layer.name, f"{layer.type} makes {len(tops)} blobs, but has {len(layer.tops)} tops")
            for name, blob in zip(layer.tops, tops, strict=True):
                computed.setdefault(name, blob)
            for name in stop.finished:
                computed.pop(name, None)

    def _route(self, fed: dict[str, Array], computed: dict[str, Array], wanted: str, light_mode: bool) -> Route:
        """The route to `wanted`, kept for the next inference; in light mode blobs are finished with on the way."""
        key = (wanted, light_mode, frozenset(fed), frozenset(computed))
        route = self._routes.get(key)
        if route is None:
            layers = self._loaded().layers
            route = [Stop(index, layers[index], []) for index in self._needed(fed, computed, wanted)]
            if light_mode:
                last_reader = {name: stop for stop in route for name in stop.layer.bottoms if name != wanted}
                for name, stop in last_reader.items():
                    stop.finished.append(name)
            if len(self._routes) >= MOST_ROUTES:
                self._routes.clear()
            self._routes[key] = route
        return route

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
        inputs: Iterable[Any] | Mapping[str, Iterable[Any]],
        wanted: Sequence[str] | None = None,
        *,
        workers: int | None = None,
        load: Callable[[Any], Any] | None = None,
    ) -> Iterator[dict[str, Array]]:
        """`infer` for every input, in their order, by so many processes that share the weights.

        ncnn has no batch axis: a blob is one input. So a batch is whatever gives inputs one after the other: a list, a
        generator, or an array whose first axis counts the inputs. An input is the data of the network's only input, or
        a mapping from blob names to data; a mapping in the place of `inputs` maps blob names to batches of one length.
        `load` makes an input of an item in the process that runs it, for example `numpy.load` of file names. Without
        `workers` it is `opt.num_threads`.

        With several workers inputs are taken a few ahead of the results. The plan for the first input is made before
        the processes start, so that they share it; not with `load`, where `prepare` does that if it is called before.
        AssayError, with the number of the input, for one that cannot run and for a process that dies; the other results
        that were not yet taken are lost then.
        """
        items = _rows(inputs) if isinstance(inputs, Mapping) else iter(inputs)
        count = self.opt.num_threads if workers is None else workers
        if count > 1 and load is None:
            items = self._planned(items)
        return in_order(partial(_infer_item, self, wanted, load), items, count)

    def prepare(self, feeds: Mapping[str, object]) -> None:
        """Make the plan for inputs of these shapes now, instead of when they come a second time."""
        self._plan({self.blob_name(name): as_array(data) for name, data in feeds.items()}, at_once=True)

    def _planned(self, items: Iterator[Any]) -> Iterator[Any]:
        """The items, after a plan was made for the first; its faults are told by the process that runs it."""
        first = list(islice(items, 1))
        if first and all(isinstance(data, np.ndarray) for data in _data_of(first[0])):
            with suppress(AssayError):
                self.prepare(self.feeds(first[0]))
        return chain(first, items)

    def feeds(self, item: Any) -> Mapping[str, object]:
        """Data by input: a mapping as it is, or the data of the network's only input."""
        if isinstance(item, Mapping):
            return item
        names = self.input_names()
        if len(names) != 1:
            raise UsageError(f"the network has {len(names)} inputs: expected a mapping from blob names to data")
        return {names[0]: item}

    def profile(self, feeds: Mapping[str, object], runs: int = 10) -> list[LayerTime]:
        """The shortest time of each layer that does something, over so many runs, with its multiplications.

        Where a plan would run inputs of these shapes, its steps are timed; it is made if it is not there yet.
        """
        fed = {self.blob_name(name): as_array(data) for name, data in feeds.items()}
        plan = self._plan(fed, at_once=True)
        if plan is not None:
            return profile_plan(self._loaded(), plan, fed, runs)
        return profile_layers(self._loaded(), self._operators, fed, runs)

    def plan(self, **shapes: Shape) -> list[PlanRow]:
        """What runs each layer and why, for inputs of these shapes (name=shape), or of those in the Input layers.

        Makes the plan if it is not there yet. UsageError for inputs whose shapes are not known.
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
        if plan is not None:
            return plan.rows
        return [
            operator_row(layer, operator, self._why_no_plan())
            for layer, operator in zip(self.layers, self._operators, strict=True)
        ]

    def _why_no_plan(self) -> str:
        if not kernels.COMPILED:
            return "no compiled kernels are in use"
        if not self.opt.use_compiled_kernels:
            return "opt.use_compiled_kernels is off"
        return "no layer of this network has a kernel, or there is too little to do"

    def float_plan(self, fed: dict[str, Array], wanted: Sequence[str]) -> FloatPlan | None:
        """The plan for these blobs; None with int8 layers, and where layer by layer is as fast."""
        plan = self._plan(fed, wanted=wanted)
        return plan if isinstance(plan, FloatPlan) else None

    def _plan(
        self, fed: dict[str, Array], *, at_once: bool = False, wanted: Sequence[str] | None = None
    ) -> Plan | None:
        if not self.opt.use_compiled_kernels:
            return None
        return self._plans.find(self._loaded(), self._operators, fed, at_once=at_once, wanted=wanted)

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
        self._outputs = set(graph.output_names())

    def _prepare(self, graph: Graph) -> None:
        self.opt.warn_of_unheeded()
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


def _infer_item(
    net: Net, wanted: Sequence[str] | None, load: Callable[[Any], Any] | None, item: Any
) -> dict[str, Array]:
    return net.infer(net.feeds(item if load is None else load(item)), wanted)


def _data_of(item: Any) -> Iterable[object]:
    return item.values() if isinstance(item, Mapping) else [item]


def _rows(batches: Mapping[str, Iterable[Any]]) -> Iterator[dict[str, Any]]:
    """The inputs of a batch for each blob; UsageError where one ends before the others."""
    end = object()
    for row in zip_longest(*batches.values(), fillvalue=end):
        if any(data is end for data in row):
            raise UsageError(f"the batches for {', '.join(batches)} differ in length")
        yield dict(zip(batches, row, strict=True))


class Extractor:
    """The blobs of one inference.

    `input` again starts the next one: what was computed before is forgotten, and its memory used again. A plan keeps
    its activations in memory of its own; elsewhere big blobs are made in memory that nobody holds any more. So an
    extractor in a loop allocates outputs and little else, and one for each inference does no worse.
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

        `data` is an array, a Blob or nested lists of 1 to 4 dims, none of them a batch axis: floats of any width become
        float32, int8 and int32 stay, int64 becomes int32. A contiguous array of the right type is not copied, so leave
        it alone until the extraction is done. What was computed from earlier inputs is forgotten. UsageError for other
        types and ranks, GraphError for an unknown blob.
        """
        self._fed[self._net.blob_name(name_or_index)] = as_array(data)
        self._computed.clear()
        return 0

    def extract(self, name_or_index: str | int, type: int = FLOAT32_EXTRACT, *, copy: bool = True) -> tuple[int, Array]:
        """The pair of 0 and the blob, running what it needs.

        With type 0 an int8 blob comes back as float32 of the same numbers; with type 1 it stays int8. The array is a
        copy and the caller's own. With `copy=False` it may be a view of the data that was fed or of a blob of this
        extractor: writing to it changes those, but no later inference changes it. GraphError for an unknown blob, an
        input that was not fed, or a layer that cannot run on its bottoms.
        """
        name = self._net.blob_name(name_or_index)
        if name not in self._fed and name not in self._computed:
            self._net.run(self._fed, self._computed, name, light_mode=self._light_mode)
        blob = self._fed[name] if name in self._fed else self._computed[name]
        if type == FLOAT32_EXTRACT and blob.dtype is not FLOAT32 and blob.dtype == np.int8:
            return 0, blob.astype(np.float32)
        return 0, np.array(blob, order="C") if copy else blob

    def each(self, names: Sequence[str | int]) -> Iterator[Array]:
        """Blobs one by one, as `extract` with type 1 and without a copy, but computed when they are taken.

        Without int8 layers all come from one plan where one fits. A blob is good until the next one is taken: it may be
        a view of memory that the plan uses again.
        """
        wanted = [self._net.blob_name(name) for name in names]
        missing = [name for name in wanted if name not in self._fed]
        plan = self._net.float_plan(self._fed, missing) if missing and not self._computed else None
        if plan is None or plan.outputs != missing:
            for name in wanted:
                yield self.extract(name, type=1, copy=False)[1]
            return
        planned = plan.each(self._fed)
        for name in wanted:
            yield self._fed[name] if name in self._fed else next(planned)

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
    if type(data) is np.ndarray and data.dtype is FLOAT32 and data.flags.c_contiguous and 1 <= data.ndim <= 4:
        return data
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
