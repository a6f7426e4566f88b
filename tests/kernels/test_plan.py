"""Networks by their plan and layer by layer in numpy: the same bits.

Small networks run through the plan with interpreted kernels too: what holds here does not depend on a compiler.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastpath.layers.common import Array
from fastpath.net import Net
from fastpath.planner import Plans, make_plan
from fastpath.planning.layer_kinds import pool_windows
from fastpath.planning.plan import Plan
from fastpath.steps import dense
from spec.errors import UsageError
from spec.graph import Graph, Layer, Weight, float_weight, int8_weight
from tests.kernels.levels import require_compiled
from tests.models import model_folder
from tests.strategies import ConvGeometry, conv_geometry

SEED = 7


def plan_of(graph: Graph, fed: dict[str, Array]) -> tuple[Plan, dict[str, Array]]:
    """A plan, and the outputs as numpy computes them."""
    net = Net.from_graph(graph)
    net.opt.use_compiled_kernels = False
    extractor = net.create_extractor()
    for name, blob in fed.items():
        extractor.input(name, blob)
    expected = {name: extractor.extract(name, type=1)[1] for name in net.output_names()}
    plan = make_plan(graph, net._operators, fed)
    assert plan is not None
    return plan, expected


def same_bits(found: Array, expected: Array) -> bool:
    return found.dtype == expected.dtype and found.shape == expected.shape and found.tobytes() == expected.tobytes()


def assert_plan_equals_numpy(graph: Graph, fed: dict[str, Array]) -> Plan:
    plan, expected = plan_of(graph, fed)
    for _ in range(2):
        found = plan.run(fed)
        assert found.keys() == expected.keys()
        for name in expected:
            assert same_bits(found[name], expected[name]), f"blob {name}"
    return plan


def kernels_in(plan: Plan) -> dict[str, str]:
    """The kernel of each layer without its level."""
    return {row.layer: row.kernel.split()[0] + (", codes" if "codes" in row.kernel else "") for row in plan.rows}


def input_layer(name: str = "in") -> Layer:
    return Layer("Input", name, [], [name])


def convolution(
    name: str,
    bottom: str,
    top: str,
    geometry: ConvGeometry,
    *,
    depthwise: bool = False,
    term: int = 2,
    activation: int = 1,
    numbers: list[float] | None = None,
    bottom_scale: float = 40.0,
    top_scale: float = 30.0,
    seed: int = SEED,
) -> Layer:
    """An int8 convolution with random weights; its sums fill the codes of the next layer well."""
    random = np.random.default_rng(seed)
    count = geometry.num_output
    codes = random.integers(-127, 128, geometry.weight_count).astype(np.int8)
    terms = geometry.weight_count // count
    params: dict[int, Any] = {**geometry.params, 5: 1, 8: term, 9: activation}
    if numbers:
        params[10] = numbers
    if depthwise:
        params[7] = count
    weight_scales = random.uniform(30, 60, count) * np.sqrt(terms)
    weights: dict[str, Weight] = {
        "weight_data": int8_weight("weight_data", array("b", codes.tobytes())),
        "bias_data": float_weight("bias_data", array("f", random.normal(0, 0.5, count)), "raw"),
        "weight_data_int8_scales": float_weight("weight_data_int8_scales", array("f", weight_scales), "raw"),
        "bottom_blob_int8_scales": float_weight("bottom_blob_int8_scales", array("f", [bottom_scale]), "raw"),
    }
    if term > 100:
        weights["top_blob_int8_scales"] = float_weight("top_blob_int8_scales", array("f", [top_scale]), "raw")
    return Layer("ConvolutionDepthWise" if depthwise else "Convolution", name, [bottom], [top], params, weights=weights)


def square(channels: int, size: int, num_output: int, kernel: int = 3, stride: int = 1, pad: int = 1) -> ConvGeometry:
    return ConvGeometry(
        channels, (size, size), num_output, 1, (kernel, kernel), (1, 1), (stride, stride), (pad, pad, pad, pad)
    )


def depthwise_square(channels: int, size: int, stride: int = 1) -> ConvGeometry:
    return ConvGeometry(channels, (size, size), channels, channels, (3, 3), (1, 1), (stride, stride), (1, 1, 1, 1))


def image(shape: tuple[int, ...], seed: int = SEED) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


@settings(max_examples=40)
@given(data=st.data())
def test_any_geometry(data: st.DataObject) -> None:
    geometry = data.draw(conv_geometry())
    term = data.draw(st.sampled_from([2, 102]))
    activation, numbers = data.draw(st.sampled_from([(0, []), (1, []), (2, [0.25]), (3, [-1.0, 1.5]), (4, [])]))
    layer = convolution("conv", "in", "out", geometry, term=term, activation=activation, numbers=numbers)
    plan = assert_plan_equals_numpy(Graph([input_layer(), layer]), {"in": image(geometry.shape)})
    assert plan.rows[1].kernel != "numpy"


@settings(max_examples=25)
@given(data=st.data())
def test_any_geometry_between_convolutions(data: st.DataObject) -> None:
    """The middle one of three convolutions reads and writes feature maps; the first makes codes of either sign."""
    geometry = data.draw(conv_geometry())
    first = ConvGeometry(2, geometry.size, geometry.channels, 1, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0))
    last = square(geometry.num_output, 1, 3, kernel=1, pad=0)
    signs = data.draw(st.tuples(st.integers(0, 1), st.integers(0, 1)))
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", first, activation=signs[0]),
            convolution("middle", "a", "b", geometry, activation=signs[1], term=data.draw(st.sampled_from([2, 102]))),
            convolution("last", "b", "out", last, bottom_scale=30.0, seed=SEED + 1),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((2, *geometry.size))})
    assert all("codes out" in row.kernel for row in plan.rows[1:3])


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("scale", [30.0, 20.0])
@pytest.mark.parametrize(
    ("activation", "numbers"), [(2, [-0.25]), (4, []), (5, []), (6, [1 / 6, 0.5]), (6, [-0.2, 0.5]), (6, [1e-30, 1e30])]
)
def test_activations_without_stairs(activation: int, numbers: list[float], scale: float, depthwise: bool) -> None:
    """Float steps that are no staircase stay inside too, where the reader has the scale that codes would have."""
    last = depthwise_square(8, 6) if depthwise else square(8, 6, 4)
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 6, 8), term=102, activation=activation, numbers=numbers),
            convolution("last", "a", "out", last, bottom_scale=scale, depthwise=depthwise, term=2 - depthwise),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 6, 6))})
    inside = scale == 30.0 and 1e30 not in numbers
    assert plan.rows[1].kernel.endswith("float32 inside" if inside else "int8 out")


@pytest.mark.parametrize("channels", [3, 16, 24])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("activation", [0, 1])
def test_depthwise_between_convolutions(channels: int, stride: int, activation: int) -> None:
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 7, channels), activation=activation, term=102),
            convolution("depthwise", "a", "b", depthwise_square(channels, 7, stride), depthwise=True, term=101),
            convolution("depthwise-out", "b", "c", depthwise_square(channels, 7), depthwise=True, term=1),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 7, 7))})
    assert kernels_in(plan)["depthwise"] == "depthwise, codes"
    assert kernels_in(plan)["depthwise-out"] == "depthwise"


def split(name: str, bottom: str, *tops: str) -> Layer:
    return Layer("Split", name, [bottom], list(tops))


def concat(name: str, top: str, *bottoms: str) -> Layer:
    return Layer("Concat", name, list(bottoms), [top])


def max_pool(name: str, bottom: str, top: str, kernel: int, stride: int, pad: int = 0) -> Layer:
    return Layer("Pooling", name, [bottom], [top], {0: 0, 1: kernel, 2: stride, 3: pad})


@pytest.mark.parametrize("activation", [0, 1])
@pytest.mark.parametrize("pad", [0, 1])
def test_split_concat_and_pooling_stay_codes(activation: int, pad: int) -> None:
    """A fire module with pooling behind it; padded pooling of signed codes goes through floats."""
    graph = Graph(
        [
            input_layer(),
            convolution("squeeze", "in", "s", square(3, 9, 16, kernel=1, pad=0), term=102, activation=activation),
            split("split", "s", "s1", "s3"),
            convolution("expand1", "s1", "e1", square(16, 9, 8, kernel=1, pad=0), activation=activation),
            convolution("expand3", "s3", "e3", square(16, 9, 20), activation=activation, seed=SEED + 1),
            concat("concat", "e", "e1", "e3"),
            max_pool("pool", "e", "p", 3, 2, pad),
            convolution("next", "p", "out", square(28, 4, 5), seed=SEED + 2),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 9, 9))})
    made = kernels_in(plan)
    if pad and not activation:
        assert made["pool"] == "numpy"
        assert made["expand3"] in ("bytes_4x4", "bytes_2x4", "bytes_2x8", "words_2x4")
    else:
        assert made["concat"] == "nothing"
        assert made["pool"] == "max_pool, codes"


def eltwise(name: str, top: str, *bottoms: str) -> Layer:
    return Layer("Eltwise", name, list(bottoms), [top], {0: 1})


@settings(max_examples=25)
@given(
    channels=st.sampled_from([3, 8, 12, 64]),
    size=st.integers(3, 12),
    shortcut=st.booleans(),
    relu=st.booleans(),
    binary=st.booleans(),
    same_scale=st.booleans(),
    last=st.sampled_from(["convolution", "depthwise", "average"]),
)
def test_residual_blocks_keep_floats_pixel_after_pixel(
    channels: int, size: int, shortcut: bool, relu: bool, binary: bool, same_scale: bool, last: str
) -> None:
    """A block whose shortcut is the blob itself or a convolution of it; the addition may have a ReLU behind it."""
    flat = square(channels, size, channels, kernel=1, pad=0)
    add = Layer("BinaryOp", "sum", ["c", "d"], ["e"], {0: 0}) if binary else eltwise("sum", "e", "c", "d")
    layers = [
        input_layer(),
        convolution("first", "in", "a", square(3, size, channels), activation=1),
        split("split", "a", "b", "c0" if shortcut else "c"),
        convolution("left", "b", "b1", square(channels, size, channels), activation=1, bottom_scale=20.0),
        convolution("right", "b1", "d", square(channels, size, channels), activation=0),
        add,
    ]
    if shortcut:
        scale = 20.0 if same_scale else 30.0
        layers.insert(3, convolution("shortcut", "c0", "c", flat, activation=0, bottom_scale=scale, seed=SEED + 3))
    if relu:
        layers.append(Layer("ReLU", "relu", ["e"], ["f"]))
    top = "f" if relu else "e"
    if last == "average":
        layers.append(Layer("Pooling", "last", [top], ["out"], {0: 1, 4: 1}))
    elif last == "depthwise":
        layers.append(convolution("last", top, "out", depthwise_square(channels, size), depthwise=True, term=1))
    else:
        layers.append(convolution("last", top, "out", square(channels, size, 5)))
    plan = assert_plan_equals_numpy(Graph(layers), {"in": image((3, size, size))})
    assert all(row.kernel != "numpy" for row in plan.rows)


@settings(max_examples=25)
@example(kernel=2, stride=2, pad=1, mode=0, activation=1, channels=4)
@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    pad=st.integers(0, 2),
    mode=st.integers(0, 3),
    activation=st.integers(0, 1),
    channels=st.sampled_from([4, 6, 20]),
)
def test_max_pooling_of_sums(kernel: int, stride: int, pad: int, mode: int, activation: int, channels: int) -> None:
    """Two readers want different codes of what max pooling makes, so the sums are pooled."""
    pool = max_pool("pool", "a", "p", kernel, stride, min(pad, kernel - 1))
    pool.set("pad_mode", mode)
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 13, channels), activation=activation),
            pool,
            split("split", "p", "b", "c"),
            convolution("fine", "b", "x", square(channels, 3, 4), bottom_scale=40.0),
            convolution("coarse", "c", "y", square(channels, 3, 4), bottom_scale=20.0),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 13, 13))})
    if pool_windows(pool, (channels, 13, 13)) is not None:
        assert "maxima" in plan.rows[1].kernel
        assert plan.rows[2].kernel == "nothing to do"


def test_maps_and_blobs_meet() -> None:
    """A sum that something else than a convolution reads leaves as a blob; so do both of its bottoms."""
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 5, 8), activation=1),
            split("split", "a", "b", "c"),
            convolution("next", "b", "d", square(8, 5, 8), activation=0),
            eltwise("sum", "e", "d", "c"),
            split("again", "e", "f", "g"),
            convolution("last", "f", "x", square(8, 5, 4)),
            Layer("Sigmoid", "sigmoid", ["g"], ["y"]),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 5, 5))})
    assert kernels_in(plan)["sum"] == "numpy"


def test_a_relu_layer_joins_its_convolution() -> None:
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 5, 8), activation=0),
            Layer("ReLU", "relu", ["a"], ["b"]),
            convolution("second", "b", "out", square(8, 5, 4)),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 5, 5))})
    assert kernels_in(plan)["first"].endswith("codes")
    assert kernels_in(plan)["relu"] == "nothing"


@settings(max_examples=25)
@given(
    slopes=st.lists(st.floats(-1.5, 1.5, width=32), min_size=8, max_size=8),
    descaled=st.floats(0.125, 8, width=32),
    steps=st.booleans(),
)
def test_a_leaky_layer_joins_its_convolution(slopes: list[float], descaled: float, steps: bool) -> None:
    """Slopes may be negative: the codes then fall and rise again. With `steps` tables decide in every channel."""
    prelu = Layer("PReLU", "leaky", ["a"], ["b"], {0: 8})
    prelu.weights["slope_data"] = float_weight("slope_data", array("f", slopes), "raw")
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 5, 8), activation=0, bottom_scale=40.0 * descaled),
            prelu,
            convolution("second", "b", "out", square(8, 5, 4), bottom_scale=20.0),
        ]
    )
    with pytest.MonkeyPatch.context() as patch:
        if steps:
            patch.setattr("fastpath.steps.staircase.FEW", 10**6)
            patch.setattr("fastpath.kernels.staircase._Lines.exact", lambda lines, m: np.zeros(m.shape, bool))
        plan = assert_plan_equals_numpy(graph, {"in": image((3, 5, 5))})
    assert kernels_in(plan)["first"].endswith("codes")
    assert kernels_in(plan)["leaky"] == "nothing"


@pytest.mark.parametrize("slope", [0.1, 1.5])
def test_a_leaky_relu_layer_joins_its_convolution(slope: float) -> None:
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 5, 8), activation=0),
            Layer("ReLU", "leaky", ["a"], ["b"], {0: slope}),
            convolution("second", "b", "out", square(8, 5, 4)),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 5, 5))})
    assert kernels_in(plan)["first"].endswith("codes")
    assert kernels_in(plan)["leaky"] == "nothing"


@pytest.mark.parametrize("shape", [(20,), (5, 4), (5, 2, 2), (1, 20)])
@pytest.mark.parametrize("activation", [0, 4, 6])
def test_inner_product(shape: tuple[int, ...], activation: int) -> None:
    """A whole blob of any rank runs compiled; a matrix of one row gives a row."""
    layer = convolution("fc", "in", "out", square(20, 1, 7, kernel=1, pad=0), activation=activation, numbers=[0.2, 0.5])
    product = Layer("InnerProduct", "fc", ["in"], ["out"], {0: 7, 1: 1, 2: 140, 8: 2}, weights=layer.weights)
    product.set("activation_type", activation)
    product.set("activation_params", [0.2, 0.5])
    plan = assert_plan_equals_numpy(Graph([input_layer(), product]), {"in": image(shape)})
    assert plan.rows[1].kernel != "numpy"


@pytest.mark.parametrize("num_input", [4096, 8192, 8200, 20000])
@pytest.mark.parametrize("rectified", [True, False])
def test_inner_product_of_many_inputs(num_input: int, rectified: bool) -> None:
    """Long rows come in parts, whose sums are added; signed codes have a zero point in all of them."""
    shape = (num_input // 8, 2, 4)
    first = convolution("conv", "in", "a", square(3, 4, shape[0], 1, pad=0), activation=int(rectified))
    first.set("stride_h", 2)
    geometry = square(num_input, 1, 6, kernel=1, pad=0)
    layer = convolution("fc", "a", "out", geometry, activation=0, bottom_scale=20)
    product = Layer("InnerProduct", "fc", ["a"], ["out"], {0: 6, 1: 1, 2: 6 * num_input, 8: 2}, weights=layer.weights)
    plan = assert_plan_equals_numpy(Graph([input_layer(), first, product]), {"in": image((3, 4, 4))})
    assert kernels_in(plan)["fc"].endswith("_1x4")


@pytest.mark.parametrize(("rows", "num_input"), [(2, 6), (5, 32), (40, 140), (3, 8192), (3, 8200)])
@pytest.mark.parametrize("rectified", [True, False])
def test_inner_product_of_rows(rows: int, num_input: int, rectified: bool) -> None:
    """The rows of a matrix are as many pixels; where they are longer than the kernels take, numpy multiplies."""
    geometry = square(num_input, 1, 30, kernel=1, pad=0)
    weights = convolution("fc", "a", "out", geometry, bottom_scale=20).weights
    shape: dict[int, Any] = {0: 30, 1: 1, 2: 30 * num_input, 8: 2, 9: 1}
    first = [Layer("ReLU", "relu", ["in"], ["a"])] if rectified else [Layer("TanH", "tanh", ["in"], ["a"])]
    product = Layer("InnerProduct", "fc", ["a"], ["out"], shape, weights=weights)
    plan = assert_plan_equals_numpy(Graph([input_layer(), *first, product]), {"in": image((rows, num_input))})
    assert (kernels_in(plan)["fc"] == "numpy") == (num_input > 8192)


@pytest.mark.parametrize("activation", [0, 1])
def test_global_average_pooling_joins_its_convolution(activation: int) -> None:
    graph = Graph(
        [
            input_layer(),
            convolution("last", "in", "a", square(3, 13, 7, kernel=1), activation=activation),
            Layer("Pooling", "average", ["a"], ["out"], {0: 1, 4: 1}),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 13, 13))})
    assert "averages" in plan.rows[1].kernel
    assert plan.rows[2].kernel == "nothing to do"


def test_readers_of_different_scales_get_floats() -> None:
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 5, 8)),
            split("split", "a", "b", "c"),
            convolution("fine", "b", "x", square(8, 5, 4), bottom_scale=40.0),
            convolution("coarse", "c", "y", square(8, 5, 4), bottom_scale=20.0),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 5, 5))})
    assert not kernels_in(plan)["first"].endswith("codes")


def test_a_blob_in_two_concats_is_held_once() -> None:
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 5, 8)),
            split("split", "a", "b", "c", "d"),
            concat("one", "x", "b", "c"),
            convolution("after-one", "x", "e", square(16, 5, 4)),
            concat("two", "y", "d", "e"),
            convolution("after-two", "y", "out", square(12, 5, 4)),
        ]
    )
    assert_plan_equals_numpy(graph, {"in": image((3, 5, 5))})


def test_every_layer_says_what_runs_it_and_why() -> None:
    float_layer = Layer(
        "Convolution",
        "float",
        ["b"],
        ["out"],
        {0: 1, 1: 1, 6: 8},
        weights={"weight_data": float_weight("weight_data", array("f", [0.5] * 8), "tagged")},
    )
    swish = convolution("swish", "in", "a", square(3, 5, 8), activation=6, numbers=[0.2, 0.5])
    after = convolution("after", "a", "b", square(8, 5, 8))
    plan = assert_plan_equals_numpy(Graph([input_layer(), swish, after, float_layer]), {"in": image((3, 5, 5))})
    reasons = {row.layer: row.reason for row in plan.rows}
    assert "no integers stand for its float steps" in reasons["swish"]
    assert reasons["after"] == ""
    assert reasons["float"] == "float weights"


@pytest.mark.parametrize(
    "name", ["digits-cnn", "digits-cnn16-bn", "mtcnn-rnet", "mtcnn-pnet", "squeezenet_v1.1", "rfb320"]
)
def test_trained_networks(name: str) -> None:
    require_compiled()
    folder = model_folder(name)
    planned, plain = loaded(folder), loaded(folder)
    plain.opt.use_compiled_kernels = False
    inputs = {path.stem.removeprefix("input-0-"): np.load(path) for path in folder.glob("input-0-*.npy")}
    rows = planned.plan(**{blob_name: blob.shape for blob_name, blob in inputs.items()})
    assert any(row.kernel not in ("numpy", "nothing to do") for row in rows)
    for output in plain.output_names():
        blobs = []
        for net in (planned, plain):
            extractor = net.create_extractor()
            for blob_name, blob in inputs.items():
                extractor.input(blob_name, blob)
            blobs.append(extractor.extract(output)[1])
        assert same_bits(*blobs)


def test_a_plan_waits_for_the_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastpath.kernels.COMPILED", True)
    graph = Graph([input_layer(), convolution("conv", "in", "out", square(3, 5, 8))])
    net = Net.from_graph(graph)
    plans, small, large = Plans(), {"in": image((3, 5, 5))}, {"in": image((3, 6, 6))}
    assert plans.find(graph, net._operators, small) is None
    plan = plans.find(graph, net._operators, small)
    assert plan is not None
    assert plans.find(graph, net._operators, large) is None
    assert plans.find(graph, net._operators, small) is plan
    assert plans.find(graph, net._operators, large, at_once=True) is not None


def test_the_plan_of_a_net_can_be_read() -> None:
    require_compiled()
    graph = Graph([input_layer(), convolution("conv", "in", "out", square(3, 5, 8))])
    net = Net.from_graph(graph)
    assert [row.layer for row in net.plan(**{"in": (3, 5, 5)})] == ["in", "conv"]
    with pytest.raises(UsageError, match="shape of input in"):
        net.plan()
    net.opt.use_compiled_kernels = False
    assert [(row.kernel, row.reason) for row in net.plan(**{"in": (3, 5, 5)})] == [
        ("nothing to do", ""),
        ("numpy", "opt.use_compiled_kernels is off"),
    ]


def test_a_profile_times_the_plan() -> None:
    """The first one, too: layers with nothing to do in the plan take no time."""
    require_compiled()
    layers = [convolution("first", "in", "a", square(3, 5, 8)), Layer("Split", "split", ["a"], ["b", "c"])]
    layers += [convolution("second", "b", "d", square(8, 5, 8)), convolution("third", "c", "e", square(8, 5, 8))]
    times = Net.from_graph(Graph([input_layer(), *layers])).profile({"in": image((3, 5, 5))}, runs=2)
    assert [row.layer.name for row in times] == ["first", "second", "third"]


def loaded(folder: Path) -> Net:
    net = Net()
    net.load_param(folder / "int8-kl.param")
    net.load_model(folder / "int8-kl.bin")
    return net


@settings(max_examples=20)
@given(
    channels=st.sampled_from([8, 16, 24, 40]),
    kernel=st.sampled_from([(5, 5), (3, 5), (5, 3), (3, 3)]),
    stride=st.integers(1, 2),
    width=st.integers(5, 40),
)
def test_runs_of_pixels_with_spare_bytes(channels: int, kernel: tuple[int, int], stride: int, width: int) -> None:
    """Channels that do not fill a pixel's bytes are computed with the bytes behind them, in runs over many pixels."""
    pads = (kernel[0] // 2, kernel[0] // 2, kernel[1] // 2, kernel[1] // 2)
    geometry = ConvGeometry(channels, (6, width), channels, channels, kernel, (1, 1), (stride, stride), pads)
    point = square(channels, 1, channels, kernel=1, pad=0)
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 1, channels)),
            convolution("depthwise", "a", "b", geometry, depthwise=True, term=1),
            convolution("point", "b", "c", point, seed=SEED + 1),
            convolution("last", "c", "out", square(channels, 1, 4), seed=SEED + 2),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 6, width))})
    assert all("codes out" in row.kernel for row in plan.rows[1:4])


