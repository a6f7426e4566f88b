"""Pass 15: two means in a row become a global average pooling.

ncnn's tool looks for the axes 3 or 2, then 2: the numbering of a time when the batch was axis 0. With today's
numbering that takes a mean over the columns only, and changes the result. By default the pass therefore looks for what
is a global mean today: axis 2, then axis 1, of a 3-D blob.

Follows: ncnn tools/ncnnoptimize.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from spec.graph import Layer
from spec.optimize.rewriting import Rewriting

MEAN = 3
"""Reduction's operation."""

AVERAGE = 1
"""Pooling's pooling_type."""


class GlobalPooling:
    """Reduction → Reduction becomes a Pooling with the second's name, place and tops."""

    name = "replace_reduction_with_global_pooling"

    def run(self, net: Rewriting) -> None:
        """Go over the network once."""
        for position in net.positions_of(("Reduction",)):
            first = net.layers[position]
            found = net.first_reader(first.tops[0], ("Reduction",), 1, position)
            if found is None:
                continue
            second = net.layers[found]
            if not self._matches(net, first, second):
                self._say_if_outdated(net, first, second)
                continue
            net.fired(self.name, first, second)
            pooling = Layer("Pooling", second.name, first.bottoms, second.tops)
            pooling.set("pooling_type", AVERAGE)
            pooling.set("global_pooling", 1)
            net.replace(found, pooling)
            first.bottoms = []
            net.remove(first)

    def _matches(self, net: Rewriting, first: Layer, second: Layer) -> bool:
        axes = _mean_axis(first), _mean_axis(second)
        if net.upstream:
            return _has_outdated_axes(first, second)
        shape = net.shapes.get(first.bottoms[0])
        keeps = first.get.integer("keepdims") or second.get.integer("keepdims")
        alone = len(net.readers(first.tops[0])) == 1
        return axes == (2, 1) and shape is not None and len(shape) == 3 and not keeps and alone

    def _say_if_outdated(self, net: Rewriting, first: Layer, second: Layer) -> None:
        if not net.upstream and _has_outdated_axes(first, second):
            net.refused(self.name, (first, second), "their axes are no global mean in today's numbering")


def _mean_axis(layer: Layer) -> int | None:
    """The axis of a plain mean over one axis."""
    get = layer.get
    axes = get.integers("axes")
    plain = get.integer("operation") == MEAN and not get.integer("reduce_all") and get.number("coeff") == 1.0
    return axes[0] if plain and len(axes) == 1 else None


def _has_outdated_axes(first: Layer, second: Layer) -> bool:
    return _mean_axis(first) in (2, 3) and _mean_axis(second) == 2
