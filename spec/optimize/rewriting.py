"""A graph while the optimizer works on it.

Layers keep their positions: a removed layer becomes a tombstone of type `ncnnfused`, which matches nothing. A blob is a
name. Who reads and who makes a blob is looked up in tables that are rebuilt after every change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from spec.graph import Graph, Layer, Shape
from spec.optimize.arithmetic import Arithmetic, Floats

TOMBSTONE = "ncnnfused"
"""The type of a removed layer."""

_KEEPS_RANK = frozenset(
    (
        *("AbsVal", "BatchNorm", "BNLL", "Bias", "Clip", "Dropout", "ELU", "GELU", "HardSigmoid", "HardSwish", "Mish"),
        *("Noop", "PReLU", "Power", "ReLU", "SELU", "Scale", "Sigmoid", "Softmax", "Softplus", "Split", "Swish"),
        *("TanH", "UnaryOp"),
    )
)
"""Layer types whose tops have the rank of their first bottom."""

_ALWAYS_3D = frozenset(("Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise"))


@dataclass(frozen=True)
class Firing:
    """One application of a pass: the pass and the layers of its log line."""

    rule: str
    layers: tuple[str, ...]


class Rewriting:
    """The graph, the arithmetic, and what the passes may know and say.

    `upstream` asks for the choices of ncnn's own tool, faults included. `report` gets log lines; `firings` collects the
    same as data. `shapes` are the blob shapes known before the passes, `outputs` the blobs that nobody read then.
    """

    def __init__(
        self,
        graph: Graph,
        arithmetic: Arithmetic,
        shapes: dict[str, Shape],
        report: Callable[[str], None],
        *,
        upstream: bool = False,
    ) -> None:
        self.layers = list(graph.layers)
        self.arithmetic = arithmetic
        self.shapes = shapes
        self.upstream = upstream
        self.outputs = frozenset(graph.output_names())
        self.firings: list[Firing] = []
        self._report = report
        self._said: set[str] = set()
        self._readers: dict[str, list[int]] | None = None
        self._producers: dict[str, int] = {}

    # what is there

    def alive(self) -> list[Layer]:
        """The layers that are left, in file order."""
        return [layer for layer in self.layers if layer.type != TOMBSTONE]

    def positions_of(self, types: Sequence[str]) -> Iterator[int]:
        """Ascending positions of the layers of some types, as they are when the iterator gets there."""
        for position in range(len(self.layers)):
            if self.layers[position].type in types:
                yield position

    def readers(self, blob: str) -> list[int]:
        """Ascending positions of the layers that read a blob, a layer as often as it does."""
        self._index()
        assert self._readers is not None
        return self._readers.get(blob, [])

    def producer(self, blob: str) -> int | None:
        """The position of the layer that makes a blob."""
        self._index()
        return self._producers.get(blob)

    def first_reader(self, blob: str, types: Sequence[str], bottoms: int, after: int) -> int | None:
        """The first layer behind position `after`, of these types, with this many bottoms, the first being `blob`."""
        for position in self.readers(blob):
            layer = self.layers[position]
            if position > after and layer.type in types and len(layer.bottoms) == bottoms and layer.bottoms[0] == blob:
                return position
        return None

    def rank(self, blob: str) -> int | None:
        """A blob's number of dims, from its shape or from what makes it; None if neither tells."""
        if blob in self.shapes:
            return len(self.shapes[blob])
        position = self.producer(blob)
        if position is None:
            return None
        layer = self.layers[position]
        if layer.type in _KEEPS_RANK and layer.bottoms:
            return self.rank(layer.bottoms[0])
        if layer.type == "InnerProduct":
            below = self.rank(layer.bottoms[0])
            return None if below in (2, None) else 1
        if layer.type == "Pooling":
            return 1 if layer.get.integer("global_pooling") else 3
        if layer.type == "Flatten":
            return 1
        return 3 if layer.type in _ALWAYS_3D else None

    # changes

    def absorb(self, first: Layer, second: Layer) -> None:
        """`second` disappears; its first top is made by `first` from now on, instead of its own."""
        first.tops[0] = second.tops[0]
        self.remove(second)

    def remove(self, layer: Layer) -> None:
        """Turn a layer into a tombstone."""
        layer.type = TOMBSTONE
        layer.bottoms = []
        layer.tops = []
        layer.params = {}
        layer.weights = {}
        self.rewired()

    def replace(self, position: int, layer: Layer) -> None:
        """Put another layer into a place."""
        self.layers[position] = layer
        self.rewired()

    def rewired(self) -> None:
        """Forget the tables of readers and producers: the wiring has changed."""
        self._readers = None

    # words

    def fired(self, rule: str, *layers: Layer) -> None:
        """Log that a pass is being applied."""
        names = tuple(layer.name for layer in layers)
        self.firings.append(Firing(rule, names))
        self._report(" ".join((rule, *names)))

    def refused(self, rule: str, layers: Sequence[Layer], reason: str) -> None:
        """Say, once, that a pass matched and was not applied."""
        line = f"{rule} {' '.join(layer.name for layer in layers)} left alone: {reason}"
        if line not in self._said:
            self._said.add(line)
            self._report(line)

    # weights

    def floats(self, layer: Layer, name: str) -> Floats:
        """A float record's values as binary32."""
        weight = layer.weight(name)
        return self.arithmetic.widen(weight.values) if weight.dtype == "float16" else weight.floats()

    def _index(self) -> None:
        if self._readers is not None:
            return
        self._readers = {}
        self._producers = {}
        for position, layer in enumerate(self.layers):
            for blob in layer.bottoms:
                self._readers.setdefault(blob, []).append(position)
            for blob in layer.tops:
                self._producers[blob] = position