@settings(max_examples=15)
@given(axis=st.sampled_from([0, -3, 1]), activation=st.integers(0, 1), reverse=st.integers(0, 1), relu=st.booleans())
def test_shuffled_and_cut_channels(axis: int, activation: int, reverse: int, relu: bool) -> None:
    """Pieces of a blob of floats need no copy, and pieces of what convolutions make need nothing at all."""
    half = square(8, 6, 8, kernel=1, pad=0)
    cut = Layer("Slice", "cut", ["d"], ["e", "f"])
    cut.set("slices", [-233, -233])
    cut.set("axis", axis)
    after = square(8 if axis != 1 else 16, 6, 4, kernel=1, pad=0)
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 6, 8), activation=1),
            split("split", "a", "b", "c"),
            convolution("second", "b", "x", half, activation=activation),
            concat("concat", "y", "c", "x"),
            Layer("ReLU" if relu else "Dropout", "between", ["y"], ["z"]),
            Layer("ShuffleChannel", "shuffle", ["z"], ["d"], {0: 2, 1: reverse}),
            cut,
            convolution("left", "e", "out1", after, bottom_scale=30.0),
            convolution("right", "f", "out2", after, bottom_scale=20.0),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 6, 6))})
    moved = "views" if relu else "nothing"
    assert kernels_in(plan)["cut"] == ("numpy" if axis == 1 else moved)


