"""Passes 22 and 34: constants of one element move into BinaryOp; constants that nobody reads disappear.

Follows: ncnn tools/ncnnoptimize.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from spec.graph import Layer
from spec.optimize.fold import constant_extents
from spec.optimize.rewriting import Rewriting

SWAPPED = {0: 0, 2: 2, 4: 4, 5: 5, 1: 7, 3: 8}
"""Operations of BinaryOp that exist for swapped operands: add, mul, max, min, sub → rsub, div → rdiv."""


class ScalarOperands:
    """MemoryData → BinaryOp, or MemoryData → Split → BinaryOp, becomes a BinaryOp with a scalar."""

    name = "fuse_memorydata_binaryop"

    def run(self, net: Rewriting) -> None:
        """Go over the network twice: constants read directly, then through a Split."""
        for position in net.positions_of(("MemoryData",)):
            self._fuse_direct(net, position)
        for position in net.positions_of(("MemoryData",)):
            while self._fuse_one_of_split(net, position):
                pass

    def _fuse_direct(self, net: Rewriting, position: int) -> None:
        memory = net.layers[position]
        blob = memory.tops[0]
        operation = _first_operation(net, (blob,), position)
        if operation is None or not self._can_take(net, memory, operation, blob):
            return
        if not net.upstream and len(net.readers(blob)) > 1:
            net.refused(self.name, (memory, operation), f"blob {blob} has {len(net.readers(blob))} readers")
            return
        net.fired(self.name, memory, operation)
        _take_scalar(net, memory, operation, blob)
        net.remove(memory)

    def _fuse_one_of_split(self, net: Rewriting, position: int) -> bool:
        """Fuse into one reader of the Split behind a MemoryData; False when there is none left that can be."""
        memory = net.layers[position]
        if memory.type != "MemoryData":
            return False
        place = net.first_reader(memory.tops[0], ("Split",), 1, position)
        if place is None:
            return False
        split = net.layers[place]
        operation = _first_operation(net, tuple(split.tops), place)
        if operation is None:
            return False
        blob = next(name for name in operation.bottoms if name in split.tops)
        if not self._can_take(net, memory, operation, blob):
            return False
        net.fired(self.name, memory, operation)
        _take_scalar(net, memory, operation, blob)
        split.tops.remove(blob)
        net.rewired()
        if not split.tops:
            net.remove(split)
            net.remove(memory)
        return True

    def _can_take(self, net: Rewriting, memory: Layer, operation: Layer, blob: str) -> bool:
        if constant_extents(memory) != (1, 0, 0):
            return False
        if not net.upstream and memory.get.integer("d"):
            net.refused(self.name, (memory, operation), f"{memory.name} has four dims")
            return False
        return operation.bottoms[0] != blob or operation.get.integer("op_type") in SWAPPED


def _first_operation(net: Rewriting, blobs: tuple[str, ...], after: int) -> Layer | None:
    """The first later BinaryOp with two bottoms, one of which is one of the blobs."""
    places = sorted({place for blob in blobs for place in net.readers(blob) if place > after})
    operations = (net.layers[place] for place in places)
    return next((layer for layer in operations if layer.type == "BinaryOp" and len(layer.bottoms) == 2), None)


def _take_scalar(net: Rewriting, memory: Layer, operation: Layer, blob: str) -> None:
    if operation.bottoms[0] == blob:
        operation.set("op_type", SWAPPED[operation.get.integer("op_type")])
        del operation.bottoms[0]
    else:
        del operation.bottoms[1]
    operation.set("with_scalar", 1)
    operation.set("b", net.floats(memory, "data")[0])
    net.rewired()


class OrphanedConstants:
    """Pass 34: a MemoryData without readers disappears, unless it was an output of the network from the start."""

    name = "eliminate_orphaned_memorydata"

    def run(self, net: Rewriting) -> None:
        """Go over the network once."""
        for position in net.positions_of(("MemoryData",)):
            memory = net.layers[position]
            if any(reader > position for reader in net.readers(memory.tops[0])):
                continue
            if memory.tops[0] in net.outputs and not net.upstream:
                net.refused(self.name, (memory,), f"{memory.tops[0]} is an output of the network")
                continue
            net.fired(self.name, memory)
            net.remove(memory)
