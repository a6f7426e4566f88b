"""Passes 24 to 30 and 33: layers that change nothing disappear.

Follows: ncnn tools/ncnnoptimize.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from spec.errors import UnsupportedError
from spec.graph import Layer
from spec.optimize.matcher import Elimination, find_fault, hand_over
from spec.optimize.rewriting import Rewriting

KEEP = -233
"""The value of a Reshape extent that is not given."""


# conditions


def is_identity_dropout(net: Rewriting, dropout: Layer) -> bool:
    """The Dropout's scale is 1."""
    return dropout.get.number("scale") == 1.0


def is_identity_pooling(net: Rewriting, pooling: Layer) -> bool:
    """A 1×1 window with stride 1 and no padding, not global."""
    get = pooling.get
    ones = [get.integer(name) for name in ("kernel_w", "kernel_h", "stride_w", "stride_h")]
    zeros = [get.integer(name) for name in ("pad_left", "pad_top", "pad_right", "pad_bottom", "global_pooling")]
    return ones == [1, 1, 1, 1] and zeros == [0, 0, 0, 0, 0]


def is_global_pooling(net: Rewriting, pooling: Layer, other: Layer) -> bool:
    """The Pooling is global, so that its top is 1-D."""
    return pooling.get.integer("global_pooling") != 0


def flattens_global_pooling(net: Rewriting, pooling: Layer, reshape: Layer) -> bool:
    """The Reshape makes 1-D what the global Pooling has made 1-D."""
    get = reshape.get
    to_one_dim = get.integer("h") == KEEP and get.integer("c") == KEEP and not get.text("shape_expr")
    return is_global_pooling(net, pooling, reshape) and to_one_dim


# faults


def adaptive(net: Rewriting, producer: Layer, pooling: Layer) -> str | None:
    """An adaptive Pooling resizes, whatever its kernel says."""
    return f"{pooling.name} is adaptive" if pooling.get.integer("adaptive_pooling") else None


def keeps_rows(net: Rewriting, layer: Layer, flatten: Layer) -> str | None:
    """The InnerProduct may make a 2-D blob, which the Flatten does change."""
    if net.rank(layer.tops[0]) == 1:
        return None
    return f"{layer.name} is not known to make a 1-D blob"


# passes


class Noops:
    """Pass 26: a Noop disappears; by default only one with one bottom and one top.

    In the upstream mode a Noop without bottoms is dropped, and of several bottoms and tops only the first ones count.
    """

    name = "eliminate_noop"

    def run(self, net: Rewriting) -> None:
        """Go over the network once."""
        for position in net.positions_of(("Noop",)):
            noop = net.layers[position]
            if net.upstream and not noop.bottoms:
                net.fired(self.name, noop)
                net.remove(noop)
                continue
            if (len(noop.bottoms), len(noop.tops)) != (1, 1) and not net.upstream:
                net.refused(self.name, (noop,), f"it has {len(noop.bottoms)} bottoms and {len(noop.tops)} tops")
                continue
            if any(net.readers(top) for top in noop.tops[1:]):
                raise UnsupportedError(noop.name, "ncnnoptimize crashes here: it forgets the tops behind the first")
            ELIMINATE_NOOP.run_at(net, position)


ELIMINATE_NOOP = Elimination("eliminate_noop", "Noop")


class Splits:
    """Pass 27: a Split with one reader disappears; its producer makes the top that is read.

    By default the Split stays where other tops are network outputs, or where it has no reader at all.
    """

    name = "eliminate_split"

    def run(self, net: Rewriting) -> None:
        """Go over the network once."""
        for position in net.positions_of(("Split",)):
            split = net.layers[position]
            read = [top for top in split.tops if net.readers(top)]
            above = net.producer(split.bottoms[0])
            if not read and net.upstream:
                raise UnsupportedError(split.name, "ncnnoptimize writes a broken file here: nothing reads the Split")
            if len(read) != 1 or above is None or above >= position:
                continue
            producer = net.layers[above]
            fault = find_fault(net, (_has_unread_tops,), producer, split)
            if fault is not None:
                net.refused(self.name, (producer, split), fault)
                continue
            net.fired(self.name, producer, split)
            hand_over(net, producer, split, read[0])


def _has_unread_tops(net: Rewriting, producer: Layer, split: Layer) -> str | None:
    unread = [top for top in split.tops if not net.readers(top)]
    return f"{', '.join(unread)} would no longer be made" if unread else None


class BroadcastReshapes:
    """Pass 30: a Reshape to (c, 1, 1) before a BinaryOp disappears: BinaryOp broadcasts a 1-D blob that way by itself.

    By default only where the shapes are known to broadcast so: a 1-D blob of c elements and a 3-D blob of c channels.
    """

    name = "eliminate_reshape_before_binaryop"

    def run(self, net: Rewriting) -> None:
        """Go over the network once."""
        for position in net.positions_of(("Reshape",)):
            reshape = net.layers[position]
            get = reshape.get
            if (get.integer("w"), get.integer("h")) != (1, 1) or get.text("shape_expr"):
                continue
            top = reshape.tops[0]
            operation = _first_binary_operation(net, top, position)
            if operation is None:
                continue
            fault = None if net.upstream else _broadcast_fault(net, reshape, operation)
            if fault is not None:
                net.refused(self.name, (reshape, operation), fault)
                continue
            net.fired(self.name, reshape, operation)
            operation.bottoms = [reshape.bottoms[0] if blob == top else blob for blob in operation.bottoms]
            net.remove(reshape)


def _first_binary_operation(net: Rewriting, blob: str, after: int) -> Layer | None:
    readers = (net.layers[place] for place in net.readers(blob) if place > after)
    return next((layer for layer in readers if layer.type == "BinaryOp" and len(layer.bottoms) == 2), None)


def _broadcast_fault(net: Rewriting, reshape: Layer, operation: Layer) -> str | None:
    top = reshape.tops[0]
    if len(net.readers(top)) > 1:
        return f"blob {top} has {len(net.readers(top))} readers"
    other = next(blob for blob in operation.bottoms if blob != top)
    flat, map_shape = net.shapes.get(reshape.bottoms[0]), net.shapes.get(other)
    if flat is None or map_shape is None:
        return "the shapes are not known"
    if len(flat) != 1 or len(map_shape) != 3 or flat[0] != map_shape[0]:
        return f"a blob of shape {flat} does not broadcast over the channels of one of shape {map_shape}"
    return None