@pytest.mark.parametrize("fine_scale", [20.0, 40.0])
def test_equal_codes_are_made_once(fine_scale: float) -> None:
    """Two readers of one blob that want the same scale share its codes, with the wider border of the two."""
    graph = Graph(
        [
            input_layer(),
            Layer("Sigmoid", "sigmoid", ["in"], ["a"]),
            split("split", "a", "b", "c"),
            convolution("wide", "b", "out1", square(4, 6, 4, kernel=5, pad=2), bottom_scale=fine_scale),
            convolution("other", "x", "y", square(4, 6, 4), bottom_scale=40.0),
            convolution("narrow", "c", "out2", depthwise_square(4, 6), depthwise=True, term=1, bottom_scale=40.0),
        ]
    )
    graph.layers.insert(1, input_layer("x"))
    plan = assert_plan_equals_numpy(graph, {"in": image((4, 6, 6)), "x": image((4, 6, 6), SEED + 1)})
    entries = [step for step, _ in plan.steps if getattr(getattr(step, "before", step), "entry", None) is not None]
    assert len(entries) == (2 if fine_scale == 40.0 else 3)


def test_priors_are_known_beforehand() -> None:
    """PriorBox reads shapes alone: its tops are constants, and what it reads may stay codes."""
    boxes = Layer("PriorBox", "boxes", ["b2", "in2"], ["priors"], {0: [8.0], 2: [2.0], 9: -233, 10: -233, 13: 0.5})
    graph = Graph(
        [
            input_layer(),
            Layer("Split", "images", ["in"], ["in1", "in2"]),
            convolution("first", "in1", "a", square(3, 6, 8)),
            Layer("Split", "split", ["a"], ["b1", "b2"]),
            convolution("second", "b1", "out", square(8, 6, 4)),
            boxes,
            Layer("Concat", "twice", ["priors"], ["all"]),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 6, 6))})
    kernels = kernels_in(plan)
    assert kernels["first"].endswith("codes")
    assert kernels["boxes"] == kernels["twice"] == "constant"


