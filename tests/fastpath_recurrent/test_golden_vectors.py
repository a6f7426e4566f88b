"""The vectors by hand: strict generic build, printed with nine digits."""

from __future__ import annotations

import numpy as np
import pytest

from fastpath.layers import embed, gemm, gru, lstm, multi_head_attention, rnn, sdpa
from spec.graph import Layer
from tests.fastpath_recurrent.build import Floats, fractions, pattern, put_codes, put_floats, recurrent_layer

PREPARE = {**rnn.PREPARE, **gru.PREPARE, **lstm.PREPARE}

V4 = [
    ("RNN", 2, 2, 0, "0.210430771 0.878964722 -0.768759489 -0.0398952365 0.0160827469 0.545804381"),
    (
        "RNN",
        2,
        2,
        2,
        "0.210430771 0.878964722 -0.97008425 0.188590974 -0.768759489 -0.0398952365 0.0202757474 -0.561798215"
        " 0.0160827469 0.545804381 -0.562612236 -0.383590251",
    ),
    ("LSTM", 2, 2, 0, "0.0716802105 0.194090158 0.0352816395 0.140865535 -0.0245841015 0.0285716709"),
    ("LSTM", 2, 3, 1, "0.140629038 0.102645516 0.0181600321 0.0128823482 -0.0225910079 -0.0135217067"),
    ("GRU", 2, 2, 0, "-0.77413851 0.19991833 -0.585983515 0.293859571 0.353968799 0.0874539837"),
    (
        "GRU",
        2,
        2,
        2,
        "-0.77413851 0.19991833 0.210845947 -0.455082268 -0.585983515 0.293859571 0.0981084555 0.347191483"
        " 0.353968799 0.0874539837 0.0511188321 0.528583944",
    ),
]


def floats(text: str) -> Floats:
    return np.array(text.split(), np.float32)


def close(ours: Floats, text: str) -> None:
    """Within the two units in the last place that another C library's exp and tanh are worth."""
    np.testing.assert_allclose(ours.reshape(-1), floats(text), rtol=0, atol=3e-7)


@pytest.mark.parametrize(("kind", "num_output", "hidden", "direction", "expected"), V4)
def test_recurrent(kind: str, num_output: int, hidden: int, direction: int, expected: str) -> None:
    layer = recurrent_layer(kind, 3, num_output, hidden, direction, (False, False))
    inputs = fractions(9, 5, 2, 13, 4).reshape(3, 3)
    inputs[1] = 0.0
    (output,) = PREPARE[kind](layer)([inputs])
    assert output.shape == (3, num_output * (2 if direction == 2 else 1))
    close(output, expected)


def test_embed() -> None:
    layer = Layer("Embed", "layer", ["x"], ["y"], {0: 4, 1: 3, 2: 1, 3: 12, 18: 2})
    put_codes(layer, "weight_data", pattern(12, 31, 9, 255))
    put_floats(layer, "bias_data", [1 / 8, 2 / 8, 3 / 8, 4 / 8], raw=True)
    put_floats(layer, "weight_data_int8_scale", [37.5], raw=True)
    (output,) = embed.prepare(layer)([np.array([2, -1, 7, 1], np.int32)])
    expected = (
        "-3.20833349 -2.25666666 -1.30500007 -0.353333354 -3.02166677 -2.07000017 -1.11833334 -0.166666687"
        " -3.20833349 -2.25666666 -1.30500007 -0.353333354 0.284999996 1.23666668 2.18833351 3.1400001"
    )
    np.testing.assert_array_equal(output.reshape(-1), floats(expected))


def test_gemm() -> None:
    params = {0: 0.75, 1: -2.0, 3: 1, 5: 1, 6: 1, 8: 4, 9: 3, 10: 4, 18: 2}
    layer = Layer("Gemm", "layer", ["a"], ["y"], dict(params))
    put_codes(layer, "B_data", pattern(12, 31, 9, 255))
    put_floats(layer, "C_data", fractions(4, 7, 3, 11, 16))
    put_floats(layer, "B_data_int8_scale", [25.5], raw=True)
    (output,) = gemm.prepare(layer)([fractions(6, 5, 2, 13, 4).reshape(2, 3)])
    expected = "0.566494882 1.94556212 -6.89412022 1.1854881 2.07436895 -1.32794404 5.67599297 1.45945752"
    np.testing.assert_array_equal(output.reshape(-1), floats(expected))


def test_sdpa() -> None:
    layer = Layer("SDPA", "layer", ["q", "k", "v", "mask"], ["y"], {5: 1, 18: 2})
    query = fractions(16, 5, 2, 13, 4).reshape(2, 2, 4)
    key, value = fractions(12, 7, 1, 17, 8).reshape(1, 3, 4), fractions(9, 3, 4, 11, 4).reshape(1, 3, 3)
    (output,) = sdpa.prepare(layer)([query, key, value, fractions(6, 4, 1, 7, 2).reshape(2, 3)])
    close(
        output,
        "-0.632400632 0.116777748 0.865956128 -0.559683383 0.189330682 0.938344777 -0.904829383 -0.155106932"
        " 0.594615579 -0.575318336 0.170938522 0.91719538",
    )


def test_multi_head_attention() -> None:
    layer = Layer("MultiHeadAttention", "layer", ["x"], ["y"], {0: 4, 1: 2, 2: 16, 18: 2})
    for j, name in enumerate("qkv"):
        put_codes(layer, f"{name}_weight_data", pattern(16, 37, 11 + j, 255))
        put_floats(layer, f"{name}_bias_data", fractions(4, 7, 3 + j, 11, 16), raw=True)
        put_floats(layer, f"{name}_weight_data_int8_scales", [scale + j for scale in (90, 100, 110, 120)], raw=True)
    put_codes(layer, "out_weight_data", pattern(16, 29, 5, 255))
    put_floats(layer, "out_bias_data", fractions(4, 7, 6, 11, 16), raw=True)
    put_floats(layer, "out_weight_data_int8_scale", [110.0], raw=True)
    (output,) = multi_head_attention.prepare(layer)([fractions(12, 5, 2, 13, 4).reshape(3, 4)])
    expected = floats(
        "-1.69400489 -0.640401781 -0.809751511 -0.711374819 1.45785606 -1.4041518 3.04099894 -0.698753715"
        " 0.0526448861 0.38785094 1.82939935 0.459318697"
    )
    np.testing.assert_allclose(output.reshape(-1), expected, rtol=0, atol=1e-6)
