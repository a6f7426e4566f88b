"""int8: the same bits as the spec. float32: as close as another order of summation allows."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import kernels
from fastpath.layers import gru, lstm, recurrent, rnn
from spec.binary32 import REFERENCE
from spec.blob import as_blob
from spec.errors import GraphError
from spec.graph import Layer, float_weight
from spec.layers import gru as spec_gru
from spec.layers import lstm as spec_lstm
from spec.layers import rnn as spec_rnn
from tests.fastpath_recurrent.build import Floats, recurrent_layer

PREPARE = {**rnn.PREPARE, **gru.PREPARE, **lstm.PREPARE}
FORWARD = {**spec_rnn.FORWARD, **spec_gru.FORWARD, **spec_lstm.FORWARD}

KINDS = ("RNN", "LSTM", "GRU")


@st.composite
def cases(draw: st.DrawFn, *, int8: bool = True, longest: int = 9) -> tuple[Layer, list[Floats]]:
    """A layer with random weights and scales, and inputs of one magnitude with rows of zeros among them."""
    kind = draw(st.sampled_from(KINDS))
    inputs, num_output = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    hidden = draw(st.integers(1, 6)) if kind == "LSTM" and draw(st.booleans()) else num_output
    direction = draw(st.integers(0, 2))
    states = draw(st.booleans()), draw(st.booleans())
    layer = recurrent_layer(kind, inputs, num_output, hidden, direction, states, int8=int8)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    for name, weight in layer.weights.items():
        if weight.dtype == "int8":
            codes = random.integers(-128, 128, len(weight)).astype(np.int8)
            weight.values = array("b", codes.tobytes())
        elif name.endswith("scales"):
            layer.weights[name] = float_weight(name, array("f", 2.0 ** random.uniform(3, 9, len(weight))), "raw")
        else:
            weight.values = array("f", random.normal(0, 0.5, len(weight)))
    length = draw(st.integers(1, longest))
    magnitude = np.float32(10.0) ** np.float32(draw(st.sampled_from([-38, -20, -3, 0, 1, 4, 30])))
    x = random.normal(0, 1, (length, inputs)).astype(np.float32) * magnitude
    x[random.random(length) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = 0.0
    count = 2 if direction == 2 else 1
    widths = (num_output, hidden)[: len(layer.bottoms) - 1]
    zero = draw(st.booleans())
    initial = [random.normal(0, 0 if zero else 0.7, (count, width)).astype(np.float32) for width in widths]
    return layer, [x, *initial]


def spec_run(layer: Layer, blobs: list[Floats]) -> list[Floats]:
    tops = FORWARD[layer.type](layer, [as_blob(blob) for blob in blobs], REFERENCE)
    return [np.array(top) for top in tops]


def test_int8_equals_the_spec_bit_for_bit() -> None:
    @settings(max_examples=250, deadline=None, derandomize=True, database=None)
    @given(cases())
    def compare(case: tuple[Layer, list[Floats]]) -> None:
        layer, blobs = case
        ours, theirs = PREPARE[layer.type](layer)(blobs), spec_run(layer, blobs)
        assert [top.shape for top in ours] == [top.shape for top in theirs]
        assert [top.tobytes() for top in ours] == [top.tobytes() for top in theirs]

    compare()


def test_long_sequences_cross_chunks() -> None:
    @settings(max_examples=12, deadline=None, derandomize=True, database=None)
    @given(cases(longest=3 * recurrent.CHUNK))
    def compare(case: tuple[Layer, list[Floats]]) -> None:
        layer, blobs = case
        ours, theirs = PREPARE[layer.type](layer)(blobs), spec_run(layer, blobs)
        assert [top.tobytes() for top in ours] == [top.tobytes() for top in theirs]

    compare()


def test_float_is_close_to_the_spec() -> None:
    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(cases(int8=False))
    def compare(case: tuple[Layer, list[Floats]]) -> None:
        layer, blobs = case
        if np.abs(blobs[0]).max() > 100:
            blobs[0] = blobs[0] / np.abs(blobs[0]).max()
        for ours, theirs in zip(PREPARE[layer.type](layer)(blobs), spec_run(layer, blobs), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5)

    compare()


@pytest.mark.parametrize("kind", KINDS)
def test_wide_rows_go_through_binary64(kind: str) -> None:
    """1100 codes of 127 times weights of -128 pass 2**24, where binary32 sums are no longer exact."""
    width = 1100
    layer = recurrent_layer(kind, width, 2, 2, 0, (False, False))
    weight = layer.weights["weight_xc_data"]
    weight.values = array("b", [-128 if i % 3 else 127 for i in range(len(weight))])
    scales = [3e4] * (len(layer.weights["weight_xc_data_int8_scales"]))
    layer.weights["weight_xc_data_int8_scales"] = float_weight("weight_xc_data_int8_scales", array("f", scales), "raw")
    x = np.where(np.arange(3 * width) % 7 < 2, -1, 1).astype(np.float32).reshape(3, width)
    x[:, ::5] = 0.999
    operator = PREPARE[kind](layer)
    assert isinstance(operator, recurrent.Recurrent)
    assert operator.directions[0].input_weights.dtype == np.float64
    assert operator([x])[0].tobytes() == spec_run(layer, [x])[0].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_careful_chunks_give_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubting every chunk runs each of them twice, from the states that it began with."""
    monkeypatch.setattr(kernels, "COMPILED", False)
    layer = recurrent_layer(kind, 3, 4, 4, 2, (False, True))
    x = np.random.default_rng(5).normal(0, 1, (2 * recurrent.CHUNK + 5, 3)).astype(np.float32)
    expected = [top.tobytes() for top in PREPARE[kind](layer)([x])]
    runs: list[bool] = []

    def doubtful(function: Any, steps: int) -> bool:
        runs.append(function.careful)
        return True

    monkeypatch.setattr(recurrent.Function, "doubtful", doubtful)
    assert [top.tobytes() for top in PREPARE[kind](layer)([x])] == expected
    assert len(runs) == 2 * 3