@pytest.mark.parametrize(("kernel", "stride", "pad", "mode"), [(3, 2, 0, 0), (3, 1, 1, 0), (2, 2, 0, 1), (1, 2, 0, 0)])
@pytest.mark.parametrize("local_size", [1, 4, 5])
def test_normalization_and_pooling_of_maps(kernel: int, stride: int, pad: int, mode: int, local_size: int) -> None:
    """LRN and max pooling take floats pixel after pixel where a convolution makes and another one wants them so."""
    lrn: dict[int, Any] = {1: local_size, 2: 0.5, 3: 0.75, 4: 1.5}
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 9, 8)),
            Layer("LRN", "lrn", ["a"], ["b"], lrn),
            Layer("Pooling", "pool", ["b"], ["c"], {0: 0, 1: kernel, 2: stride, 3: pad, 5: mode}),
            Layer("Split", "split", ["c"], ["d", "e"]),
            convolution("second", "d", "out", square(8, 9, 4)),
            Layer("Pooling", "again", ["e"], ["f"], {0: 0, 1: 3, 2: 1, 3: 1}),
            convolution("third", "f", "other", square(8, 9, 4, 1, pad=0), bottom_scale=25),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 9, 9))})
    kernels = kernels_in(plan)
    assert kernels["lrn"] == "LRN,"
    assert kernels["pool"] == kernels["again"] == "maxima,"


