"""What the spec's layers refuse: each refusal names the layer and what was expected of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pytest

from spec.blob import Blob, float_blob, int8_blob, int32_blob
from spec.errors import GraphError
from spec.functions import expm1, or_nan, pow
from spec.graph import Graph, Layer
from spec.layer_table import ParamValue
from spec.layers.crop import copy_to
from spec.layers.interp import forward as interp
from spec.net import Net
from tests.layers_int8.build import codes, make, run

HUGE = 3.0e38


def zeros(*shape: int) -> Blob:
    return float_blob(shape, [0.0] * math.prod(shape))


class Refusal(NamedTuple):
    """A layer with bottoms that it does not take, and a part of what it says."""

    type: str
    params: Mapping[str, ParamValue]
    weights: Mapping[str, Sequence[float]]
    bottoms: Sequence[Blob]
    message: str
    tops: int = 1


def kernel1d(**params: ParamValue) -> dict[str, ParamValue]:
    return {"num_output": 2, "kernel_w": 2, "weight_data_size": 4, **params}


REFUSALS = [
    Refusal("Scale", {"scale_data_size": -233}, {}, [zeros(2)], "takes two bottom blobs, not 1"),
    Refusal("Scale", {"scale_data_size": 3}, {"scale_data": [1.0] * 3}, [zeros(2)], "has 3 channels, but"),
    Refusal("Bias", {"bias_data_size": 1}, {"bias_data": [1.0]}, [zeros(2, 1, 1)], "has 1 biases for 2 channels"),
    Refusal("Concat", {}, {}, [], "takes at least one bottom blob"),
    Refusal("Convolution", {"dynamic_weight": 1}, {}, [zeros(1, 2, 2)], "with dynamic_weight takes 2 bottom blobs"),
    Refusal(
        "Convolution",
        {"dynamic_weight": 1, "bias_term": 1},
        {},
        [zeros(1, 2, 2), zeros(2, 1, 1, 1), zeros(3)],
        "has 2 outputs, but a bias of 3",
    ),
    Refusal("Convolution1D", kernel1d(stride_w=0), {}, [zeros(1, 3)], "has stride_w 0, but needs at least 1"),
    Refusal(
        "Convolution1D", kernel1d(), {"weight_data": [0.0] * 4}, [zeros(2, 3)], "has 4 weights, but needs 2 x 2 x 2"
    ),
    Refusal("Convolution1D", kernel1d(), {"weight_data": [0.0] * 4}, [zeros(1, 1)], "longer than its padded rows of 1"),
    Refusal(
        "ConvolutionDepthWise1D",
        kernel1d(group=2),
        {"weight_data": [0.0] * 4},
        [zeros(3, 2)],
        "cannot divide 3 channels and 2 outputs into 2 groups",
    ),
    Refusal("Convolution1D", {"dynamic_weight": 1}, {}, [zeros(1, 2)], "with dynamic_weight takes 2 bottom blobs"),
    Refusal(
        "Convolution1D",
        {"dynamic_weight": 1, "bias_term": 1},
        {},
        [zeros(1, 2), zeros(2, 1, 1), zeros(1)],
        "has 2 outputs, but a bias of 1",
    ),
    Refusal("Crop", {}, {}, [], "takes at least one bottom blob"),
    Refusal("Crop", {"starts_expr": "1", "ends_expr": "2"}, {}, [zeros(4)], "but none for axes"),
    Refusal("Crop", {"starts": [1], "ends": [2], "axes": [0, 1]}, {}, [zeros(4, 4)], "has 1 starts, 1 ends and 2 axes"),
    Refusal("Crop", {"woffset": -233}, {}, [zeros(4), zeros(6)], "needs 6 int32 values of offsets and sizes"),
    Refusal("CopyTo", {}, {}, [zeros(2)], "takes two bottom blobs, not 1"),
    Refusal("CopyTo", {"starts": [1], "axes": [0, 1]}, {}, [zeros(2, 2), zeros(1, 1)], "has 1 starts and 2 axes"),
    Refusal("Deconvolution", {"dynamic_weight": 1}, {}, [zeros(1, 2, 2)], "with dynamic_weight takes 2 bottom blobs"),
    Refusal(
        "DeconvolutionDepthWise",
        {"dynamic_weight": 1, "group": 2},
        {},
        [zeros(3, 2, 2), zeros(3, 1, 1, 1)],
        "cannot divide 3 channels into 2 groups",
    ),
    Refusal(
        "Deconvolution",
        {"dynamic_weight": 1, "bias_term": 1},
        {},
        [zeros(1, 2, 2), zeros(1, 2, 1, 1), zeros(3)],
        "has 2 outputs, but a bias of 3",
    ),
    Refusal(
        "DeconvolutionDepthWise",
        {"num_output": 3, "kernel_w": 1, "weight_data_size": 2, "group": 2},
        {"weight_data": [0.0] * 2},
        [zeros(2, 2, 2)],
        "cannot divide 2 channels and 3 outputs into 2 groups",
    ),
    Refusal(
        "Deconvolution",
        {"num_output": 1, "kernel_w": 1, "weight_data_size": 2},
        {"weight_data": [0.0] * 2},
        [zeros(1, 2, 2)],
        "has 2 weights, but needs 1 x 1 x 1",
    ),
    Refusal("Deconvolution", {"num_output": 1, "kernel_w": 0}, {}, [zeros(1, 1, 1)], "has kernel_w 0, but needs"),
    Refusal(
        "Deconvolution",
        {"num_output": 1, "kernel_w": 3, "weight_data_size": 9, "output_w": 2, "output_h": 2},
        {"weight_data": [0.0] * 9},
        [zeros(1, 1, 1)],
        "no padding of -233 or -234 to say where to cut",
    ),
    Refusal("PriorBox", {"min_sizes": [1.0]}, {}, [], "takes at least one bottom blob"),
    Refusal("DetectionOutput", {"num_class": 2}, {}, [zeros(4)], "takes three bottom blobs, not 1"),
    Refusal("DetectionOutput", {"num_class": 2}, {}, [zeros(4), zeros(3), zeros(2, 4)], "has 1 priors of 2 classes"),
    Refusal("Eltwise", {"op_type": 1, "coeffs": [1.0]}, {}, [zeros(2)] * 2, "has 1 coefficients for 2 blobs"),
    Refusal(
        "Embed",
        {"num_output": 2, "input_dim": 2, "weight_data_size": 3},
        {"weight_data": [0.0] * 3},
        [int32_blob((1,), [0])],
        "has 3 weights for a table of 2 rows of 2",
    ),
    Refusal("Fold", {"kernel_w": 2, "output_w": 2, "output_h": 2}, {}, [zeros(3, 1)], "do not divide the 3 rows"),
    Refusal("Fold", {"kernel_w": 0, "output_w": 2, "output_h": 2}, {}, [zeros(3, 1)], "has kernel_w 0, but needs"),
    Refusal("Gemm", {}, {}, [zeros(2, 2)], "takes 2 or 3 bottom blobs, not 1"),
    Refusal("Gemm", {}, {}, [zeros(2, 2, 2), zeros(2, 2)], "takes matrices (rows, columns) or (rows, 1, columns)"),
    Refusal("GridSample", {"sample_type": 1}, {}, [zeros(1, 2, 2)], "takes two bottom blobs, not 1"),
    Refusal(
        "GridSample",
        {"sample_type": 1},
        {},
        [zeros(1, 2, 2), float_blob((1, 1, 2), [math.nan, 0.0])],
        "a coordinate that is not finite",
    ),
    Refusal("GridSample", {"sample_type": 3}, {}, [zeros(1, 2, 2, 2), zeros(1, 1, 1, 3)], "no cubics for volumes"),
    Refusal("Noop", {}, {}, [zeros(1)], "has 2 tops, but only 1 bottoms", tops=2),
    Refusal(
        "InnerProduct",
        {"num_output": 2, "weight_data_size": 3},
        {"weight_data": [0.0] * 3},
        [zeros(1)],
        "has 3 weights, which are not whole rows for 2 outputs",
    ),
    Refusal("Input", {}, {}, [], "blob top0 was not fed"),
    Refusal("Interp", {"resize_type": 2}, {}, [], "takes at least one bottom blob"),
    Refusal("Interp", {"resize_type": 2}, {}, [zeros(1, 1, 2, 2)], "takes a blob of 1 to 3 dims"),
    Refusal("Interp", {"resize_type": 2, "size_expr": "1,2,3"}, {}, [zeros(1, 2, 2)], "a size expression of 3 extents"),
    Refusal("Interp", {"resize_type": 2, "dynamic_target_size": 1}, {}, [zeros(1, 2, 2)], "takes two bottom blobs"),
    Refusal("MatMul", {}, {}, [zeros(2, 2)], "takes two bottom blobs, not 1"),
    Refusal("MatMul", {}, {}, [zeros(2, 1, 1), zeros(3, 1, 1)], "cannot broadcast batches (2,) and (3,)"),
    Refusal(
        "Normalize",
        {"scale_data_size": 2, "across_spatial": 1},
        {"scale_data": [1.0, 1.0]},
        [zeros(3, 1, 1)],
        "has 2 scales for 3 channels",
    ),
    Refusal(
        "Padding",
        {"per_channel_pad_data_size": 2, "left": 1},
        {"per_channel_pad_data": [0.0, 1.0]},
        [zeros(3, 1, 1)],
        "has constants for 2 channels, but its result has 3",
    ),
    Refusal("Pooling", {"adaptive_pooling": 1, "out_w": 0, "out_h": 1}, {}, [zeros(1, 2, 2)], "has an empty output"),
    Refusal("Pooling1D", {"adaptive_pooling": 1, "out_w": 0}, {}, [zeros(2, 2)], "has an empty output"),
    Refusal("PReLU", {"num_slope": 2}, {"slope_data": [0.5, 0.5]}, [zeros(3)], "has 2 slopes, but the outermost"),
    Refusal("Reshape", {"w": 1}, {}, [], "takes at least one bottom blob"),
    Refusal("Reshape", {"shape_expr": "1,1,1,1,1"}, {}, [zeros(1)], "a shape expression of 5 extents"),
    Refusal("ExpandDims", {"axes": [0, 0]}, {}, [zeros(2)], "names an axis twice"),
    Refusal("SDPA", {}, {}, [zeros(1, 1, 1)], "takes 3 bottom blobs, not 1"),
    Refusal(
        "SDPA",
        {"kv_cache": 1},
        {},
        [zeros(1, 1, 2), zeros(1, 1, 2), zeros(1, 1, 2), zeros(1, 1, 3), zeros(1, 1, 2)],
        "cannot extend a cache of shape (1, 1, 3) by (1, 1, 2)",
        tops=3,
    ),
    Refusal(
        "YoloDetectionOutput",
        {"num_class": 1, "num_box": 1, "biases": [1.0]},
        {},
        [zeros(6, 1, 1)],
        "has 1 biases for 1 boxes",
    ),
    Refusal("YoloDetectionOutput", {"num_class": 1, "num_box": 1}, {}, [zeros(5, 1, 1)], "needs 6 channels, but"),
    Refusal(
        "InnerProduct",
        {
            "num_output": 1,
            "weight_data_size": 1,
            "activation_type": 6,
            "activation_params": [0.0, 1.0],
        },
        {"weight_data": [1.0]},
        [zeros(1)],
        "has a hard swish of slope 0",
    ),
    Refusal("RNN", {"num_output": 0, "weight_data_size": 1}, {}, [zeros(1, 1)], "needs at least one unit"),
    Refusal("RNN", {"num_output": 2, "weight_data_size": 3}, {}, [zeros(1, 1)], "has 3 input weights, which are not"),
    Refusal(
        "RNN",
        {"num_output": 1, "weight_data_size": 131072, "int8_scale_term": 1},
        {"weight_xc_data": codes([1] * 131072), "weight_hc_data": codes([1])},
        [zeros(1, 1)],
        "sums more than 131071 products",
    ),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: f"{refusal.type}: {refusal.message}")
def test_refusals(refusal: Refusal) -> None:
    layer = make(refusal.type, refusal.params, refusal.weights, tops=refusal.tops)
    with pytest.raises(GraphError) as caught:
        run(layer, *refusal.bottoms)
    assert refusal.message in caught.value.message
    assert caught.value.layer == "under-test"


def attention(**params: ParamValue) -> Layer:
    weights: dict[str, Sequence[float]] = {f"{part}_weight_data": [1.0] * 4 for part in ("q", "k", "v", "out")}
    weights |= {f"{part}_bias_data": [0.0] * 2 for part in ("q", "k", "v", "out")}
    return make("MultiHeadAttention", {"embed_dim": 2, "num_heads": 1, "weight_data_size": 4, **params}, weights)


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (attention(), [zeros(1, 2), zeros(3, 2), zeros(2, 2)], "has 3 keys, but 2 values"),
        (attention(attn_mask=1), [zeros(1, 2)], "takes 1 to 3 inputs besides its mask and caches, not 0"),
        (attention(weight_data_size=3), [zeros(1, 2)], "has weight_data_size 3, no multiple of 2"),
    ],
)
def test_attention_refuses(layer: Layer, bottoms: list[Blob], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        run(layer, *bottoms)


def test_a_blob_that_no_layer_makes() -> None:
    graph = Graph([Layer("Noop", "n", ["x"], ["y"])])
    with Net.from_graph(graph).create_extractor() as extractor, pytest.raises(GraphError, match="blob x must be fed"):
        extractor.extract("y")


def test_copying_with_starts_from_the_end() -> None:
    """Starts count from the end if they are negative; -233 stands for 0."""
    layer = make("CopyTo", {"starts": [-2, -233], "axes": [1, 0]})
    (out,) = copy_to(layer, [zeros(2, 3), float_blob((1, 2), [7.0, 8.0])])
    assert out.tolist() == [[0.0, 7.0, 8.0], [0.0, 0.0, 0.0]]
    (out,) = copy_to(make("CopyTo", {"starts": [1, 2]}), [zeros(2, 3), float_blob((1, 1), [7.0])])
    assert out.tolist() == [[0.0, 0.0, 0.0], [0.0, 0.0, 7.0]]


def test_resizing_to_the_own_size_changes_nothing() -> None:
    for shape in ((2, 3), (1, 2, 3)):
        blob = float_blob(shape, [float(i) for i in range(6)])
        layer = make("Interp", {"resize_type": 2, "output_width": 3, "output_height": 2})
        assert interp(layer, [blob]) == [blob]


def test_an_output_size_is_cut_off_at_the_lower_end_or_the_upper() -> None:
    """Deconvolution of one pixel by 3 weights to 2 columns: -233 keeps the first, -234 the last of an odd cut."""
    for pad, expected in ((-233, [1.0, 2.0]), (-234, [2.0, 3.0])):
        params = {"num_output": 1, "kernel_w": 3, "kernel_h": 1, "weight_data_size": 3, "output_w": 2, "output_h": 1}
        layer = make("Deconvolution", {**params, "pad_left": pad}, {"weight_data": [1.0, 2.0, 3.0]})
        (out,) = run(layer, float_blob((1, 1, 1), [1.0]))
        assert out.values == expected


def test_normalize_over_nothing_changes_nothing() -> None:
    """Neither over space nor over channels: the blob itself, and the scale is not asked for."""
    blob = float_blob((2, 1, 1), [3.0, 4.0])
    assert run(make("Normalize", {"across_spatial": 0, "across_channel": 0}), blob) == [blob]


def test_layer_norm_over_rows_and_columns_of_each_slice() -> None:
    """affine_size h * w of a 4-D blob: the two values of each slice become -1 and 1, whatever their channel."""
    layer = make("LayerNorm", {"affine_size": 2, "affine": 0, "eps": 0.0})
    (out,) = run(layer, float_blob((1, 2, 2, 1), [1.0, 3.0, 5.0, 9.0]))
    assert out.values == [-1.0, 1.0, -1.0, 1.0]


def test_functions_beyond_the_range() -> None:
    assert expm1(1e9) == math.inf
    assert [pow(-HUGE, 31.0), pow(-HUGE, 30.0), pow(HUGE, 30.0)] == [-math.inf, math.inf, math.inf]
    assert [or_nan(math.sinh, x) for x in (1e9, -1e9)] == [math.inf, -math.inf]


def test_int8_blobs_are_no_floats() -> None:
    with pytest.raises(GraphError, match="under-test"):
        run(make("Scale", {"scale_data_size": 1}, {"scale_data": [1.0]}), int8_blob((1,), [1]))
