"""What the layers refuse, with an error that names the layer, and what they take with a warning."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import pytest

from spec.blob import Blob, int8_blob, int32_blob
from spec.errors import GraphError, UnsupportedError
from spec.layer_table import ParamValue
from tests.layers_int8.build import blob, check, codes, make, run

Params = dict[str, ParamValue]
Weights = dict[str, Sequence[float]]

CONVOLUTION: Params = {"num_output": 1, "kernel_w": 2, "weight_data_size": 4, "int8_scale_term": 1}
CONVOLUTION_WEIGHTS: Weights = {
    "weight_data": codes([1, 2, 3, 4]),
    "weight_data_int8_scales": [2.0],
    "bottom_blob_int8_scales": [4.0],
    "top_blob_int8_scales": [8.0],
}
IMAGE = int8_blob((1, 2, 2), [1, 2, 3, 4])

INNER_PRODUCT: Params = {"num_output": 1, "weight_data_size": 4, "int8_scale_term": 2}

RNN: Params = {"num_output": 1, "weight_data_size": 2, "int8_scale_term": 2}
RNN_WEIGHTS: Weights = {
    "weight_xc_data": codes([1, 2]),
    "bias_c_data": [0.0],
    "weight_hc_data": codes([1]),
    "weight_xc_data_int8_scales": [2.0],
    "weight_hc_data_int8_scales": [2.0],
}

EMBED: Params = {"num_output": 1, "input_dim": 2, "weight_data_size": 2, "int8_scale_term": 2}
EMBED_WEIGHTS: Weights = {"weight_data": codes([1, 2]), "weight_data_int8_scale": [4.0]}

GEMM: Params = {"constantB": 1, "constantN": 2, "constantK": 2, "transB": 1, "quantize_term": 2}
GEMM_WEIGHTS: Weights = {"B_data": codes([1, 2, 3, 4]), "B_data_int8_scale": [4.0]}

REQUANTIZE_WEIGHTS: Weights = {"scale_in_data": [1.0], "scale_out_data": [1.0]}


def mha(params: Params, weights: Weights) -> tuple[str, Params, Weights]:
    full: Weights = {}
    for part in ("q", "k", "v", "out"):
        suffix = "scale" if part == "out" else "scales"
        full[f"{part}_weight_data"] = codes([1, 2, 3, 4])
        full[f"{part}_bias_data"] = [0.0, 0.0]
        full[f"{part}_weight_data_int8_{suffix}"] = [4.0] if part == "out" else [4.0, 4.0]
    return "MultiHeadAttention", {"embed_dim": 2, "weight_data_size": 4, "quantize_term": 2} | params, full | weights


AT_LOAD: list[tuple[str, tuple[str, Params, Weights], str]] = [
    (
        "zero bottom scale",
        ("Convolution", CONVOLUTION, CONVOLUTION_WEIGHTS | {"bottom_blob_int8_scales": [0.0]}),
        "NaN",
    ),
    (
        "bottom scale that is not a number",
        ("InnerProduct", INNER_PRODUCT, CONVOLUTION_WEIGHTS | {"bottom_blob_int8_scales": [math.nan]}),
        "NaN",
    ),
    (
        "weight scale that is not a number",
        ("Convolution", CONVOLUTION, CONVOLUTION_WEIGHTS | {"weight_data_int8_scales": [math.nan]}),
        "not a number",
    ),
    (
        "infinite top scale",
        (
            "Convolution",
            CONVOLUTION | {"int8_scale_term": 101},
            CONVOLUTION_WEIGHTS | {"top_blob_int8_scales": [math.inf]},
        ),
        "finite",
    ),
    ("dynamic weights in int8", ("Convolution", CONVOLUTION | {"dynamic_weight": 1}, {}), "dynamic_weight"),
    (
        "codes without a term",
        ("Convolution", CONVOLUTION | {"int8_scale_term": 0}, CONVOLUTION_WEIGHTS),
        "int8_scale_term",
    ),
    ("pad value beyond int8", ("Convolution", CONVOLUTION | {"pad_value": 128.0}, CONVOLUTION_WEIGHTS), "no int8 code"),
    (
        "unknown activation",
        ("Convolution", CONVOLUTION | {"activation_type": 7}, CONVOLUTION_WEIGHTS),
        "activation_type 7",
    ),
    ("activation without its parameters", ("InnerProduct", INNER_PRODUCT | {"activation_type": 3}, {}), "needs 2"),
    ("part of a kernel", ("Convolution", CONVOLUTION | {"kernel_w": 3}, CONVOLUTION_WEIGHTS), "no multiple of 9"),
    ("stride of nothing", ("Convolution", CONVOLUTION | {"stride_h": 0}, CONVOLUTION_WEIGHTS), "stride_h 0"),
    (
        "groups that do not divide the outputs",
        ("ConvolutionDepthWise", CONVOLUTION | {"group": 2}, CONVOLUTION_WEIGHTS),
        "do not divide its 1 outputs",
    ),
    ("depthwise term 3", ("ConvolutionDepthWise", CONVOLUTION | {"int8_scale_term": 3}, CONVOLUTION_WEIGHTS), "term 3"),
    (
        "sums that may overflow",
        (
            "InnerProduct",
            INNER_PRODUCT | {"weight_data_size": 131072},
            CONVOLUTION_WEIGHTS | {"weight_data": codes([127] * 131072)},
        ),
        "only safe for 131071",
    ),
    ("recurrent scale 0", ("RNN", RNN, RNN_WEIGHTS | {"weight_hc_data_int8_scales": [0.0]}), "scale of 0"),
    (
        "recurrent floats in int8",
        ("RNN", RNN, RNN_WEIGHTS | {"weight_xc_data": [1.0, 2.0]}),
        "floats in weight_xc_data",
    ),
    ("recurrent codes in float", ("RNN", RNN | {"int8_scale_term": 0}, RNN_WEIGHTS), "no int8_scale_term"),
    ("direction 3", ("RNN", RNN | {"direction": 3}, RNN_WEIGHTS), "direction 3"),
    ("embed scale 0", ("Embed", EMBED, EMBED_WEIGHTS | {"weight_data_int8_scale": [0.0]}), "scale of 0"),
    ("embed floats in int8", ("Embed", EMBED, EMBED_WEIGHTS | {"weight_data": [1.0, 2.0]}), "float32 weights"),
    ("gemm scale 0", ("Gemm", GEMM, GEMM_WEIGHTS | {"B_data_int8_scale": [0.0]}), "other than 0"),
    ("gemm floats in int8", ("Gemm", GEMM, GEMM_WEIGHTS | {"B_data": [1.0, 2.0, 3.0, 4.0]}), "float32 weights"),
    ("gemm without sizes", ("Gemm", GEMM | {"constantK": 0}, GEMM_WEIGHTS), "no constantK"),
    ("gemm reserved term", ("Gemm", GEMM | {"quantize_term": 5}, GEMM_WEIGHTS), "quantize_term 5"),
    (
        "gemm broadcast type 5",
        ("Gemm", GEMM | {"constantC": 1, "constant_broadcast_type_C": 5}, GEMM_WEIGHTS),
        "constant_broadcast_type_C 5",
    ),
    ("heads that do not divide", mha({"num_heads": 3}, {}), "do not divide embed_dim 2"),
    ("attention scale 0", mha({}, {"q_weight_data_int8_scales": [1.0, 0.0]}), "other than 0"),
    ("attention floats in int8", mha({}, {"k_weight_data": [1.0, 2.0, 3.0, 4.0]}), "float32 weights"),
    ("infinite scale of Quantize", ("Quantize", {}, {"scale_data": [math.inf]}), "finite"),
    ("infinite scale of Requantize", ("Requantize", {}, REQUANTIZE_WEIGHTS | {"scale_out_data": [math.inf]}), "finite"),
    ("cast to int8", ("Cast", {"type_from": 1, "type_to": 3}, {}), "use Quantize"),
    ("negative border", ("Padding", {"left": -1}, {}), "negative border"),
    ("unknown kind of border", ("Padding", {"type": 3}, {}), "type 3"),
]


@pytest.mark.parametrize(("made", "message"), [case[1:] for case in AT_LOAD], ids=[case[0] for case in AT_LOAD])
def test_refused_when_the_network_is_loaded(made: tuple[str, Params, Weights], message: str) -> None:
    with pytest.raises(GraphError, match=f"layer under-test: .*{message}"):
        check(make(*made))


@pytest.mark.parametrize(
    "made",
    [
        ("Convolution", CONVOLUTION, CONVOLUTION_WEIGHTS),
        ("ConvolutionDepthWise", CONVOLUTION, CONVOLUTION_WEIGHTS),
        ("InnerProduct", INNER_PRODUCT, CONVOLUTION_WEIGHTS),
        ("RNN", RNN, RNN_WEIGHTS),
        ("Embed", EMBED, EMBED_WEIGHTS),
        ("Gemm", GEMM, GEMM_WEIGHTS),
        mha({}, {}),
        ("Requantize", {}, REQUANTIZE_WEIGHTS),
    ],
    ids=lambda made: made[0],
)
def test_without_the_fault_the_same_layers_load(made: tuple[str, Params, Weights]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(make(*made))


@pytest.mark.parametrize(
    "made", [("Gemm", GEMM | {"quantize_term": 420}, GEMM_WEIGHTS), mha({"quantize_term": 800}, {})]
)
def test_block_quantized_weights_are_known_and_not_supported(made: tuple[str, Params, Weights]) -> None:
    with pytest.raises(UnsupportedError, match="block-quantized"):
        check(make(*made))


@pytest.mark.parametrize(("type_from", "type_to"), [(1, 2), (4, 1)])
def test_16_bit_casts_are_known_and_not_supported(type_from: int, type_to: int) -> None:
    with pytest.raises(UnsupportedError, match="16-bit"):
        check(make("Cast", {"type_from": type_from, "type_to": type_to}))


AT_RUN: list[tuple[str, tuple[str, Params, Weights], list[Blob], str]] = [
    ("1-D image", ("Convolution", CONVOLUTION, CONVOLUTION_WEIGHTS), [int8_blob((4,), [1] * 4)], "takes an image"),
    ("int32 image", ("Convolution", CONVOLUTION, CONVOLUTION_WEIGHTS), [int32_blob((1, 2, 2), [1] * 4)], "int32"),
    ("NaN", ("Convolution", CONVOLUTION, CONVOLUTION_WEIGHTS), [blob((1, 2, 2), [math.nan] * 4)], "NaN"),
    ("infinity", ("InnerProduct", INNER_PRODUCT, CONVOLUTION_WEIGHTS), [blob((4,), [math.inf] * 4)], "infinities"),
    ("other channels", ("Convolution", CONVOLUTION, CONVOLUTION_WEIGHTS), [int8_blob((2, 2, 2), [1] * 8)], "has 2"),
    (
        "channels that groups do not divide",
        (
            "ConvolutionDepthWise",
            CONVOLUTION | {"num_output": 2, "group": 2, "kernel_w": 1, "int8_scale_term": 2},
            CONVOLUTION_WEIGHTS,
        ),
        [int8_blob((3, 2, 2), [1] * 12)],
        "do not divide the 3 channels",
    ),
    ("small image", ("Convolution", CONVOLUTION, CONVOLUTION_WEIGHTS), [int8_blob((1, 1, 2), [1] * 2)], "extent 2 x 2"),
    (
        "SAME padding with a negative axis",
        (
            "Convolution",
            CONVOLUTION | {"kernel_w": 1, "kernel_h": 4, "stride_w": 2, "stride_h": 1} | {"pad_left": -233},
            CONVOLUTION_WEIGHTS,
        ),
        [int8_blob((1, 4, 4), [1] * 16)],
        "negative",
    ),
    ("other inputs", ("InnerProduct", INNER_PRODUCT, CONVOLUTION_WEIGHTS), [int8_blob((5,), [1] * 5)], "has 5"),
    ("two bottoms", ("InnerProduct", INNER_PRODUCT, CONVOLUTION_WEIGHTS), [IMAGE, IMAGE], "one bottom blob"),
    ("int8 rows", ("RNN", RNN, RNN_WEIGHTS), [int8_blob((1, 2), [1, 2])], "float32"),
    ("rows of another width", ("RNN", RNN, RNN_WEIGHTS), [blob((1, 3), [1.0] * 3)], r"rows \(T, 2\)"),
    ("state of another width", ("RNN", RNN, RNN_WEIGHTS), [blob((1, 2), [1.0] * 2), blob((1, 2), [0.0] * 2)], "state"),
    ("two states for RNN", ("RNN", RNN, RNN_WEIGHTS), [blob((1, 2), [1.0] * 2)] * 3, "bottom blobs"),
    ("NaN row", ("RNN", RNN, RNN_WEIGHTS), [blob((1, 2), [1.0, math.nan])], "NaN"),
    ("float ids", ("Embed", EMBED, EMBED_WEIGHTS), [blob((2,), [0.0, 1.0])], "int32 ids"),
    ("gemm of other sizes", ("Gemm", GEMM, GEMM_WEIGHTS), [blob((1, 3), [1.0] * 3)], "rows of 3 values"),
    (
        "gemm C that fits nowhere",
        ("Gemm", GEMM, GEMM_WEIGHTS),
        [blob((1, 2), [1.0] * 2), blob((3,), [1.0] * 3)],
        "spread C",
    ),
    ("gemm 3-D C", ("Gemm", GEMM, GEMM_WEIGHTS), [blob((1, 2), [1.0] * 2), blob((1, 1, 2), [1.0] * 2)], "spread C"),
    ("gemm int8 A", ("Gemm", GEMM, GEMM_WEIGHTS), [int8_blob((1, 2), [1, 2])], "float32"),
    ("attention of another width", mha({}, {}), [blob((1, 3), [1.0] * 3)], "as q"),
    (
        "attention cache of another width",
        mha({"kv_cache": 1}, {}),
        [blob((1, 2), [1.0] * 2)] + [blob((3, 1), [1.0] * 3)] * 2,
        "cache",
    ),
    (
        "attention mask of another size",
        mha({"attn_mask": 1}, {}),
        [blob((1, 2), [1.0] * 2), blob((2, 2), [0.0] * 4)],
        "mask",
    ),
    (
        "every key masked",
        mha({"attn_mask": 1}, {}),
        [blob((1, 2), [1.0] * 2), blob((1, 1), [-math.inf])],
        "NaN",
    ),
    (
        "sdpa groups",
        ("SDPA", {"int8_scale_term": 2}, {}),
        [blob((3, 1, 1), [1.0] * 3)] + [blob((2, 1, 1), [1.0] * 2)] * 2,
        "attend",
    ),
    ("int32 of Quantize", ("Quantize", {}, {"scale_data": [1.0]}), [int32_blob((1,), [1])], "int32"),
    ("two scales of three", ("Quantize", {}, {"scale_data": [1.0] * 2}), [blob((3, 1), [1.0] * 3)], "extent"),
    ("floats of Dequantize", ("Dequantize", {}, {"scale_data": [1.0]}), [blob((1,), [1.0])], "int32 sums"),
    ("floats of Requantize", ("Requantize", {}, REQUANTIZE_WEIGHTS), [blob((1,), [1.0])], "int32 sums"),
    ("Cast of another type", ("Cast", {"type_from": 3, "type_to": 1}, {}), [blob((1,), [1.0])], "casts from int8"),
    ("mirror image of too much", ("Padding", {"left": 2, "type": 2}, {}), [blob((2,), [1.0, 2.0])], "mirrors 2"),
    ("fill that is no code", ("Padding", {"left": 1, "value": 200.0}, {}), [IMAGE], "no int8 code"),
    ("int32 border", ("Padding", {"left": 1}, {}), [int32_blob((1,), [1])], "int32"),
]


@pytest.mark.parametrize(
    ("made", "bottoms", "message"), [case[1:] for case in AT_RUN], ids=[case[0] for case in AT_RUN]
)
def test_refused_when_the_layer_runs(made: tuple[str, Params, Weights], bottoms: list[Blob], message: str) -> None:
    with pytest.raises(GraphError, match=f"layer under-test: .*{message}"):
        run(make(*made), *bottoms)


def test_more_terms_than_an_accumulator_holds_are_refused_at_run_time_too() -> None:
    layer = make("Gemm", {"quantize_term": 2, "transB": 1})
    long = blob((1, 131072), [1.0] * 131072)
    with pytest.raises(GraphError, match="only safe for 131071"):
        run(layer, long, long)


@pytest.mark.parametrize(("bottoms", "tops"), [(2, 1), (1, 2), (4, 1)])
def test_lstm_has_both_states_or_none(bottoms: int, tops: int) -> None:
    weights: Weights = {
        "weight_xc_data": codes([1] * 4),
        "bias_c_data": [0.0] * 4,
        "weight_hc_data": codes([1] * 4),
        "weight_xc_data_int8_scales": [2.0] * 4,
        "weight_hc_data_int8_scales": [2.0] * 4,
    }
    layer = make("LSTM", {"num_output": 1, "weight_data_size": 4, "int8_scale_term": 1}, weights, tops=tops)
    with pytest.raises(GraphError, match=r"bottom blobs|tops"):
        run(layer, *[blob((1, 1), [1.0])] * bottoms)


def test_a_pad_value_goes_in_unscaled_and_warns() -> None:
    layer = make(
        "Convolution",
        CONVOLUTION | {"kernel_w": 1, "pad_left": 1, "weight_data_size": 1, "pad_value": -2.7},
        CONVOLUTION_WEIGHTS | {"weight_data": codes([4])},
    )
    with pytest.warns(UserWarning, match="unscaled"):
        (out,) = run(layer, int8_blob((1, 1, 1), [6]))
    assert out.tolist() == [[[-1.0, -1.0, -1.0], [-1.0, 3.0, -1.0], [-1.0, -1.0, -1.0]]]


def test_an_infinite_bottom_scale_leaves_the_bias_and_warns() -> None:
    weights = CONVOLUTION_WEIGHTS | {"bottom_blob_int8_scales": [math.inf], "bias_data": [0.75]}
    layer = make("Convolution", CONVOLUTION | {"bias_term": 1}, weights)
    with pytest.warns(UserWarning, match="infinite"):
        (out,) = run(layer, blob((1, 2, 2), [1.0, -2.0, 3.0, 0.0]))
    assert out.values == [0.75]


@pytest.mark.parametrize("weight_scale", [0.0, math.inf])
def test_a_weight_scale_of_zero_or_infinity_leaves_the_bias(weight_scale: float) -> None:
    weights = CONVOLUTION_WEIGHTS | {"weight_data_int8_scales": [weight_scale], "bias_data": [-0.5]}
    for type in ("Convolution", "ConvolutionDepthWise", "InnerProduct"):
        params = INNER_PRODUCT if type == "InnerProduct" else CONVOLUTION
        (out,) = run(make(type, params | {"bias_term": 1}, weights), IMAGE)
        assert out.values == [-0.5]


def test_minus_128_counts_as_itself() -> None:
    (out,) = run(make("InnerProduct", INNER_PRODUCT, CONVOLUTION_WEIGHTS), int8_blob((4,), [-128, 0, 0, 0]))
    assert out.values == [-16.0]


@pytest.mark.parametrize("term", [1, 2, 101, 102, 7, -1])
def test_inner_product_is_the_same_for_every_term(term: int) -> None:
    (out,) = run(make("InnerProduct", INNER_PRODUCT | {"int8_scale_term": term}, CONVOLUTION_WEIGHTS), IMAGE)
    assert (out.dtype, out.values) == ("float32", [30 / 8])


@pytest.mark.parametrize(
    ("term", "dtype"), [(1, "float32"), (100, "float32"), (-1, "float32"), (101, "int8"), (202, "int8")]
)
def test_convolution_gives_int8_above_term_100(term: int, dtype: str) -> None:
    (out,) = run(make("Convolution", CONVOLUTION | {"int8_scale_term": term}, CONVOLUTION_WEIGHTS), IMAGE)
    assert (out.dtype, out.values) == (dtype, [30] if dtype == "int8" else [3.75])


def test_a_1d_c_of_a_square_gemm_counts_by_columns() -> None:
    layer = make("Gemm", {"quantize_term": 2})
    (out,) = run(layer, blob((2, 2), [0.0] * 4), blob((2, 2), [0.0] * 4), blob((2,), [1.0, 2.0]))
    assert out.tolist() == [[1.0, 2.0], [1.0, 2.0]]


def test_a_wholly_masked_float_row_is_nan() -> None:
    layer = make("SDPA", {"attn_mask": 1})
    (out,) = run(layer, *[blob((1, 1, 1), [1.0])] * 3, blob((1, 1), [-math.inf]))
    assert math.isnan(out.floats()[0])