@pytest.mark.parametrize("rows", [1, 2, 3, 9])
@pytest.mark.parametrize("shared", [False, True])
def test_layers_follow_row_after_row(monkeypatch: pytest.MonkeyPatch, shared: bool, rows: int) -> None:
    """A convolution makes so many rows at a time; LRN and max pooling, one behind the other, take them at once."""
    monkeypatch.setattr(dense, "MAP_TILE", rows * 9 * 8)
    readers = ["b", "x"] if shared else ["b"]
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 9, 8)),
            Layer("Split", "copies", ["a"], readers),
            Layer("LRN", "lrn", ["b"], ["c"], {1: 5, 2: 0.5}),
            max_pool("pool", "c", "d", 3, 1, 1),
            split("split", "d", "e", "f"),
            Layer("LRN", "next", ["e"], ["g"], {1: 3, 2: 0.1}),
            max_pool("last", "f", "h", 3, 2, 1),
            convolution("second", "g", "out1", square(8, 9, 4)),
            convolution("third", "h", "out2", square(8, 5, 4), bottom_scale=25.0),
        ]
    )
    if shared:
        graph.layers.append(convolution("fourth", "x", "out3", square(8, 9, 4)))
    else:
        graph.layers[2:4] = [Layer("LRN", "lrn", ["a"], ["c"], {1: 5, 2: 0.5})]
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 9, 9))})
    ran = {graph.layers[index].name for index in plan.layers}
    assert not ran & {"lrn", "pool", "next", "last"}