@pytest.mark.parametrize("kind", KINDS)
def test_runs_do_not_disturb_each_other(kind: str) -> None:
    layer = recurrent_layer(kind, 3, 4, 4, 0, (False, True))
    operator = PREPARE[kind](layer)
    random = np.random.default_rng(6)
    first, second = (random.normal(0, 1, (5, 3)).astype(np.float32) for _ in range(2))
    tops = operator([first])
    kept = [top.copy() for top in tops]
    operator([second])
    for top, copy in zip(tops, kept, strict=True):
        np.testing.assert_array_equal(top, copy)
    np.testing.assert_array_equal(operator([first])[0], kept[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layer: layer.params.update({2: 3}), "direction 3"),
        (lambda layer: layer.params.update({1: 7}), "weight_data_size"),
        (lambda layer: layer.params.update({0: 0}), "num_output"),
        (lambda layer: layer.bottoms.append("extra"), "bottoms, not 2"),
        (lambda layer: layer.tops.append("extra"), "tops, not 2"),
        (lambda layer: layer.weights["weight_hc_data_int8_scales"].values.__setitem__(1, 0.0), "zero"),
        (lambda layer: layer.weights.pop("bias_c_data"), "bias_c_data"),
        (
            lambda layer: layer.weights.update(
                weight_xc_data=float_weight("weight_xc_data", array("f", [0.0] * 48), "tagged")
            ),
            "int8 codes",
        ),
    ],
)
def test_layers_that_can_never_run(change: Any, message: str) -> None:
    layer = recurrent_layer("LSTM", 3, 4, 4, 0, (False, False))
    change(layer)
    with pytest.raises(GraphError, match=message):
        PREPARE["LSTM"](layer)


@pytest.mark.parametrize(
    ("blobs", "message"),
    [
        ([np.zeros((2, 4), np.float32)], "rows of 3"),
        ([np.zeros((2, 3), np.int8)], "float32"),
        ([np.zeros((1, 2, 3), np.float32)], "dims"),
        ([np.full((2, 3), np.nan, np.float32)], "NaN"),
        ([np.full((2, 3), np.inf, np.float32)], "infinity"),
    ],
)
def test_blobs_that_do_not_fit(blobs: list[Floats], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        PREPARE["GRU"](recurrent_layer("GRU", 3, 4, 4, 0, (False, False)))(blobs)


def test_states_of_the_wrong_shape() -> None:
    operator = PREPARE["GRU"](recurrent_layer("GRU", 3, 4, 4, 2, (True, False)))
    for shape in ((4,), (1, 4), (2, 3)):
        with pytest.raises(GraphError, match="state of shape"):
            operator([np.zeros((2, 3), np.float32), np.zeros(shape, np.float32)])


def test_one_direction_keeps_the_shape_of_a_flat_state() -> None:
    operator = PREPARE["LSTM"](recurrent_layer("LSTM", 3, 4, 5, 1, (True, True)))
    x = np.ones((2, 3), np.float32)
    flat = operator([x, np.ones(4, np.float32), np.ones(5, np.float32)])
    rows = operator([x, np.ones((1, 4), np.float32), np.ones((1, 5), np.float32)])
    assert [top.shape for top in flat[1:]] == [(4,), (5,)]
    assert [top.shape for top in rows[1:]] == [(1, 4), (1, 5)]


def test_one_row_may_come_as_a_vector() -> None:
    operator = PREPARE["RNN"](recurrent_layer("RNN", 3, 4, 4, 0, (False, False)))
    x = np.array([1.0, -2.0, 0.5], np.float32)
    np.testing.assert_array_equal(operator([x])[0], operator([x[np.newaxis]])[0])
