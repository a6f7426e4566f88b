"""The search of scales: against brute force on the layer itself, and the rules of the real tools."""

from __future__ import annotations

import numpy as np
import pytest

from fastpath.accuracy import thresholds, weight_search
from fastpath.accuracy.metrics import difference
from fastpath.accuracy.network import code_scales, split_sources
from fastpath.accuracy.search import Search, Statistics, int8_operator, quantized_input
from fastpath.accuracy.tables import as_written, later_of_type, quantized, table_text
from fastpath.calibration.statistics import blob_histogram, blob_range
from fastpath.layers import PREPARE
from fastpath.layers.common import Array
from fastpath.net import Net
from fastpath.profile import layer_costs
from fastpath.quantization import quantize_model
from spec.formats.table import parse_table
from spec.graph import Graph, Layer
from tests.accuracy.nets import blobs, branching, weighted

RNG = np.random.default_rng(3)

LAYERS = {
    "convolution": (
        weighted(
            "Convolution",
            "c",
            "a",
            "b",
            RNG.normal(size=(5, 4, 3, 3)),
            num_output=5,
            kernel_w=3,
            stride_w=2,
            pad_left=1,
        ),
        (4, 9, 9),
    ),
    "dilated": (
        weighted("Convolution", "c", "a", "b", RNG.normal(size=(3, 4, 3, 3)), num_output=3, kernel_w=3, dilation_w=2),
        (4, 9, 9),
    ),
    "depthwise": (
        weighted("ConvolutionDepthWise", "c", "a", "b", RNG.normal(size=(4, 3, 3)), num_output=4, group=4, kernel_w=3),
        (4, 9, 9),
    ),
    "grouped": (
        weighted(
            "ConvolutionDepthWise", "c", "a", "b", RNG.normal(size=(6, 2, 3, 3)), num_output=6, group=2, kernel_w=3
        ),
        (4, 9, 9),
    ),
    "inner product": (weighted("InnerProduct", "c", "a", "b", RNG.normal(size=(5, 36)), num_output=5), (4, 3, 3)),
    "rows": (weighted("InnerProduct", "c", "a", "b", RNG.normal(size=(5, 6)), num_output=5), (7, 6)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_patches_and_weights_are_the_layer(name: str) -> None:
    layer, shape = LAYERS[name]
    blob = RNG.normal(size=shape).astype(np.float32)
    (top,) = PREPARE[layer.type](layer)([blob])
    found = np.matmul(weight_search.weight_matrix(layer), weight_search.patches(layer, blob))
    expected = top.T if top.ndim == 2 else top.reshape(top.shape[0], -1)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
def test_the_form_is_the_error_of_the_layer(name: str) -> None:
    """Without its cautious share, the quadratic form is what the quantized layer itself loses."""
    layer, shape = LAYERS[name]
    blob = RNG.normal(size=shape).astype(np.float32)
    scales = weight_search.absmax_scales(layer, 127)
    scale = as_written(30.0)
    form = weight_search.gather(layer, [(blob, quantized_input(blob, scale))])
    form.positions = 10**9
    tried = weight_search.codes_of(layer, scales) / np.array(scales)[:, np.newaxis]
    exact = weight_search.weight_matrix(layer).astype(np.float64)
    (wanted,) = PREPARE[layer.type](layer)([blob])
    (found,) = int8_operator(layer, scale, scales)([blob])
    noise = difference(wanted, found).noise
    assert form.error(exact, tried.reshape(exact.shape)).sum() == pytest.approx(noise, rel=1e-2)


@pytest.mark.parametrize("name", LAYERS)
def test_searched_scales_lose_less(name: str) -> None:
    layer, shape = LAYERS[name]
    pairs = [(blob, quantized_input(blob, 40.0)) for blob in blobs(12, shape)]
    found = weight_search.choose(layer, weight_search.gather(layer, pairs), 40.0, keep_six_bits=False).scales
    start = weight_search.absmax_scales(layer, 127)

    def noise(scales: list[float]) -> float:
        operators = PREPARE[layer.type](layer), int8_operator(layer, 40.0, scales)
        return sum(difference(operators[0]([x])[0], operators[1]([x])[0]).noise for x, _ in pairs)

    assert len(found) == len(start)
    assert noise(found) < noise(start)


def test_weights_of_zero_keep_an_infinite_scale() -> None:
    values = np.ones((2, 3))
    values[1] = 0
    layer = weighted("InnerProduct", "c", "a", "b", values, num_output=2)
    blob = np.ones(3, np.float32)
    scales = weight_search.choose(layer, weight_search.gather(layer, [(blob, blob)]), 1.0, keep_six_bits=False).scales
    assert np.isinf(scales[1])
    assert int8_operator(layer, 127.0, scales)([blob])[0].tolist() == pytest.approx([3.0, 0.0], abs=0.05)


def three_by_three(channels: int) -> Layer:
    return weighted("Convolution", "c", "a", "b", np.ones((1, channels, 3, 3)), num_output=1, kernel_w=3)


@pytest.mark.parametrize(("channels", "largest"), [(12, 127), (13, 127), (64, 63), (128, 31)])
def test_three_by_three_kernels_stay_within_winograd(channels: int, largest: int) -> None:
    """All weights and inputs at the last code: sums of 9 * channels * 127 * 127 * (largest / 127).

    12 channels: 9 * 12 * 127 * 127 = 1741932 cannot exceed 1864136. 13 channels can: 1887093; there, and beyond, four
    times the sums seen must fit, which are small here for 13 channels, and not for the others.
    """
    layer = three_by_three(channels)
    level = 0.2 if channels == 13 else 1.0
    blob = np.full((channels, 5, 5), level, np.float32)
    if channels == 64:
        blob[:] = 0.1
    form = weight_search.gather(layer, [(blob, blob)])
    choice = weight_search.choose(layer, form, 127.0, keep_six_bits=False)
    assert choice.largest_code == largest
    sums = int(np.abs(weight_search.codes_of(layer, choice.scales)).sum()) * round(float(blob.max()) * 127)
    assert sums <= 1_864_136 or largest == 31


def test_six_bits_on_request() -> None:
    layer = three_by_three(2)
    form = weight_search.gather(layer, [(b, b) for b in blobs(2, (2, 5, 5))])
    choice = weight_search.choose(layer, form, 10.0, keep_six_bits=True)
    assert np.abs(weight_search.codes_of(layer, choice.scales)).max() <= 31


def statistics(graph: Graph, samples: list[Array]) -> dict[str, Statistics]:
    found = {}
    for layer in graph:
        if "weight_data" in layer.weights:
            net = Net.from_graph(graph)
            values = []
            for sample in samples:
                extractor = net.create_extractor()
                extractor.input("data", sample)
                values.append(extractor.extract(layer.bottoms[0])[1].reshape(-1))
            flat = np.concatenate(values)
            extent = blob_range(flat, 0)
            found[layer.name] = Statistics(extent, blob_histogram(flat, extent.absmax))
    return found


@pytest.mark.parametrize("sequential", [True, False])
def test_readers_of_one_blob_share_their_scale(sequential: bool) -> None:
    """The real ncnn2int8 gives codes of the first reader's scale to all: other scales would be wrong there."""
    graph, samples = branching(), blobs(6)
    search = Search(graph, [{"data": x} for x in samples], statistics(graph, samples), sequential=sequential)
    choices = search.run()
    assert list(choices.layers) == ["first", "left", "right", "classes"]
    assert choices.layers["left"].bottom_scale == choices.layers["right"].bottom_scale
    table = table_text(choices.rows(graph), ())
    int8 = quantized(graph, table)
    assert set(code_scales(int8)) == {"a", "a0", "a1"}
    upstream = branching()
    quantize_model(upstream, parse_table(table, upstream=True), upstream=True)
    for ours, theirs in zip(int8, upstream, strict=True):
        assert ours.params == theirs.params
        assert {k: v.values for k, v in ours.weights.items()} == {k: v.values for k, v in theirs.weights.items()}


@pytest.mark.parametrize("floats", [["first"], ["left"], ["classes"], ["left", "right"]])
def test_layers_left_out_are_left_out_upstream_too(floats: list[str]) -> None:
    graph, samples = branching(), blobs(4)
    rows = Search(graph, [{"data": x} for x in samples], statistics(graph, samples)).run().rows(graph)
    table = table_text(rows, floats)
    upstream = branching()
    quantize_model(upstream, parse_table(table, upstream=True), upstream=True)
    for network in (quantized(graph, table), upstream):
        stays = [
            layer.name
            for layer in network
            if "weight_data" in layer.weights and not layer.get.integer("int8_scale_term")
        ]
        assert stays == floats


def test_a_static_layer_takes_later_ones_along() -> None:
    graph = Graph([Layer("LSTM", name, [], []) for name in "ab"] + [Layer("Convolution", "c", [], [])])
    assert later_of_type(graph, graph.layer("a")) == ["a", "b"]
    assert later_of_type(graph, graph.layer("b")) == ["b"]
    assert later_of_type(graph, graph.layer("c")) == ["c"]


def test_threshold_candidates_by_hand() -> None:
    """999 values in the first bin and one at the end: the percentiles end with the first bin, or with the last."""
    values = np.full(1000, 0.0001, np.float32)
    values[-1] = 1.0
    extent = blob_range(values, 0)
    histogram = blob_histogram(values, extent.absmax)
    assert thresholds.percentile(histogram, 99.9) == 1 / 2048
    assert thresholds.percentile(histogram, 99.99) == 1.0
    found = thresholds.candidates(extent, histogram)
    assert found["absmax"] == 1.0
    assert max(found.values()) <= 1.0
    assert max(thresholds.around("absmax", 1.0, 1.0).values()) < 1.0


def test_split_chains_are_looked_through() -> None:
    layers = [
        Layer("Input", "i", [], ["x"]),
        Layer("Split", "s", ["x"], ["y", "z"]),
        Layer("Split", "t", ["z"], ["u", "v"]),
    ]
    assert split_sources(Graph(layers)) == {"x": "x", "y": "x", "z": "x", "u": "x", "v": "x"}


def test_costs_count_recurrent_layers() -> None:
    lstm = Layer("LSTM", "l", ["a"], ["b"])
    lstm.set("num_output", 8)
    lstm.set("direction", 2)
    lstm.set("weight_data_size", 2 * 4 * 8 * 5)
    assert layer_costs([lstm], {"a": (3, 5), "b": (3, 16)}) == {"l": 3 * 2 * 4 * 8 * (5 + 8)}