def test_rows_of_sums_are_followed() -> None:
    """LRN behind an addition that a convolution ends with, and behind one that is a step of its own."""
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 9, 8)),
            split("split", "a", "b", "c", "d"),
            convolution("second", "b", "x", square(8, 9, 8)),
            eltwise("sum", "y", "x", "c"),
            split("again", "y", "y1", "y2"),
            Layer("LRN", "lrn", ["y1"], ["z"], {1: 5, 2: 0.5}),
            eltwise("total", "t", "y2", "d"),
            Layer("LRN", "alone", ["t"], ["u"], {1: 5, 2: 0.5}),
            convolution("third", "z", "out", square(8, 9, 4)),
            convolution("fourth", "u", "other", square(8, 9, 4)),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 9, 9))})
    ran = {graph.layers[index].name for index in plan.layers}
    assert "lrn" not in ran
    assert {"total", "alone"} <= ran


@pytest.mark.parametrize("scale", [20.0, 30.0])
def test_a_relu_of_a_copy_leaves_the_other_copies_alone(scale: float) -> None:
    """As in residual networks that normalize before they convolve."""
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 6, 8), activation=0),
            split("split", "a", "b", "c", "d"),
            Layer("ReLU", "relu", ["b"], ["e"]),
            convolution("second", "e", "x", square(8, 6, 8), bottom_scale=20.0, activation=0),
            eltwise("sum", "y", "x", "c"),
            convolution("third", "y", "out", square(8, 6, 4), bottom_scale=30.0),
            convolution("fourth", "d", "other", square(8, 6, 4), bottom_scale=scale),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 6, 6))})
    assert [row.kernel for row in plan.rows if row.layer == "relu"] == ["relu"]


