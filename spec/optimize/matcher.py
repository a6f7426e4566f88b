"""How a pass finds what it rewrites.

A pass is a value with a name and `run`. `Chain` and `Elimination` are the two forms that nearly all have: a layer and
the layer that reads it, searched forwards, and a layer that does nothing and the one that feeds it, searched backwards.

Every form has the same three parts. `when` is the pass's own condition: where it does not hold, nothing is matched and
nothing is said. `unless` lists faults: where one holds, ncnn's tool rewrites all the same and changes what the network
computes. Here the rewrite is left undone and reported, except in the `upstream` mode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from spec.graph import Layer
from spec.optimize.rewriting import Rewriting

Condition = Callable[[Rewriting, Layer, Layer], bool]
"""Whether a pass applies to a pair of layers."""

Fault = Callable[[Rewriting, Layer, Layer], str | None]
"""Why a pass would do harm to a pair of layers, in words; None if it would not."""

Rewrite = Callable[[Rewriting, Layer, Layer], None]
"""The arithmetic of a pass on a pair of layers."""


class Pass(Protocol):
    """One step of the optimizer."""

    @property
    def name(self) -> str:
        """The word that the log uses."""

    def run(self, net: Rewriting) -> None:
        """Go over the network once."""


def always(net: Rewriting, first: Layer, second: Layer) -> bool:
    """No condition."""
    return True


def nothing(net: Rewriting, first: Layer, second: Layer) -> None:
    """No arithmetic: the second layer just disappears."""


def read_elsewhere(net: Rewriting, first: Layer, second: Layer) -> str | None:
    """The blob between the two has another reader, which would lose it."""
    blob = first.tops[0]
    return f"blob {blob} has {len(net.readers(blob))} readers" if len(net.readers(blob)) > 1 else None


def find_fault(net: Rewriting, faults: tuple[Fault, ...], first: Layer, second: Layer) -> str | None:
    """The first fault that holds for a pair, unless upstream's choices are wanted."""
    if net.upstream:
        return None
    return next((reason for fault in faults if (reason := fault(net, first, second)) is not None), None)


@dataclass(frozen=True)
class Chain:
    """`first` → `second` becomes one layer: it keeps the first's name and makes the second's top.

    For each layer of a type in `first`, in file order, the candidate is the first later layer of a type in `second`
    that has `bottoms` bottoms, the first of them being the layer's first top. There is no second candidate.
    """

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    rewrite: Rewrite = nothing
    bottoms: int = 1
    when: Condition = always
    unless: tuple[Fault, ...] = ()

    def run(self, net: Rewriting) -> None:
        """Go over the network once."""
        for position in net.positions_of(self.first):
            first = net.layers[position]
            if not first.tops:
                continue
            found = net.first_reader(first.tops[0], self.second, self.bottoms, position)
            if found is None or not self.when(net, first, net.layers[found]):
                continue
            second = net.layers[found]
            fault = find_fault(net, (read_elsewhere, *self.unless), first, second)
            if fault is not None:
                net.refused(self.name, (first, second), fault)
                continue
            net.fired(self.name, first, second)
            self.rewrite(net, first, second)
            net.absorb(first, second)


@dataclass(frozen=True)
class Elimination:
    """A layer of type `type` that does nothing disappears: the layer that feeds it makes its first top instead.

    With `single_top` a producer that has several tops does not count.
    """

    name: str
    type: str
    when: Callable[[Rewriting, Layer], bool] = lambda net, layer: True
    single_top: bool = False
    unless: tuple[Fault, ...] = ()

    def run(self, net: Rewriting) -> None:
        """Go over the network once."""
        for position in net.positions_of((self.type,)):
            if self.when(net, net.layers[position]):
                self.run_at(net, position)

    def run_at(self, net: Rewriting, position: int) -> None:
        """Eliminate the layer at a position, if an earlier layer feeds it."""
        layer = net.layers[position]
        above = net.producer(layer.bottoms[0])
        if above is None or above >= position:
            return
        producer = net.layers[above]
        if self.single_top and len(producer.tops) != 1:
            return
        fault = find_fault(net, (_read_by_others, renames_output, *self.unless), producer, layer)
        if fault is not None:
            net.refused(self.name, (producer, layer), fault)
            return
        net.fired(self.name, producer, layer)
        hand_over(net, producer, layer, layer.tops[0])


def hand_over(net: Rewriting, producer: Layer, layer: Layer, top: str) -> None:
    """Remove `layer`; `producer` makes its blob `top` instead of the layer's first bottom.

    An Input keeps its blob name, because callers feed it by that name: here the readers of `top` change instead. In the
    upstream mode the input is renamed.
    """
    bottom = layer.bottoms[0]
    if producer.type == "Input" and not net.upstream:
        for position in net.readers(top):
            reader = net.layers[position]
            reader.bottoms = [bottom if name == top else name for name in reader.bottoms]
    else:
        producer.tops[producer.tops.index(bottom)] = top
    net.remove(layer)


def renames_output(net: Rewriting, producer: Layer, layer: Layer) -> str | None:
    """An Input's blob would have to take the name of a network output."""
    if producer.type == "Input" and not net.readers(layer.tops[0]):
        return f"its top {layer.tops[0]} is a network output and its bottom {layer.bottoms[0]} a network input"
    return None


def _read_by_others(net: Rewriting, producer: Layer, layer: Layer) -> str | None:
    blob = layer.bottoms[0]
    return f"blob {blob} has {len(net.readers(blob))} readers" if len(net.readers(blob)) > 1 else None
