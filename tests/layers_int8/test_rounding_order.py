"""Where the float steps round: the written formulas, evaluated once more by numpy's binary32 operations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec.binary32 import REFERENCE, X86, f32
from spec.layers import gru, lstm
from spec.layers.activation import CLIP, HARD_SWISH, LEAKY_RELU, MISH, RELU, SIGMOID, activate
from spec.layers.recurrent import Int8Matrix, Row
from tests.layers_int8.build import blob, make, run
from tests.layers_int8.test_algebra import Numbers, recurrent, seeds

F = np.float32

numbers = st.floats(-100.0, 100.0, width=32)
scales = st.floats(2.0**-6, 2.0**10, width=32)


@given(st.integers(-127, 127), st.integers(-127, 127), scales, scales, numbers)
def test_recurrent_descale_is_the_product_of_two_reciprocals(
    code: int, weight: int, row_scale: float, weight_scale: float, start: float
) -> None:
    matrix = Int8Matrix([[weight]], [weight_scale], REFERENCE)
    descale = (F(1) / F(row_scale)) * (F(1) / F(weight_scale))
    expected = F(start) + F(code * weight) * descale
    assert matrix.add_to([start], Row([1.0], [code], row_scale)) == [float(expected)]


def test_recurrent_descale_fuses_on_x86() -> None:
    row = Row([1.0], [3], 1.0)
    third = [3.0]
    assert Int8Matrix([[1]], third, REFERENCE).add_to([-1.0], row) == [0.0]
    assert Int8Matrix([[1]], third, X86).add_to([-1.0], row) == [2.0**-25]


@given(seeds)
def test_the_cell_of_an_lstm_is_two_products_and_a_sum(seed: int) -> None:
    data = Numbers(seed)
    cell = [F(0.0), F(0.0)]
    for step in lstm.trace(recurrent("LSTM", 0, True, data), [blob((4, 3), data.floats(12))]):
        i, f, o, g = ([F(value) for value in gate] for gate in step.gates)
        cell = [f[q] * cell[q] + i[q] * g[q] for q in range(2)]
        assert step.cell == [float(value) for value in cell]
        assert step.hidden == [float(o[q] * F(math.tanh(cell[q]))) for q in range(2)]


@given(seeds)
def test_a_gru_mixes_in_three_steps(seed: int) -> None:
    data = Numbers(seed)
    hidden = [F(0.0), F(0.0)]
    for step in gru.trace(recurrent("GRU", 0, True, data), [blob((4, 3), data.floats(12))]):
        _, u, n = ([F(value) for value in gate] for gate in step.gates)
        hidden = [(F(1) - u[q]) * n[q] + u[q] * hidden[q] for q in range(2)]
        assert step.hidden == [float(value) for value in hidden]


@given(numbers)
def test_activations_in_binary32(v: float) -> None:
    x = F(v)
    assert activate([v], RELU, []) == [max(v, 0.0)]
    assert activate([v], LEAKY_RELU, [f32(0.1)]) == [v if v > 0.0 else float(x * F(0.1))]
    clamped = min(max(x, F(-88.3762626647949)), F(88.3762626647949))
    assert activate([v], SIGMOID, []) == [float(F(1) / (F(1) + F(math.exp(-clamped))))]
    alpha, beta = F(1 / 6), F(0.5)
    lower = -beta / alpha
    upper = F(1) / alpha + lower
    between = float(x * (x * alpha + beta))
    expected = 0.0 if x < lower else v if x > upper else between
    assert activate([v], HARD_SWISH, [float(alpha), 0.5]) == [expected]


@given(st.floats(-80.0, 80.0, width=32))
def test_mish_in_binary32(v: float) -> None:
    expected = F(v) * F(math.tanh(F(math.log(F(math.exp(v)) + F(1)))))
    assert activate([v], MISH, []) == [float(expected)]


def test_mish_of_much_is_itself_and_of_little_is_minus_zero() -> None:
    large, small = activate([100.0, -200.0], MISH, [])
    assert large == 100.0
    assert (small, math.copysign(1.0, small)) == (0.0, -1.0)


def test_clip_raises_first_and_lowers_then() -> None:
    assert activate([0.0, 1.5, 3.0], CLIP, [2.0, 1.0]) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("width", [6, 7, 17, 18])
def test_the_automatic_scale_of_sdpa_is_rounded_once(width: int) -> None:
    """For these widths two roundings (of the root, then of its reciprocal) would end elsewhere."""
    once = float(F(1.0 / math.sqrt(width)))
    twice = float(F(1) / np.sqrt(F(width)))
    assert once != twice
    bottoms = [blob((1, 1, width), [1.0] * width), blob((1, 2, width), [1000.0] + [0.0] * (2 * width - 1))]
    bottoms.append(blob((1, 2, 1), [1.0, 0.0]))
    mask = blob((1, 2), [f32(-1000.0 * once), 0.0])
    outputs = [
        run(make("SDPA", {"attn_mask": 1, "scale": scale}), *bottoms, mask)[0].values for scale in (0.0, once, twice)
    ]
    assert outputs[0] == outputs[1] != outputs[2]