def test_pooling_of_signed_floats_is_no_map() -> None:
    graph = Graph(
        [
            input_layer(),
            convolution("first", "in", "a", square(3, 6, 8), activation=0),
            Layer("LRN", "lrn", ["a"], ["b"], {1: 3}),
            Layer("Pooling", "pool", ["b"], ["c"], {0: 0, 1: 3, 2: 1, 3: 1}),
            convolution("second", "c", "out", square(8, 6, 4)),
        ]
    )
    plan = assert_plan_equals_numpy(graph, {"in": image((3, 6, 6))})
    assert kernels_in(plan)["pool"] == "numpy"


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize(("term", "stride", "pad"), [(2, 1, 1), (102, 2, 0), (2, 3, 2)])
def test_a_blob_larger_than_an_arena_goes_in_bands(depthwise: bool, term: int, stride: int, pad: int) -> None:
    require_compiled()
    shape = (16, 701, 400)
    count, groups = (16, 16) if depthwise else (5, 1)
    geometry = ConvGeometry(16, shape[1:], count, groups, (3, 3), (1, 1), (stride, stride), (pad, pad, pad, pad))
    layer = convolution("conv", "in", "out", geometry, depthwise=depthwise, term=term - depthwise)
    plan = assert_plan_equals_numpy(Graph([input_layer(), layer]), {"in": image(shape)})
    assert "bands" in plan.rows[1].kernel
