"""Weight scales: both engines agree, and the rules for layers that are special."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastpath.calibration.weight_scales as fast
import spec.calibration.weight_scales as spec
from spec.errors import UnsupportedError
from spec.graph import Graph, Layer, float_weight, int8_weight

METHODS = st.sampled_from(["kl", "aciq", "eq"])
WEIGHTS = st.floats(-(2.0**40), 2.0**40, width=32)


def silent(line: str) -> None:
    pass


def layer_of(kind: str, groups: int, values: list[float], **params: int) -> Layer:
    layer = Layer(
        kind, "x", ["a"], ["b"], weights={"weight_data": float_weight("weight_data", array("f", values), "tagged")}
    )
    layer.set("num_output", groups)
    if kind == "ConvolutionDepthWise":
        layer.set("group", groups)
    for name, value in params.items():
        layer.set(name, value)
    return layer


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    kind = draw(st.sampled_from(spec.CONVOLUTION_TYPES))
    groups, size = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    values = draw(st.lists(WEIGHTS, min_size=groups * size, max_size=groups * size))
    if draw(st.booleans()):
        values[:size] = [0.0] * size
    params = (
        {} if kind == "InnerProduct" else {"kernel_w": draw(st.integers(1, 3)), "stride_w": draw(st.integers(1, 2))}
    )
    return layer_of(kind, groups, values, **params)


@given(layers(), METHODS, st.booleans())
def test_both_engines_agree(layer: Layer, method: spec.Method, upstream: bool) -> None:
    ours = fast.weight_scales(layer, method, upstream=upstream, report=silent)
    reference = spec.weight_scales(layer, method, upstream=upstream, report=silent)
    assert list(map(repr, ours)) == list(map(repr, reference))


@given(st.lists(WEIGHTS, min_size=6, max_size=6), st.sampled_from([1, 2, 3, 6]))
def test_both_engines_agree_on_static_scales(values: list[float], count: int) -> None:
    assert fast.static_scales(array("f", values), count) == spec.static_scales(array("f", values), count)


SIX_BIT = {"kernel_w": 3}


@pytest.mark.parametrize(
    ("kind", "params", "code"),
    [
        ("Convolution", SIX_BIT, 31),
        ("Convolution", SIX_BIT | {"pad_left": 1, "bias_term": 1}, 31),
        ("Convolution", SIX_BIT | {"stride_w": 2}, 127),
        ("Convolution", SIX_BIT | {"stride_h": 2}, 127),
        ("Convolution", SIX_BIT | {"dilation_w": 2}, 127),
        ("Convolution", SIX_BIT | {"kernel_h": 1}, 127),
        ("Convolution", {"kernel_w": 1}, 127),
        ("ConvolutionDepthWise", SIX_BIT, 127),
        ("InnerProduct", {}, 127),
    ],
)
def test_the_six_bit_rule(kind: str, params: dict[str, int], code: int) -> None:
    layer = layer_of(kind, 2, [0.5, -2.0, 1.0, 0.25], **params)
    assert spec.weight_scales(layer, "kl", report=silent) == [code / 2.0, code / 1.0]


def test_zero_groups_have_infinite_scales_and_static_rows_one() -> None:
    layer = layer_of("InnerProduct", 2, [0.0, 0.0, 1.0, 0.0])
    for module in (spec, fast):
        assert module.weight_scales(layer, "kl", upstream=False, report=silent) == [math.inf, 127.0]
        assert module.weight_scales(layer, "aciq", upstream=False, report=silent)[0] == math.inf
        assert module.static_scales(array("f", [0.0, 0.0, 1.0, 0.0]), 2) == [1.0, 127.0]


def test_aciq_keeps_the_magnitude_of_single_weights() -> None:
    layer = layer_of("InnerProduct", 2, [0.5, -2.0])
    for module in (spec, fast):
        said: list[str] = []
        assert module.weight_scales(layer, "aciq", upstream=False, report=said.append) == [254.0, 63.5]
        assert len(said) == 1
        assert module.weight_scales(layer, "aciq", upstream=True, report=said.append) == [0.0, 0.0]


def test_layers_without_stored_weights_are_left_out() -> None:
    dynamic = layer_of("Convolution", 1, [1.0], dynamic_weight=1)
    plain = layer_of("Convolution", 1, [1.0])
    other = Layer("ReLU", "r", ["b"], ["c"])
    for module in (spec, fast):
        assert module.convolution_layers(Graph([dynamic, other, plain])) == [plain]


def test_int8_models_are_refused() -> None:
    codes = int8_weight("weight_data", array("b", [1, 2]))
    layer = Layer("InnerProduct", "fc", ["a"], ["b"], weights={"weight_data": codes})
    lstm = Layer("LSTM", "l", ["a"], ["b"])
    lstm.set("int8_scale_term", 2)
    for module in (spec, fast):
        with pytest.raises(UnsupportedError, match=r"fc.*quantized already"):
            module.convolution_layers(Graph([layer]))
        with pytest.raises(UnsupportedError, match=r"layer l: .*quantized already"):
            module.static_rows(Graph([lstm]))


def recurrent(kind: str, directions: int, gates: int, hidden: int, size: int, outputs: int) -> Layer:
    layer = Layer(kind, kind.lower(), ["a"], ["b"])
    layer.set("num_output", outputs)
    layer.set("direction", 2 if directions == 2 else 0)
    if kind == "LSTM":
        layer.set("hidden_size", hidden)
    rows = directions * gates * hidden
    for name, width in (("weight_xc_data", size), ("weight_hc_data", outputs)):
        values = array("f", (((7 * i) % 11 - 5) * (i // width + 1) for i in range(rows * width)))
        layer.weights[name] = float_weight(name, values, "tagged")
    return layer


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(("kind", "gates", "hidden"), [("RNN", 1, 3), ("GRU", 3, 3), ("LSTM", 4, 5)])
def test_recurrent_rows(kind: str, gates: int, hidden: int, directions: int) -> None:
    layer = recurrent(kind, directions, gates, hidden, size=4, outputs=3)
    rows = spec.static_rows(Graph([layer]))
    assert rows == fast.static_rows(Graph([layer]))
    assert [key for key, _ in rows] == [f"{kind.lower()}_param_0", f"{kind.lower()}_param_1"]
    for (_, scales), (name, width) in zip(rows, (("weight_xc_data", 4), ("weight_hc_data", 3)), strict=True):
        values = layer.weight(name).floats()
        assert len(scales) == directions * gates * hidden
        last = max(map(abs, values[-width:]))
        assert scales[-1] == pytest.approx(127 / last, rel=1e-7)


def test_static_rows_are_grouped_by_type() -> None:
    gru = recurrent("GRU", 1, 3, 2, size=2, outputs=2)
    rnn = recurrent("RNN", 1, 1, 2, size=2, outputs=2)
    embed = layer_of("Embed", 2, [1.0, 4.0])
    keys = [key for key, _ in spec.static_rows(Graph([gru, rnn, embed]))]
    assert keys == ["x_param_0", "rnn_param_0", "rnn_param_1", "gru_param_0", "gru_param_1"]
