"""The optimizer: thirty-four passes, in ncnn's order, then shape inference.

Read `PASSES` as the rule book: what is matched, what is done with it, and under `unless` the faults of ncnn's tool that
are left undone here (`spec.optimize.matcher` says how the entries are read).

Follows: ncnn tools/ncnnoptimize.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from spec.graph import Graph
from spec.optimize.activation import LeakyPReLU, fuse_activation, requantized
from spec.optimize.arithmetic import SPEC_ARITHMETIC, Arithmetic
from spec.optimize.elimination import (
    BroadcastReshapes,
    Noops,
    Splits,
    adaptive,
    flattens_global_pooling,
    is_global_pooling,
    is_identity_dropout,
    is_identity_pooling,
    keeps_rows,
)
from spec.optimize.eltwise import WeightedSum
from spec.optimize.fold import (
    activated,
    adds_constant,
    by_rows,
    dynamic,
    fold_add,
    fold_batchnorm,
    fold_dropout,
    fold_multiply,
    fold_scale,
    four_dimensional,
    int8,
    is_static_scale,
    multiplies_by_constant,
    negative_variance,
    other_channel_count,
    other_rank,
    other_scale_count,
)
from spec.optimize.inner_product import ConvolutionToInnerProduct
from spec.optimize.matcher import Chain, Elimination, Pass
from spec.optimize.memory_data import OrphanedConstants, ScalarOperands
from spec.optimize.memory_estimate import report_memory
from spec.optimize.reduction import GlobalPooling
from spec.optimize.rewriting import Firing, Rewriting
from spec.optimize.shape_inference import infer_shapes, report_shape_inference

CONVOLUTION = ("Convolution",)
CONVOLUTION_1D = ("Convolution1D",)
DEPTHWISE = ("ConvolutionDepthWise",)
DECONVOLUTION = ("Deconvolution",)
DECONVOLUTION_DEPTHWISE = ("DeconvolutionDepthWise",)
INNER_PRODUCT = ("InnerProduct",)
BATCHNORM = ("BatchNorm",)
BINARY = ("BinaryOp",)

THREE_ACTIVATIONS = ("ReLU", "Clip", "Sigmoid")
FOUR_ACTIVATIONS = (*THREE_ACTIVATIONS, "Mish")
FIVE_ACTIVATIONS = (*FOUR_ACTIVATIONS, "HardSwish")

NO_FOLD = (activated, int8, dynamic)
"""Faults of every fold into weights."""

NO_NORM = (*NO_FOLD, other_channel_count, negative_variance)
NO_CONSTANT = (*NO_FOLD, four_dimensional)
NO_ACTIVATION = (activated, requantized)


def _fold_batchnorm(name: str, first: tuple[str, ...], *more: Callable[..., str | None]) -> Chain:
    return Chain(name, first, BATCHNORM, fold_batchnorm, unless=(*NO_NORM, *more))


def _fold_multiply(name: str, first: tuple[str, ...]) -> Chain:
    return Chain(name, first, BINARY, fold_multiply, 2, multiplies_by_constant, NO_CONSTANT)


def _fold_add(name: str, first: tuple[str, ...], *more: Callable[..., str | None]) -> Chain:
    return Chain(name, first, BINARY, fold_add, 2, adds_constant, (*NO_CONSTANT, *more))


def _fuse_activation(name: str, first: tuple[str, ...], second: tuple[str, ...]) -> Chain:
    return Chain(name, first, second, fuse_activation, unless=NO_ACTIVATION)


PASSES: Final[tuple[Pass, ...]] = (
    # constants and norms fold into weights
    Chain("fuse_batchnorm_scale", BATCHNORM, ("Scale",), fold_scale, 1, is_static_scale, (other_scale_count,)),
    _fold_batchnorm("fuse_convolution_batchnorm", CONVOLUTION),
    _fold_multiply("fuse_convolution_mul", CONVOLUTION),
    _fold_add("fuse_convolution_add", CONVOLUTION),
    _fold_batchnorm("fuse_convolutiondepthwise_batchnorm", DEPTHWISE),
    _fold_multiply("fuse_convolutiondepthwise_mul", DEPTHWISE),
    _fold_add("fuse_convolutiondepthwise_add", DEPTHWISE),
    _fold_batchnorm("fuse_deconvolution_batchnorm", DECONVOLUTION),
    _fold_multiply("fuse_deconvolution_mul", DECONVOLUTION),
    _fold_add("fuse_deconvolution_add", DECONVOLUTION),
    _fold_batchnorm("fuse_deconvolutiondepthwise_batchnorm", DECONVOLUTION_DEPTHWISE),
    _fold_batchnorm("fuse_innerproduct_batchnorm", INNER_PRODUCT, by_rows),
    _fold_add("fuse_innerproduct_add", INNER_PRODUCT, other_rank, by_rows),
    Chain("fuse_innerproduct_dropout", INNER_PRODUCT, ("Dropout",), fold_dropout, unless=NO_FOLD),
    # layers become other layers
    GlobalPooling(),
    LeakyPReLU(),
    # activations
    _fuse_activation("fuse_convolution_activation", CONVOLUTION, FIVE_ACTIVATIONS),
    _fuse_activation("fuse_convolution1d_activation", CONVOLUTION_1D, FOUR_ACTIVATIONS),
    _fuse_activation("fuse_convolutiondepthwise_activation", DEPTHWISE, FIVE_ACTIVATIONS),
    _fuse_activation("fuse_deconvolution_activation", DECONVOLUTION, THREE_ACTIVATIONS),
    _fuse_activation("fuse_deconvolutiondepthwise_activation", DECONVOLUTION_DEPTHWISE, THREE_ACTIVATIONS),
    _fuse_activation("fuse_innerproduct_activation", INNER_PRODUCT, FIVE_ACTIVATIONS),
    # operands of elementwise layers
    ScalarOperands(),
    WeightedSum(),
    # layers that change nothing
    Elimination("eliminate_dropout", "Dropout", is_identity_dropout, single_top=True),
    Elimination("eliminate_pooling1x1", "Pooling", is_identity_pooling, unless=(adaptive,)),
    Noops(),
    Splits(),
    Chain("eliminate_flatten_after_global_pooling", ("Pooling",), ("Flatten",), when=is_global_pooling),
    Chain("eliminate_reshape_after_global_pooling", ("Pooling",), ("Reshape",), when=flattens_global_pooling),
    BroadcastReshapes(),
    # convolutions of 1-D blobs
    ConvolutionToInnerProduct(
        "replace_convolution_with_innerproduct_after_global_pooling", "Pooling", when=is_global_pooling
    ),
    ConvolutionToInnerProduct(
        "replace_convolution_with_innerproduct_after_innerproduct", "InnerProduct", repeated=True
    ),
    Chain("eliminate_flatten_after_innerproduct", INNER_PRODUCT, ("Flatten",), unless=(keeps_rows,)),
    # what is left over
    OrphanedConstants(),
)


def run_passes(
    graph: Graph,
    *,
    arithmetic: Arithmetic = SPEC_ARITHMETIC,
    upstream: bool = False,
    report: Callable[[str], None],
) -> list[Firing]:
    """Apply all passes to a graph, in place, and return what fired.

    Shape hints follow their blobs. GraphError where a pass meets weights that do not fit their layer.
    """
    hints = graph.blob_shapes()
    shapes = dict(hints) if upstream else infer_shapes(graph).shapes
    net = Rewriting(graph, arithmetic, shapes, report, upstream=upstream)
    for step in PASSES:
        step.run(net)
    graph.layers = net.alive()
    for layer in graph.layers:
        layer.hints = [hints.get(top) for top in layer.tops]
    return net.firings


def optimize(
    graph: Graph,
    *,
    arithmetic: Arithmetic = SPEC_ARITHMETIC,
    upstream: bool = False,
    report: Callable[[str], None],
    firings: list[Firing] | None = None,
) -> Graph:
    """Apply all passes, then write the inferred shapes of all blobs into the layers' hints. The graph changes in place.

    `report` gets the log lines of ncnn's tool, and a line for everything that was left alone on purpose. With
    `upstream` the result is what ncnn's tool writes, faults included. `firings` collects what was applied.
    """
    outputs = graph.output_names()
    fired = run_passes(graph, arithmetic=arithmetic, upstream=upstream, report=report)
    if firings is not None:
        firings += fired
    report_shape_inference(graph, upstream=upstream, report=report)
    made = graph.producers()
    report_memory(graph, [blob for blob in outputs if blob in made], report=report)
    return graph
