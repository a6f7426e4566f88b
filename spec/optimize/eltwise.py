"""Pass 23: the sum of two weighted blobs becomes an Eltwise with coefficients.

Follows: ncnn tools/ncnnoptimize.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from array import array

from spec.graph import Layer
from spec.optimize.fold import ADD, MULTIPLY
from spec.optimize.rewriting import Rewriting

SUM = 1
"""Eltwise's op_type."""


class WeightedSum:
    """BinaryOp(add) of x * c0 and y * c1 becomes Eltwise(sum) of x and y with coefficients; one factor may lack."""

    name = "fuse_binaryop_eltwise"

    def run(self, net: Rewriting) -> None:
        """Go over the network once."""
        for position in net.positions_of(("BinaryOp",)):
            add = net.layers[position]
            if len(add.bottoms) != 2 or add.get.integer("op_type") != ADD or add.get.integer("with_scalar"):
                continue
            factors = [_scalar_multiplication(net, blob, position) for blob in add.bottoms]
            if factors[0] is None and factors[1] is None:
                continue
            named = (factors[0] or add, factors[1] or add, add)
            fault = None if net.upstream else self._fault(net, add, factors)
            if fault is not None:
                net.refused(self.name, named, fault)
                continue
            net.fired(self.name, *named)
            net.replace(position, _eltwise(add, factors))
            for factor in factors:
                if factor is not None:
                    net.remove(factor)

    def _fault(self, net: Rewriting, add: Layer, factors: list[Layer | None]) -> str | None:
        shapes = [net.shapes.get(blob) for blob in add.bottoms]
        if None in shapes:
            return "Eltwise does not broadcast, and the shapes are not known"
        if shapes[0] != shapes[1]:
            return f"Eltwise does not broadcast {shapes[0]} and {shapes[1]}"
        shared = next((blob for blob in add.bottoms if len(net.readers(blob)) > 1), None)
        return f"blob {shared} has {len(net.readers(shared))} readers" if shared is not None else None


def _eltwise(add: Layer, factors: list[Layer | None]) -> Layer:
    bottoms = [blob if factor is None else factor.bottoms[0] for blob, factor in zip(add.bottoms, factors, strict=True)]
    eltwise = Layer("Eltwise", add.name, bottoms, add.tops, hints=add.hints)
    eltwise.set("op_type", SUM)
    eltwise.set(
        "coeffs", array("f", [1.0 if factor is None else factor.get.number("b") for factor in factors]).tolist()
    )
    return eltwise


def _scalar_multiplication(net: Rewriting, blob: str, before: int) -> Layer | None:
    """The BinaryOp that makes a blob by multiplying another one by a scalar."""
    position = net.producer(blob)
    if position is None or position >= before:
        return None
    layer = net.layers[position]
    is_multiplication = (
        layer.type == "BinaryOp" and len(layer.bottoms) == 1 and layer.get.integer("op_type") == MULTIPLY
    )
    return layer if is_multiplication else None
