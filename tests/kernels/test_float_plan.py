"""Plans of networks without int8 layers: their blobs beside those of numpy, and the kernels that move numbers."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastpath import Net
from fastpath.arena import int_buffer
from fastpath.float_plan import bands, builder
from fastpath.float_plan.builder import float_plan
from fastpath.float_plan.plan import FloatPlan
from fastpath.kernels.source.cells import CELLS
from fastpath.layers.common import Array
from fastpath.planning.plan import Plan
from spec.graph import Graph, Layer, float_weight
from tests.kernels.levels import every_level, kernels_of, require_compiled

Floats = NDArray[np.float32]

TOLERANCE = 2e-6
"""Relative to the largest number of a network: other orders of summation, a few layers deep."""


class Network:
    """Writes a float network; a blob is named after the layer that makes it."""

    def __init__(self, shape: tuple[int, int, int], seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.data = self.random.standard_normal(shape).astype(np.float32)
        self.layers = [Layer("Input", "in", [], ["in"])]
        self.shapes = {"in": shape}

    def add(self, type: str, name: str, bottoms: list[str], tops: int = 1, **params: float | list[float]) -> list[str]:
        names = [name] if tops == 1 else [f"{name}_{i}" for i in range(tops)]
        layer = Layer(type, name, bottoms, names)
        for key, value in params.items():
            layer.set(key, value)
        self.layers.append(layer)
        return names

    def convolution(
        self,
        name: str,
        bottom: str,
        channels: int,
        num_output: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        pad: int = 0,
        depthwise: bool = False,
        activation: int = 1,
        numbers: list[float] | None = None,
    ) -> str:
        inputs = 1 if depthwise else channels
        count = num_output * inputs * kernel * kernel
        params: dict[str, Any] = {
            "num_output": num_output, "kernel_w": kernel, "stride_w": stride, "dilation_w": dilation, "pad_left": pad,
            "bias_term": 1, "weight_data_size": count, "activation_type": activation,
        }  # fmt: skip
        if numbers is not None:
            params["activation_params"] = numbers
        if depthwise:
            params["group"] = channels
        self.add("ConvolutionDepthWise" if depthwise else "Convolution", name, [bottom], **params)
        values = self.random.normal(0, 1 / np.sqrt(inputs * kernel * kernel), count).astype(np.float32)
        biases = self.random.standard_normal(num_output).astype(np.float32)
        self.layers[-1].weights = {
            "weight_data": float_weight("weight_data", array("f", values.tobytes()), "tagged"),
            "bias_data": float_weight("bias_data", array("f", biases.tobytes()), "raw"),
        }
        return name


def assert_plan_agrees(network: Network) -> Plan:
    """Every blob of the plan beside the one that numpy computes layer by layer; twice, for what a run leaves behind.

    Differences are judged beside the largest value of the network: sums of large terms may cancel in a single blob.
    """
    graph = Graph(network.layers)
    net = Net.from_graph(graph)
    net.opt.use_compiled_kernels = False
    names = [top for layer in graph for top in layer.tops if layer.type != "Input"]
    expected = net.infer({"in": network.data}, names)
    plan = small_plan(graph, net, {"in": network.data, **expected}, names)
    fed: dict[str, Array] = {"in": network.data}
    plan.run({"in": np.full_like(network.data, 3.5)})
    found = plan.run(fed)
    assert found.keys() == expected.keys()
    largest = max(float(np.abs(blob).max()) for blob in (network.data, *expected.values()))
    for name, blob in expected.items():
        assert found[name].shape == blob.shape, name
        assert np.abs(found[name] - blob).max() <= TOLERANCE * largest, name
    alone = small_plan(graph, net, {"in": network.data, **expected}, graph.output_names())
    for _ in range(2):
        for name, blob in alone.run(fed).items():
            assert blob.tobytes() == found[name].tobytes(), name
    return plan


def small_plan(graph: Graph, net: Net, blobs: dict[str, Array], wanted: list[str]) -> FloatPlan:
    """A plan also where layer by layer would do."""
    worth_it, builder.WORTH_IT = builder.WORTH_IT, 0
    try:
        plan = float_plan(graph, net._operators, blobs, wanted)
    finally:
        builder.WORTH_IT = worth_it
    assert plan is not None
    return plan


def kinds(plan: Plan) -> dict[str, str]:
    return {row.layer: row.kernel for row in plan.rows}


@settings(max_examples=25, deadline=None)
@given(
    channels=st.integers(1, 5),
    num_output=st.integers(1, 6),
    size=st.tuples(st.integers(5, 13), st.integers(5, 13)),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    pad=st.integers(0, 2),
    after=st.integers(1, 3),
    activation=st.sampled_from([(0, []), (1, []), (2, [0.25]), (3, [-0.5, 0.5]), (6, [0.2, 0.5])]),
)
def test_convolutions_of_all_shapes(
    channels: int,
    num_output: int,
    size: tuple[int, int],
    kernel: int,
    stride: int,
    dilation: int,
    pad: int,
    after: int,
    activation: tuple[int, list[float]],
) -> None:
    require_compiled()
    network = Network((channels, *size))
    first = network.convolution("first", "in", channels, 4, 3, pad=1, activation=activation[0], numbers=activation[1])
    second = network.convolution("second", first, 4, num_output, kernel, stride=stride, dilation=dilation, pad=pad)
    network.convolution("third", second, num_output, 3, after, pad=after // 2)
    assert_plan_agrees(network)


@settings(max_examples=15, deadline=None)
@given(
    channels=st.integers(1, 40),
    size=st.tuples(st.integers(4, 20), st.integers(4, 20)),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    pad=st.integers(0, 1),
)
def test_depthwise_of_all_shapes(channels: int, size: tuple[int, int], kernel: int, stride: int, pad: int) -> None:
    require_compiled()
    network = Network((3, *size))
    first = network.convolution("first", "in", 3, channels, 1)
    deep = network.convolution("deep", first, channels, channels, kernel, stride=stride, pad=pad, depthwise=True)
    network.convolution("last", deep, channels, 2, 1)
    row = kinds(assert_plan_agrees(network))["deep"]
    assert row == ("numpy" if kernel == 1 and pad == 1 and stride == 1 else "float depthwise")


@pytest.mark.parametrize("size", [(8, 8), (9, 13)])
@pytest.mark.parametrize(("kernel", "pad", "mode"), [(2, 0, 0), (2, 0, 1), (3, 0, 0), (3, 0, 1), (3, 1, 0)])
def test_pooling_takes_the_same_numbers(size: tuple[int, int], kernel: int, pad: int, mode: int) -> None:
    require_compiled()
    network = Network((3, *size))
    blob = network.convolution("before", "in", 3, 5, 3, pad=1)
    (pooled,) = network.add("Pooling", "pool", [blob], kernel_w=kernel, stride_w=2, pad_left=pad, pad_mode=mode)
    network.convolution("after", pooled, 5, 4, 3, pad=1)
    assert kinds(assert_plan_agrees(network))["pool"] == "float max_pooling"


def test_pooling_of_signed_numbers_stays_with_numpy() -> None:
    require_compiled()
    network = Network((3, 8, 8))
    blob = network.convolution("before", "in", 3, 5, 3, activation=0)
    network.add("Pooling", "pool", [blob], kernel_w=2, stride_w=2)
    assert kinds(assert_plan_agrees(network))["pool"] == "numpy"


def test_branches_that_are_joined_and_added() -> None:
    """A Concat of blobs that only it reads, one of a blob that others read too, an addition, and a ReLU after it."""
    require_compiled()
    network = Network((4, 10, 9))
    stem = network.convolution("stem", "in", 4, 6, 3, pad=1)
    a, b, c = network.add("Split", "split", [stem], 3)
    left, right = network.convolution("left", a, 6, 4), network.convolution("right", b, 6, 5, 3, pad=1)
    (joined,) = network.add("Concat", "joined", [left, right])
    again, rest = network.add("Split", "again", [joined], 2)
    (both,) = network.add("Concat", "both", [again, c])
    narrow = network.convolution("narrow", rest, 9, 15, activation=0)
    (total,) = network.add("BinaryOp", "total", [both, narrow])
    (clipped,) = network.add("ReLU", "clipped", [total])
    deep = network.convolution("deep", clipped, 15, 15, 3, pad=1, depthwise=True)
    (permuted,) = network.add("Permute", "permuted", [deep], order_type=3)
    network.add("Reshape", "flat", [permuted], w=15, h=-1)
    plan = assert_plan_agrees(network)
    assert {name: kinds(plan)[name] for name in ("joined", "both", "total", "clipped")} == {
        "joined": "float concat", "both": "float concat", "total": "float addition", "clipped": "float relu",
    }  # fmt: skip


@pytest.mark.parametrize("activation", [(0, []), (1, []), (3, [0.25, 1.0]), (4, []), (6, [0.2, 0.5])])
def test_rows_end_with_zeros_for_those_who_read_borders(activation: tuple[int, list[float]]) -> None:
    """Whatever becomes of the borders between rows in layers that compute them along with the pixels."""
    require_compiled()
    network = Network((6, 7, 9))
    blob = "in"
    for layer, kernel in (("first", 1), ("second", 3), ("third", 1), ("fourth", 3), ("fifth", 1), ("sixth", 1)):
        blob = network.convolution(
            layer, blob, 6, 6, kernel, pad=kernel // 2, depthwise=kernel > 1, activation=activation[0],
            numbers=activation[1],
        )  # fmt: skip
    network.convolution("last", blob, 6, 4, 3, pad=1)
    assert_plan_agrees(network)


@settings(max_examples=20, deadline=None)
@given(
    size=st.tuples(st.integers(5, 23), st.integers(5, 13)),
    kernel=st.sampled_from([2, 3]),
    stride=st.integers(1, 3),
    pad=st.integers(0, 1),
    activation=st.sampled_from([(0, []), (1, []), (4, [])]),
    after=st.sampled_from([1, 3]),
)
def test_depthwise_kernels_run_band_by_band(
    size: tuple[int, int], kernel: int, stride: int, pad: int, activation: tuple[int, list[float]], after: int
) -> None:
    """Along with the 1 by 1 kernel behind them, whatever is read beside and after them."""
    require_compiled()
    network = Network((5, *size))
    first = network.convolution("first", "in", 5, 7, 3, pad=1)
    deep = network.convolution(
        "deep", first, 7, 7, kernel, stride=stride, pad=pad, depthwise=True, activation=activation[0]
    )
    last = network.convolution("last", deep, 7, 9, 1, activation=activation[0])
    network.convolution("after", last, 9, 4, after, pad=after // 2)
    network.convolution("beside", first, 7, 3, 1)
    graph = Graph(network.layers)
    net = Net.from_graph(graph)
    net.opt.use_compiled_kernels = False
    blobs = net.infer({"in": network.data}, ["first", "deep", "last", "after", "beside"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "FEWEST_NUMBERS", 0)
        patch.setattr(bands, "ROWS", 3)
        plan = small_plan(graph, net, {"in": network.data, **blobs}, ["after", "beside"])
    assert [graph.layers[index].name for index in plan.layers] == ["first", "last", "after", "beside"]
    largest = max(float(np.abs(blob).max()) for blob in (network.data, *blobs.values()))
    for data in (np.full_like(network.data, 3.5), network.data):
        found = plan.run({"in": data})
    for name in ("after", "beside"):
        assert np.abs(found[name] - blobs[name]).max() <= TOLERANCE * largest


def test_a_pointwise_kernel_with_borders() -> None:
    require_compiled()
    network = Network((4, 6, 7))
    blob = network.convolution("first", "in", 4, 8, 3, pad=1)
    network.convolution("second", blob, 8, 5, 1, pad=1)
    assert kinds(assert_plan_agrees(network))["second"] == "float bordered_pointwise"


@pytest.mark.parametrize("pad", [0, 1])
def test_a_pointwise_kernel_before_an_average(pad: int) -> None:
    """The blob between the two is made pixel after pixel, unless it is wanted itself."""
    require_compiled()
    network = Network((4, 6, 7))
    blob = network.convolution("first", "in", 4, 8, 3, pad=1)
    blob = network.convolution("second", blob, 8, 20, 1, pad=pad)
    network.add("Pooling", "average", [blob], pooling_type=1, global_pooling=1)
    graph = Graph(network.layers)
    net = Net.from_graph(graph)
    net.opt.use_compiled_kernels = False
    expected = net.infer({"in": network.data}, ["first", "second", "average"])
    plan = small_plan(graph, net, {"in": network.data, **expected}, ["average"])
    for _ in range(2):
        found = plan.run({"in": network.data})["average"]
        assert np.abs(found - expected["average"]).max() <= TOLERANCE * np.abs(expected["average"]).max()


def test_layers_in_place_keep_what_others_read() -> None:
    """A blob that two layers read is not overwritten by the first; one that one layer reads may be."""
    require_compiled()
    network = Network((4, 9, 9))
    stem = network.convolution("stem", "in", 4, 6, 3, pad=1, activation=0)
    a, b = network.add("Split", "split", [stem], 2)
    deep = network.convolution("deep", a, 6, 6, 3, pad=1, depthwise=True)
    (total,) = network.add("Eltwise", "total", [deep, b], op_type=1)
    (clipped,) = network.add("ReLU", "clipped", [total])
    deeper = network.convolution("deeper", clipped, 6, 6, 3, pad=1, depthwise=True)
    network.convolution("last", deeper, 6, 4)
    assert_plan_agrees(network)


def test_all_inferences_of_a_network_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    require_compiled()
    monkeypatch.setattr(builder, "WORTH_IT", 0)
    network = Network((3, 12, 12))
    blob = network.convolution("first", "in", 3, 8, 3, pad=1)
    network.convolution("second", blob, 8, 8, 3, pad=1)
    net = Net.from_graph(Graph(network.layers))
    found = {net.infer({"in": network.data})["second"].tobytes() for _ in range(3)}
    assert len(found) == 1
    with net.create_extractor() as extractor:
        extractor.input("in", network.data)
        blobs = extractor.each(["in", "first", "second", "first"])
        assert next(blobs).tobytes() == network.data.tobytes()
        first = next(blobs).tobytes()
        assert next(blobs).tobytes() in found
        assert next(blobs).tobytes() == first


def test_blobs_taken_one_by_one_are_those_of_one_run() -> None:
    """In the order asked for, which is not that of the layers, with a layer that works in place, and one blob twice."""
    require_compiled()
    network = Network((4, 9, 9))
    stem = network.convolution("stem", "in", 4, 6, 3, pad=1, activation=0)
    (clipped,) = network.add("ReLU", "clipped", [stem])
    deep = network.convolution("deep", clipped, 6, 6, 3, pad=1)
    network.convolution("last", deep, 6, 6, 3, pad=1)
    graph = Graph(network.layers)
    net = Net.from_graph(graph)
    net.opt.use_compiled_kernels = False
    fed = {"in": network.data}
    expected = net.infer(fed, ["stem", "clipped", "deep", "last"])
    for wanted in (["stem", "clipped", "deep", "last"], ["deep", "stem", "last", "clipped", "stem"]):
        plan = small_plan(graph, net, {**fed, **expected}, wanted)
        together = plan.run(fed)
        for name, blob in zip(wanted, plan.each(fed), strict=True):
            assert np.array_equal(blob, together[name])
            assert np.abs(blob - expected[name]).max() <= TOLERANCE * np.abs(expected[name]).max()


def test_a_network_without_much_to_do_has_no_plan() -> None:
    require_compiled()
    network = Network((3, 12, 12))
    network.convolution("only", "in", 3, 8, 3, pad=1)
    net = Net.from_graph(Graph(network.layers))
    assert [row.kernel for row in net.plan(**{"in": (3, 12, 12)})] == ["nothing to do", "numpy"]


@every_level()
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_columns_of_pixels(level: str, stride: int) -> None:
    channels, h, w, kernel, out_pitch = 2, 9, 11, 3, 12
    out_h, out_w = (h - kernel) // stride + 1, (w - kernel) // stride + 1
    cells = int_buffer(CELLS)
    planes = np.arange(channels * h * w, dtype=np.int32).reshape(channels, h, w)
    cells.items[: planes.size] = planes.reshape(-1)
    target, length = 5000, out_h * out_pitch
    kernels_of(level).cells.columns(
        cells.data, cells.start, h * w, w, channels, kernel, kernel, 1, 1, stride, stride,
        cells.start + target, length, out_h, out_pitch, out_w,
    )  # fmt: skip
    rows = cells.items[target : target + kernel * kernel * channels * length]
    found = rows.reshape(kernel, kernel, channels, out_h, out_pitch)[..., :out_w]
    for ky in range(kernel):
        for kx in range(kernel):
            seen = planes[:, ky::stride, kx::stride][:, :out_h, :out_w]
            assert np.array_equal(found[ky, kx], seen)


@every_level()
@pytest.mark.parametrize("kernel", [2, 3])
def test_largest_bits(level: str, kernel: int) -> None:
    channels, h, w = 2, 9, 13
    out_h, out_w = (h - kernel) // 2 + 1, (w - kernel) // 2 + 1
    cells = int_buffer(CELLS)
    planes = np.random.default_rng(4).exponential(1, (channels, h, w)).astype(np.float32)
    planes[planes < 0.5] = 0
    cells.items.view(np.float32)[: planes.size] = planes.reshape(-1)
    kernels_of(level).cells.largest(
        cells.data, cells.start, h * w, w, kernel, channels, cells.start + 3000, out_h * out_w, out_w, out_h, out_w
    )
    found = cells.items.view(np.float32)[3000 : 3000 + channels * out_h * out_w].reshape(channels, out_h, out_w)
    for y in range(out_h):
        for x in range(out_w):
            window = planes[:, 2 * y : 2 * y + kernel, 2 * x : 2 * x + kernel]
            assert np.array_equal(found[:, y, x], window.max(axis=(1, 2)))
