"""int8: the same bits as the spec. float32: as close as another order of summation allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastpath import kernels
from fastpath.layers import PREPARE, convolution
from fastpath.layers.common import Array
from fastpath.layers.integer_product import IntegerMatrix
from spec.errors import AssayError
from spec.graph import Layer
from tests.fastpath.compare import assert_agree, assert_same_bits, fast_results, layer_of, spec_results
from tests.strategies import (
    ConvGeometry,
    activations,
    conv_geometry,
    float_tensors,
    int8_tensors,
    near_ties,
    scales,
)

SMALL = settings(max_examples=120, deadline=None)

STEP = 2.0**-24
"""Half a unit in the last place of 1: the relative error of one binary32 operation."""


@st.composite
def int8_layers(draw: st.DrawFn, type: str) -> tuple[Layer, Array]:
    """An int8 convolution with its bottom blob, float or int8; float inputs lie on ties."""
    grouped = type == "ConvolutionDepthWise"
    geometry = draw(conv_geometry(grouped=grouped))
    term = draw(st.sampled_from([1, 2, 101, 102]))
    activation, activation_params = draw(activations())
    params = geometry.params | {8: term, 9: activation, 10: activation_params, 5: draw(st.integers(0, 1))}
    scale_count = geometry.num_output
    if grouped:
        params[7] = geometry.groups
        scale_count = geometry.groups if term in (1, 101) else 1
    bottom_scale = draw(scales())
    weights: dict[str, Any] = {"weight_data": draw(int8_tensors((geometry.weight_count,)))}
    if params[5]:
        weights["bias_data"] = draw(float_tensors((geometry.num_output,)))
    weights["weight_data_int8_scales"] = np.array(
        draw(st.lists(scales(zero=True), min_size=scale_count, max_size=scale_count)), np.float32
    )
    weights["bottom_blob_int8_scales"] = np.array([bottom_scale], np.float32)
    if term > 100:
        weights["top_blob_int8_scales"] = np.array([draw(scales())], np.float32)
    if draw(st.booleans()):
        bottom: Array = draw(int8_tensors(geometry.shape, lowest=-128))
    else:
        bottom = draw(near_ties(bottom_scale, geometry.shape))
    return layer_of(type, params, weights), bottom


@SMALL
@given(int8_layers("Convolution"))
def test_int8_convolution_equals_the_spec(drawn: tuple[Layer, Array]) -> None:
    assert_agree(drawn[0], [drawn[1]])


@SMALL
@given(int8_layers("ConvolutionDepthWise"))
def test_int8_depthwise_and_grouped_convolution_equal_the_spec(drawn: tuple[Layer, Array]) -> None:
    assert_agree(drawn[0], [drawn[1]])


@pytest.mark.parametrize("type", ["Convolution", "ConvolutionDepthWise"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("tile", [1, 6000])
def test_int8_convolution_equals_the_spec_in_many_tiles(
    type: str, stride: int, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "TILE_ELEMENTS", tile)
    monkeypatch.setattr(convolution, "SMALLEST_TILE", 20)
    monkeypatch.setattr(convolution, "DEPTHWISE_TILE", 300)
    random = np.random.default_rng(stride)
    grouped = type == "ConvolutionDepthWise"
    channels = 8
    params = {0: channels, 1: 3, 3: stride, 4: 1, 5: 1, 6: channels * 9 * (1 if grouped else channels), 8: 101, 9: 1}
    weights = {
        "weight_data": random.integers(-127, 128, params[6], np.int8),
        "bias_data": random.standard_normal(channels, np.float32),
        "weight_data_int8_scales": random.uniform(20, 60, channels).astype(np.float32),
        "bottom_blob_int8_scales": np.array([30], np.float32),
        "top_blob_int8_scales": np.array([17], np.float32),
    }
    layer = layer_of(type, params | ({7: channels} if grouped else {}), weights)
    assert_agree(layer, [random.standard_normal((channels, 13, 17), np.float32)])


def test_sums_beyond_binary32_are_exact() -> None:
    weights = np.full((1, 1, 9 * 200), 127, np.int8)
    weights[0, 0, -1] = 1
    assert not IntegerMatrix(weights).is_whole
    layer = layer_of(
        "Convolution",
        {0: 1, 1: 3, 6: 9 * 200, 8: 1},
        {
            "weight_data": weights,
            "weight_data_int8_scales": np.array([1], np.float32),
            "bottom_blob_int8_scales": np.array([1], np.float32),
        },
    )
    bottom = np.full((200, 3, 3), -128, np.int8)
    exact = -128 * (127 * 1799 + 1)
    assert fast_results(layer, [bottom])[0].item() == np.float32(exact)
    assert_agree(layer, [bottom])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_int8_layers_name_themselves_when_their_input_is_not_finite(value: float) -> None:
    layer = layer_of(
        "Convolution",
        {0: 1, 1: 1, 6: 1, 8: 1},
        {
            "weight_data": np.array([5], np.int8),
            "weight_data_int8_scales": np.array([1], np.float32),
            "bottom_blob_int8_scales": np.array([1], np.float32),
        },
    )
    bottom = np.array([[[1.0, value]]], np.float32)
    with pytest.raises(Exception, match=r"layer subject: .*cannot quantize: NaN and infinities"):
        fast_results(layer, [bottom])
    assert_agree(layer, [bottom])


@st.composite
def float_layers(draw: st.DrawFn) -> tuple[Layer, Array]:
    """A float convolution of either kind, with its bottom blob."""
    grouped = draw(st.booleans())
    geometry: ConvGeometry = draw(conv_geometry(grouped=grouped))
    activation, activation_params = draw(activations())
    if activation == 6:
        activation = 1
    params = geometry.params | {9: activation, 10: activation_params, 5: 1, 18: draw(st.sampled_from([0.0, -2.5]))}
    if grouped:
        params[7] = geometry.groups
    weights = {
        "weight_data": draw(float_tensors((geometry.weight_count,), 4.0)),
        "bias_data": draw(float_tensors((geometry.num_output,), 4.0)),
    }
    layer = layer_of("ConvolutionDepthWise" if grouped else "Convolution", params, weights)
    return layer, draw(float_tensors(geometry.shape, 4.0))


@SMALL
@given(float_layers())
def test_float_convolution_stays_within_the_bound_of_any_order_of_summation(drawn: tuple[Layer, Array]) -> None:
    layer, bottom = drawn
    terms = layer.get.integer("weight_data_size") // layer.get.integer("num_output") + 1
    expected, got = spec_results(layer, [bottom])[0], fast_results(layer, [bottom])[0]
    # Either sum is off by terms * STEP of the sum of magnitudes; no activation drawn here has a slope above 4.
    bound = 2 * 4 * terms * STEP * (16.0 * terms) + 1e-6
    assert expected.shape == got.shape
    assert np.abs(expected - got).max() <= bound


@SMALL
@given(conv_geometry(grouped=True), st.data())
def test_float_depthwise_convolution_is_close_to_the_spec(geometry: ConvGeometry, data: st.DataObject) -> None:
    """Binary64 sums, rounded once, with the same bits interpreted and compiled: the spec rounds every step."""
    channels = geometry.groups
    single = ConvGeometry(channels, geometry.size, channels, channels, *_windows(geometry))
    weights = {
        "weight_data": data.draw(float_tensors((single.weight_count,))),
        "bias_data": data.draw(float_tensors((channels,))),
    }
    params = single.params | {5: data.draw(st.integers(0, 1)), 7: channels}
    layer, bottom = layer_of("ConvolutionDepthWise", params, weights), data.draw(float_tensors(single.shape))
    try:
        expected = spec_results(layer, [bottom])[0]
    except AssayError as error:
        with pytest.raises(type(error)):
            fast_results(layer, [bottom])
        return
    got = fast_results(layer, [bottom])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "COMPILED", False)
        assert_same_bits(got, fast_results(layer, [bottom]))
    if not np.isfinite(bottom).all() or not all(np.isfinite(values).all() for values in weights.values()):
        return
    terms = layer.get.integer("weight_data_size") // channels + 1
    largest = (
        terms * max(1.0, float(np.abs(bottom).max())) * max(1.0, *(float(np.abs(v).max()) for v in weights.values()))
    )
    assert np.abs(got[0] - expected).max(initial=0.0) <= 2 * terms * STEP * largest


def test_dynamic_weights_come_as_bottoms() -> None:
    random = np.random.default_rng(5)
    layer = layer_of("Convolution", {0: 3, 2: 1, 3: 2, 4: 1, 5: 1, 19: 1})
    bottoms = [random.standard_normal(shape, np.float32) for shape in ((2, 7, 6), (3, 2, 3, 2), (3,))]
    np.testing.assert_allclose(
        fast_results(layer, bottoms)[0], spec_results(layer, bottoms)[0], rtol=0, atol=16 * 13 * STEP
    )


@SMALL
@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 3), st.sampled_from([0, 1]), activations(), st.data())
def test_int8_inner_product_equals_the_spec(
    num_output: int, num_input: int, rows: int, bias_term: int, activation: tuple[int, list[float]], data: st.DataObject
) -> None:
    bottom_scale = data.draw(scales())
    weights: dict[str, Any] = {
        "weight_data": data.draw(int8_tensors((num_output * num_input,))),
        "weight_data_int8_scales": data.draw(float_tensors((num_output,))),
        "bottom_blob_int8_scales": np.array([bottom_scale], np.float32),
    }
    if bias_term:
        weights["bias_data"] = data.draw(float_tensors((num_output,)))
    params = {0: num_output, 1: bias_term, 2: num_output * num_input, 8: 2, 9: activation[0], 10: activation[1]}
    shape = data.draw(st.sampled_from([(num_input,), (rows, num_input), (num_input, 1, 1), (1, num_input, 1)]))
    assert_agree(layer_of("InnerProduct", params, weights), [data.draw(near_ties(bottom_scale, shape))])


def test_float_inner_product_is_close_to_the_spec() -> None:
    random = np.random.default_rng(3)
    weights = {"weight_data": random.uniform(-1, 1, 5 * 60), "bias_data": random.uniform(-1, 1, 5)}
    layer = layer_of("InnerProduct", {0: 5, 1: 1, 2: 300, 9: 1}, weights)
    for shape in ((60,), (3, 60), (3, 4, 5)):
        bottom = random.uniform(-1, 1, shape).astype(np.float32)
        np.testing.assert_allclose(
            fast_results(layer, [bottom])[0], spec_results(layer, [bottom])[0], rtol=0, atol=2 * 61 * STEP * 61
        )


@example(values=[0.0, -0.0, 0.49999997], scale=1.0)
@given(st.lists(st.floats(-300, 300, width=32), min_size=1, max_size=40), scales())
@settings(max_examples=60, deadline=None)
def test_a_codes_only_layer_rounds_half_away(values: list[float], scale: float) -> None:
    layer = layer_of("Quantize", {0: 1}, {"scale_data": np.array([scale], np.float32)})
    assert_agree(layer, [np.array(values, np.float32)])


@pytest.mark.parametrize("type", ["Convolution", "ConvolutionDepthWise", "InnerProduct"])
@pytest.mark.parametrize("count", [1, 3])
def test_sums_of_zero_are_plus_zero(type: str, count: int) -> None:
    weights: dict[str, Any] = {
        "weight_data": np.full(count, 5, np.int8),
        "weight_data_int8_scales": np.ones(1, np.float32),
        "bottom_blob_int8_scales": np.ones(1, np.float32),
    }
    params = {0: 1, 2: count, 8: 1} if type == "InnerProduct" else {0: 1, 1: count, 11: 1, 6: count, 8: 1}
    layer = layer_of(type, params, weights)
    for shape in ((1, 1, count), (1, 1, count + 40)):
        if type != "InnerProduct" or shape[2] == count:
            for value in (-0.25, -0.0):
                bottom = np.full(shape, value, np.float32)
                assert not np.signbit(fast_results(layer, [bottom])[0]).any()
                assert_agree(layer, [bottom])
            assert_agree(layer, [np.zeros(shape, np.int8)])


def test_results_do_not_share_memory_between_runs() -> None:
    weights = {"weight_data": np.ones(9, np.float32)}
    operator = PREPARE["Convolution"](layer_of("Convolution", {0: 1, 1: 3, 4: 1, 6: 9}, weights))
    first = operator([np.ones((1, 4, 4), np.float32)])
    kept = [top.copy() for top in first]
    operator([np.zeros((1, 4, 4), np.float32)])
    assert_same_bits(kept, first)


def _windows(geometry: ConvGeometry) -> tuple[Any, Any, Any, Any]:
    return geometry.kernel, geometry.dilation, geometry.stride, geometry.pads
