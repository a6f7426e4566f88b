"""The plain interpreter: runs a network layer by layer and keeps every blob."""

from __future__ import annotations

import operator
from pathlib import Path
from types import TracebackType
from typing import Self

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob, as_blob, float_blob
from spec.errors import GraphError, UnsupportedError
from spec.formats.param import read_param
from spec.formats.weights import read_weights
from spec.graph import Graph, Layer
from spec.layers import CHECK, FORWARD


class Net:
    """A network that can run.

    Follows: ncnn src/net.cpp @ a4d2ea1d, without light mode: every blob is kept, so any extraction order works.
    Unspecified: upstream flushes denormals to zero while it extracts; here they are ordinary numbers.
    """

    def __init__(self, profile: Profile = REFERENCE) -> None:
        self.profile = profile
        self.graph = Graph([])

    @classmethod
    def from_graph(cls, graph: Graph, profile: Profile = REFERENCE) -> Self:
        """A network from layers that have their weights. GraphError for layers that can never run."""
        net = cls(profile)
        net._take(graph)
        check_layers(graph)
        return net

    def load_param(self, path: str | Path) -> None:
        """Read the layers from a .param file. FormatError, or GraphError for a blob that two layers make."""
        self._take(read_param(Path(path)))

    def load_model(self, path: str | Path) -> None:
        """Read the weights of the layers from a .bin file. FormatError, or GraphError for an impossible layer."""
        read_weights(self.graph, Path(path))
        check_layers(self.graph)

    def create_extractor(self) -> Extractor:
        """Something that takes inputs and gives outputs; one for each set of inputs."""
        return Extractor(self)

    def input_names(self) -> list[str]:
        """The tops of the Input layers, in file order."""
        return self.graph.input_names()

    def output_names(self) -> list[str]:
        """The blobs that some layer makes and none reads, by blob index."""
        return self.graph.output_names()

    def blob_name(self, name_or_index: str | int) -> str:
        """The name of the blob with this name or blob index. GraphError where there is none."""
        if isinstance(name_or_index, str):
            if name_or_index not in self._known:
                raise GraphError("", f"no layer makes or reads a blob {name_or_index!r}")
            return name_or_index
        index = operator.index(name_or_index)
        if not 0 <= index < len(self._names):
            raise GraphError("", f"there is no blob {index}: the network has blobs 0 to {len(self._names) - 1}")
        return self._names[index]

    def producer(self, name: str) -> Layer | None:
        """The layer that makes a blob, or None for one that must be fed."""
        return self._producers.get(name)

    def _take(self, graph: Graph) -> None:
        self.graph = graph
        self._names = graph.blob_names()
        self._known = set(self._names)
        self._producers: dict[str, Layer] = {}
        for layer in graph:
            for top in layer.tops:
                if top in self._producers:
                    raise GraphError(layer.name, f"makes blob {top}, which {self._producers[top].name} makes already")
                self._producers[top] = layer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Extractor:
    """One run of a network: blobs are fed, others are asked for, and only what is needed for them is computed."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.fed: dict[str, Blob] = {}
        self.computed: dict[str, Blob] = {}

    def input(self, name_or_index: str | int, data: object) -> int:
        """Feed any blob, by name or blob index; feeding one that a layer makes cuts the graph there.

        `data` is a Blob, nested lists, or anything with the buffer protocol, in numpy order. What was computed from
        earlier inputs is forgotten. Returns 0. GraphError for an unknown blob.
        """
        name = self.net.blob_name(name_or_index)
        self.fed[name] = as_blob(data)
        self.computed.clear()
        return 0

    def extract(self, name_or_index: str | int, type: int = 0) -> tuple[int, Blob]:
        """The pair of 0 and the blob, which is computed from what was fed.

        With type 0 an int8 blob comes back as float32 of the same numbers; with type 1 it stays int8. GraphError for an
        unknown blob, an input that was not fed, or a layer that cannot run on its bottoms.
        """
        name = self.net.blob_name(name_or_index)
        self._compute(name)
        blob = self._stored(name)
        assert blob is not None
        if type == 0 and blob.dtype == "int8":
            return 0, float_blob(blob.shape, blob.values)
        return 0, blob

    def _compute(self, wanted: str) -> None:
        """Run the layers that `wanted` needs: each after those that make its bottoms, with a stack of our own."""
        pending = [wanted]
        while pending:
            name = pending[-1]
            if self._stored(name) is not None:
                pending.pop()
                continue
            layer = self._layer_for(name)
            missing = [bottom for bottom in layer.bottoms if self._stored(bottom) is None]
            if missing:
                if any(bottom in pending for bottom in missing):
                    raise GraphError(layer.name, "needs its own output: the network has a cycle")
                pending.extend(reversed(missing))
            else:
                self._run(layer)

    def _layer_for(self, name: str) -> Layer:
        layer = self.net.producer(name)
        if layer is None:
            raise GraphError("", f"blob {name} must be fed: no layer makes it")
        if layer.type == "Input":
            raise GraphError(layer.name, f"Input blob {name} was not fed")
        return layer

    def _run(self, layer: Layer) -> None:
        bottoms = [blob for bottom in layer.bottoms if (blob := self._stored(bottom)) is not None]
        tops = FORWARD[layer.type](layer, bottoms, self.net.profile)
        if len(tops) != len(layer.tops):
            raise GraphError(layer.name, f"{layer.type} makes {len(tops)} blobs, but has {len(layer.tops)} tops")
        for name, blob in zip(layer.tops, tops):
            self.computed.setdefault(name, blob)

    def _stored(self, name: str) -> Blob | None:
        return self.fed.get(name) or self.computed.get(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def check_layers(graph: Graph) -> None:
    """Raise UnsupportedError for a layer type that the spec does not implement, GraphError for an impossible layer."""
    for layer in graph:
        if layer.type not in FORWARD:
            known = "is a layer type of ncnn that the spec does not implement"
            unknown = "is not a built-in layer type, and the spec has no custom ones"
            raise UnsupportedError(layer.name, f"{layer.type} {known if layer.layer_type else unknown}")
        if layer.type in CHECK:
            CHECK[layer.type](layer)
