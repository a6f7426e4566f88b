"""The plan of a network: which layers compiled kernels run, on which feature maps, and why the others stay with numpy.

A plan belongs to one set of input shapes, and computes all outputs of the network. int8 convolutions run compiled. A
blob between them never becomes floats where all its readers want codes of one scale: the float steps of the layer that
makes it and the quantization of the layers that read it are one staircase of the integer sum, which the kernels climb
exactly. Split, Concat, max pooling and ReLU on such blobs work on codes too, or cost nothing at all. Where channels of
a blob go different ways, as through ShuffleChannel and Slice, each becomes the codes that its reader wants. Where
floats are needed after all, as for the additions of residual networks, they stand pixel after pixel while only
convolutions, additions, ReLU, LRN and pooling use them; LRN and max pooling take each row while it is in cache. The
outputs hold the same bits with and without a plan.

Networks without int8 layers have plans of another kind: see `fastpath.float_plan`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from fastpath import kernels
from fastpath.float_plan.builder import float_plan
from fastpath.float_plan.plan import FloatPlan
from fastpath.layers.common import Array, Operator
from fastpath.planning.builder import Builder
from fastpath.planning.code_flow import CodeFlow
from fastpath.planning.int8_layers import is_int8
from fastpath.planning.layer_kinds import constants
from fastpath.planning.plan import Plan
from fastpath.steps.calls import Blobs
from fastpath.steps.step import OperatorStep
from spec.errors import AssayError
from spec.graph import Graph, Layer, Shape
from spec.optimize.shape_rules import RULES, ShapeUnknown

MOST_PLANS = 8
"""Plans that a network keeps; the one that was not used for longest goes first."""

BY_RULE = ("Convolution", "ConvolutionDepthWise", "Pooling")
"""Types that take most of the time of a network, and whose top blobs have shapes that are known beforehand."""

MOST_SEEN = 64
"""Shapes that were there and have no plan yet."""


class Plans(threading.local):
    """The plans of one network in one thread, by the names, shapes and types of the blobs that are fed.

    Making a plan takes longer than one inference by numpy, so it waits until the same shapes come a second time: and
    where as many plans as are kept are there, a second time in a row, lest many shapes in turn be planned again and
    again. But not for networks without int8 layers: there a plan sums in another order, and all inferences shall have
    the same bits.
    """

    def __init__(self) -> None:
        self._plans: OrderedDict[tuple[object, ...], Plan | None] = OrderedDict()
        self._seen: OrderedDict[tuple[object, ...], None] = OrderedDict()

    def find(
        self,
        graph: Graph,
        operators: list[Operator],
        fed: Blobs,
        *,
        at_once: bool = False,
        wanted: Sequence[str] | None = None,
    ) -> Plan | None:
        """The plan for these inputs; None where there are no kernels, no work for them, or a fault in the network.

        Also None when these shapes come for the first time, unless it is wanted `at_once`. Without int8 layers the plan
        may be for the `wanted` blobs instead of the outputs.
        """
        if not kernels.COMPILED:
            return None
        shapes = tuple([(name, fed[name].shape, fed[name].dtype.char) for name in sorted(fed)])
        key = (shapes, None if wanted is None else tuple(wanted))
        plans = self._plans
        if key in plans:
            if len(plans) > 1:
                plans.move_to_end(key)
            return plans[key]
        has_int8 = any(is_int8(layer) for layer in graph)
        if has_int8 and not at_once and not self._comes_again(key):
            return None
        try:
            if has_int8:
                self._plans[key] = make_plan(graph, operators, fed) if wanted is None else None
            else:
                self._plans[key] = make_float_plan(graph, operators, fed, wanted)
        except AssayError:
            # The fault is raised where the network runs, layer by layer.
            self._plans[key] = None
        if len(self._plans) > MOST_PLANS:
            self._plans.popitem(last=False)
        return self._plans[key]

    def _comes_again(self, key: tuple[object, ...]) -> bool:
        """Whether these shapes are worth a plan, because they were there before."""
        seen = key in self._seen
        in_a_row = seen and key == next(reversed(self._seen))
        self._seen[key] = None
        self._seen.move_to_end(key)
        if len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)
        return in_a_row or (seen and len(self._plans) < MOST_PLANS)


def make_plan(graph: Graph, operators: list[Operator], fed: Blobs) -> Plan | None:
    """The plan of a network for these inputs, or None where kernels have nothing to do. Runs the network once."""
    if not set(fed) <= set(graph.input_names()) or not any(is_int8(layer) for layer in graph):
        return None
    graph.check()
    blobs = _all_blobs(graph, operators, fed)
    outputs = [name for name in graph.output_names() if name in blobs]
    return Builder(CodeFlow(graph, blobs)).plan(operators, outputs)


def make_float_plan(
    graph: Graph, operators: list[Operator], fed: Blobs, wanted: Sequence[str] | None = None
) -> FloatPlan | None:
    """The plan of a network without int8 layers, for its outputs or the `wanted` blobs."""
    if not set(fed) <= set(graph.input_names()):
        return None
    graph.check()
    blobs = hollow_blobs(graph, operators, fed)
    names = graph.output_names() if wanted is None else wanted
    return float_plan(graph, operators, blobs, [name for name in names if name in blobs])


def hollow_blobs(graph: Graph, operators: list[Operator], fed: Blobs) -> Blobs:
    """An array with the shape and type of every blob that the inputs reach.

    Convolutions and pooling, which take the time, do not run where a rule says what they make. The others get zeros
    for what those would have made.
    """
    blobs = dict(fed)
    with np.errstate(all="ignore"):
        for layer, operator in zip(graph.layers, operators, strict=True):
            if layer.type == "Input" or any(name not in blobs for name in layer.bottoms):
                continue
            bottoms = [blobs[name] for name in layer.bottoms]
            shape = _shape_by_rule(layer, bottoms)
            if shape is not None:
                blobs[layer.tops[0]] = _hollow(shape)
            else:
                tops = operator([np.ascontiguousarray(blob) for blob in bottoms])
                blobs.update(zip(layer.tops, tops, strict=True))
    return blobs


def _hollow(shape: Shape) -> Array:
    """A blob of zeros that needs no memory."""
    return np.broadcast_to(np.float32(0), shape)


def _shape_by_rule(layer: Layer, bottoms: Sequence[Array]) -> Shape | None:
    """The shape of the top blob of a convolution or pooling layer with one float bottom blob that fits it, or None."""
    if layer.type not in BY_RULE or len(bottoms) != 1 or len(layer.tops) != 1:
        return None
    blob, get = bottoms[0], layer.get.integer
    if blob.ndim != 3 or blob.dtype != np.float32:
        return None
    if layer.type != "Pooling":
        weights = get("num_output") * get("kernel_w") * get("kernel_h") * blob.shape[0]
        groups = get("group") if layer.type == "ConvolutionDepthWise" else 1
        if get("dynamic_weight") or weights != get("weight_data_size") * groups:
            return None
    try:
        return RULES[layer.type](layer, [blob.shape])[0]
    except ShapeUnknown:
        return None


def _all_blobs(graph: Graph, operators: list[Operator], fed: Blobs) -> Blobs:
    """Every blob that the inputs reach, by numpy; of those that were read, and are no constants, the shapes alone."""
    blobs = dict(fed)
    known = constants(graph.layers)
    with np.errstate(all="ignore"):
        for layer, operator in zip(graph.layers, operators, strict=True):
            if layer.type != "Input" and all(name in blobs for name in layer.bottoms):
                OperatorStep(layer, operator)(blobs)
                for name in set(layer.bottoms) - known:
                    blobs[name] = np.broadcast_to(blobs[name].dtype.type(0), blobs[name].shape)
    return blobs
