"""The ten vectors that were printed from a strict build of ncnn's portable layers (commit a4d2ea1d)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from spec.binary32 import f32
from spec.blob import Blob, int32_blob
from spec.graph import Layer
from spec.layer_table import ParamValue
from spec.rounding import float_to_int8
from tests.layers_int8.build import blob, make, pattern, pattern_codes, pattern_floats, run


def printed(text: str) -> list[float]:
    """Nine digits identify a binary32 number."""
    return [f32(float(word)) for word in text.split()]


def integers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def convolution(**params: ParamValue) -> Layer:
    weights: dict[str, Sequence[float]] = {
        "weight_data": pattern_codes(36, 37, 11),
        "bias_data": [0.5, -0.25],
        "weight_data_int8_scales": [55.5, 61.25],
        "bottom_blob_int8_scales": [40.0],
        "top_blob_int8_scales": [9.5],
    }
    geometry: dict[str, ParamValue] = {
        "num_output": 2,
        "kernel_w": 3,
        "stride_w": 2,
        "stride_h": 1,
        "pad_left": 1,
        "weight_data_size": 36,
    }
    return make("Convolution", geometry | {"bias_term": 1} | params, weights)


IMAGE = blob((2, 4, 4), pattern_floats(32, 5, 2, 13, 4))


def test_v1_convolution_with_float_output() -> None:
    (out,) = run(convolution(int8_scale_term=1), IMAGE)
    assert out.shape == (2, 4, 2)
    assert out.values == printed(
        "-2.84684682 -4.27477503 6.09009027 5.98648643 -3.9954958 -5.00450468 5.12162161 6.63513517 "
        "3.77040815 1.20306122 -3.51122451 2.75 1.57857144 5.85612249 -1.60918367 1.08469391"
    )


def test_v1_convolution_with_int8_output() -> None:
    (out,) = run(convolution(int8_scale_term=101, activation_type=2, activation_params=[0.125]), IMAGE)
    assert out.dtype == "int8"
    assert out.values == integers("-3 -5 58 57 -5 -6 49 63 36 11 -4 26 15 56 -2 10")


def test_v2_grouped_convolution() -> None:
    layer = make(
        "ConvolutionDepthWise",
        {"num_output": 4, "kernel_w": 2, "weight_data_size": 16, "group": 2, "int8_scale_term": 1},
        {
            "weight_data": pattern_codes(16, 41, 7),
            "weight_data_int8_scales": [50.0, 70.0],
            "bottom_blob_int8_scales": [42.0],
        },
    )
    (out,) = run(layer, blob((2, 3, 3), pattern_floats(18, 5, 2, 13, 4)))
    assert out.shape == (4, 2, 2)
    assert out.values == printed(
        "2.41190481 -3.65333319 0.0719047636 -0.839523792 -3.03571415 6.92142868 -1.36571431 3.0461905 "
        "-0.79285717 0.813945591 -0.378571421 1.22619045 2.32857156 -1.4003402 1.96428573 -1.7976191"
    )


def test_v3_inner_product_row_by_row() -> None:
    layer = make(
        "InnerProduct",
        {"num_output": 3, "bias_term": 1, "weight_data_size": 12, "int8_scale_term": 2, "activation_type": 4},
        {
            "weight_data": pattern_codes(12, 29, 5),
            "bias_data": [0.1, 0.2, 0.3],
            "weight_data_int8_scales": [33.0, 44.0, 55.0],
            "bottom_blob_int8_scales": [40.0],
        },
    )
    (out,) = run(layer, blob((2, 4), pattern_floats(8, 5, 2, 13, 4)))
    assert out.shape == (2, 3)
    assert out.values == printed("0.67120415 0.789068222 0.0167456847 0.383254409 0.85137856 0.957636535")


def recurrent(type: str, gates: int, bias_rows: int, direction: int, hidden_size: int = 2) -> list[Blob]:
    """N = 2 outputs over three input rows, the second of which is all zeros."""
    directions = 2 if direction == 2 else 1
    rows = directions * gates * hidden_size
    weights: dict[str, Sequence[float]] = {
        "weight_xc_data": pattern_codes(rows * 3, 37, 11),
        "bias_c_data": pattern_floats(directions * bias_rows * hidden_size, 7, 3, 11, 16),
        "weight_hc_data": pattern_codes(rows * 2, 29, 5),
        "weight_xc_data_int8_scales": [100.0 + 10.0 * i for i in range(rows)],
        "weight_hc_data_int8_scales": [120.0 + 5.0 * i for i in range(rows)],
    }
    params = {"num_output": 2, "weight_data_size": rows * 3, "direction": direction, "int8_scale_term": 1}
    if hidden_size != 2:
        params["hidden_size"] = hidden_size
        weights["weight_hr_data"] = pattern_floats(directions * 2 * hidden_size, 3, 1, 7, 8)
    values = pattern_floats(9, 5, 2, 13, 4)
    values[3:6] = [0.0, 0.0, 0.0]
    return run(make(type, params, weights), blob((3, 3), values))


def test_v4_rnn() -> None:
    assert recurrent("RNN", 1, 1, 0)[0].values == pytest.approx(
        printed("0.210430771 0.878964722 -0.768759489 -0.0398952365 0.0160827469 0.545804381"), abs=2.4e-7, rel=0
    )


def test_v4_rnn_in_both_directions() -> None:
    (out,) = recurrent("RNN", 1, 1, 2)
    assert out.shape == (3, 4)
    assert out.values == pytest.approx(
        printed(
            "0.210430771 0.878964722 -0.97008425 0.188590974 -0.768759489 -0.0398952365 0.0202757474 -0.561798215 "
            "0.0160827469 0.545804381 -0.562612236 -0.383590251"
        ),
        abs=2.4e-7,
        rel=0,
    )


def test_v4_lstm() -> None:
    assert recurrent("LSTM", 4, 4, 0)[0].values == pytest.approx(
        printed("0.0716802105 0.194090158 0.0352816395 0.140865535 -0.0245841015 0.0285716709"), abs=2.4e-7, rel=0
    )


def test_v4_lstm_with_projection_backwards() -> None:
    assert recurrent("LSTM", 4, 4, 1, hidden_size=3)[0].values == pytest.approx(
        printed("0.140629038 0.102645516 0.0181600321 0.0128823482 -0.0225910079 -0.0135217067"), abs=2.4e-7, rel=0
    )


def test_v4_gru() -> None:
    assert recurrent("GRU", 3, 4, 0)[0].values == pytest.approx(
        printed("-0.77413851 0.19991833 -0.585983515 0.293859571 0.353968799 0.0874539837"), abs=2.4e-7, rel=0
    )


def test_v4_gru_in_both_directions() -> None:
    (out,) = recurrent("GRU", 3, 4, 2)
    assert out.shape == (3, 4)
    assert out.values == pytest.approx(
        printed(
            "-0.77413851 0.19991833 0.210845947 -0.455082268 -0.585983515 0.293859571 0.0981084555 0.347191483 "
            "0.353968799 0.0874539837 0.0511188321 0.528583944"
        ),
        abs=2.4e-7,
        rel=0,
    )


def test_v5_embed_clamps_ids() -> None:
    layer = make(
        "Embed",
        {"num_output": 4, "input_dim": 3, "bias_term": 1, "weight_data_size": 12, "int8_scale_term": 2},
        {
            "weight_data": pattern_codes(12, 31, 9),
            "bias_data": [0.125, 0.25, 0.375, 0.5],
            "weight_data_int8_scale": [37.5],
        },
    )
    (out,) = run(layer, int32_blob((4,), [2, -1, 7, 1]))
    assert out.shape == (4, 4)
    assert out.values == printed(
        "-3.20833349 -2.25666666 -1.30500007 -0.353333354 -3.02166677 -2.07000017 -1.11833334 -0.166666687 "
        "-3.20833349 -2.25666666 -1.30500007 -0.353333354 0.284999996 1.23666668 2.18833351 3.1400001"
    )


def test_v6_gemm() -> None:
    layer = make(
        "Gemm",
        {
            "alpha": 0.75,
            "beta": -2.0,
            "transB": 1,
            "constantB": 1,
            "constantC": 1,
            "constantN": 4,
            "constantK": 3,
            "constant_broadcast_type_C": 4,
            "quantize_term": 2,
        },
        {
            "B_data": pattern_codes(12, 31, 9),
            "C_data": pattern_floats(4, 7, 3, 11, 16),
            "B_data_int8_scale": [25.5],
        },
    )
    (out,) = run(layer, blob((2, 3), pattern_floats(6, 5, 2, 13, 4)))
    assert out.shape == (2, 4)
    assert out.values == printed(
        "0.566494882 1.94556212 -6.89412022 1.1854881 2.07436895 -1.32794404 5.67599297 1.45945752"
    )


def test_v7_sdpa() -> None:
    (out,) = run(
        make("SDPA", {"attn_mask": 1, "int8_scale_term": 2}),
        blob((2, 2, 4), pattern_floats(16, 5, 2, 13, 4)),
        blob((1, 3, 4), pattern_floats(12, 7, 1, 17, 8)),
        blob((1, 3, 3), pattern_floats(9, 3, 4, 11, 4)),
        blob((2, 3), pattern_floats(6, 4, 1, 7, 2)),
    )
    assert out.shape == (2, 2, 3)
    assert out.values == printed(
        "-0.632400632 0.116777748 0.865956128 -0.559683383 0.189330682 0.938344777 "
        "-0.904829383 -0.155106932 0.594615579 -0.575318336 0.170938522 0.91719538"
    )


def test_v8_multi_head_attention() -> None:
    weights: dict[str, Sequence[float]] = {}
    for j, part in enumerate("qkv"):
        weights[f"{part}_weight_data"] = pattern_codes(16, 37, 11 + j)
        weights[f"{part}_bias_data"] = pattern_floats(4, 7, 3 + j, 11, 16)
        weights[f"{part}_weight_data_int8_scales"] = [90.0 + j + 10.0 * i for i in range(4)]
    weights["out_weight_data"] = pattern_codes(16, 29, 5)
    weights["out_bias_data"] = pattern_floats(4, 7, 6, 11, 16)
    weights["out_weight_data_int8_scale"] = [110.0]
    params = {"embed_dim": 4, "num_heads": 2, "weight_data_size": 16, "quantize_term": 2}
    (out,) = run(make("MultiHeadAttention", params, weights), blob((3, 4), pattern_floats(12, 5, 2, 13, 4)))
    assert out.shape == (3, 4)
    assert out.values == printed(
        "-1.69400489 -0.640401781 -0.809751511 -0.711374819 1.45785606 -1.4041518 "
        "3.04099894 -0.698753715 0.0526448861 0.38785094 1.82939935 0.459318697"
    )


def test_v9_requantize() -> None:
    layer = make(
        "Requantize",
        {
            "scale_in_data_size": 2,
            "scale_out_data_size": 2,
            "bias_data_size": 2,
            "activation_type": 3,
            "activation_params": [-3.0, 4.0],
        },
        {"scale_in_data": [0.001, 0.002], "scale_out_data": [20.0, 9.0], "bias_data": [0.5, -0.5]},
    )
    (out,) = run(layer, int32_blob((2, 3), [100 * value for value in pattern(6, 37, 11, 255)]))
    assert out.dtype == "int8"
    assert out.values == integers("-60 -60 -60 -14 36 36")


def test_v10_float_to_int8() -> None:
    values = printed("0.49999997 0.5 -0.5 1.5 2.5 -2.5 126.49999 126.5 127.49 -127.6 -128 200")
    assert [float_to_int8(value) for value in values] == integers("0 1 -1 2 3 -3 126 127 127 -127 -127 127")
