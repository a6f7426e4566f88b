"""Codes that go from convolution to convolution through layers that move channels: the same bits as through floats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.net import Net
from fastpath.planning.tracing import Tap, Tracer
from spec.graph import Graph, Layer
from tests.kernels.test_plan import (
    SEED,
    assert_plan_equals_numpy,
    concat,
    convolution,
    depthwise_square,
    image,
    input_layer,
    kernels_in,
    split,
    square,
)


def shuffle(name: str, bottom: str, top: str, group: int = 2, *, reverse: bool = False) -> Layer:
    return Layer("ShuffleChannel", name, [bottom], [top], {0: group, 1: int(reverse)})


def halves(name: str, bottom: str, *tops: str) -> Layer:
    return Layer("Slice", name, [bottom], list(tops), {0: [-233] * len(tops)})


def enlarge(name: str, bottom: str, top: str, zoom: float = 2.0) -> Layer:
    return Layer("Interp", name, [bottom], [top], {0: 1, 1: zoom, 2: zoom})


def average_pool(name: str, bottom: str, top: str) -> Layer:
    return Layer("Pooling", name, [bottom], [top], {0: 1, 1: 2, 2: 2})


class Network:
    """Layers after an input of 6 channels, whose convolutions all have a scale of their own."""

    def __init__(self, signs: list[int]) -> None:
        self.layers = [input_layer()]
        self.signs = signs
        self.count = 0

    def add(self, *layers: Layer) -> None:
        self.layers += layers

    def convolve(self, name: str, bottom: str, channels: int, num_output: int, kernel: int = 1, **more: object) -> None:
        """A dense convolution that keeps the size."""
        self.count += 1
        geometry = square(channels, 1, num_output, kernel=kernel, pad=kernel // 2)
        activation = self.signs[self.count % len(self.signs)]
        seed, scale = SEED + self.count, 20.0 + 3 * self.count
        layer = convolution(name, bottom, name, geometry, activation=activation, seed=seed, bottom_scale=scale, **more)  # type: ignore[arg-type]
        self.add(layer)

    def depthwise(self, name: str, bottom: str, channels: int, bottom_scale: float = 30.0, term: int = 101) -> None:
        geometry = depthwise_square(channels, 1)
        layer = convolution(
            name, bottom, name, geometry, depthwise=True, term=term, bottom_scale=bottom_scale, activation=0
        )
        self.add(layer)


def shuffle_net(network: Network, half: int, units: int) -> str:
    """The units of a ShuffleNet; the name of the last blob, of twice `half` channels."""
    network.convolve("a", "in", 6, half)
    network.add(split("split", "a", "a0", "a1"))
    network.convolve("b", "a1", half, half)
    name = "a0"
    other = "b"
    for unit in range(units):
        joined, mixed, kept, rest = (f"{part}{unit}" for part in ("joined", "mixed", "kept", "rest"))
        network.add(concat(joined + "-layer", joined, name, other), shuffle(mixed + "-layer", joined, mixed))
        network.add(halves(kept + "-layer", mixed, kept, rest))
        network.convolve(f"in{unit}", rest, half, half, term=102)
        network.depthwise(f"middle{unit}", f"in{unit}", half)
        network.convolve(f"out{unit}", f"middle{unit}", half, half)
        name, other = kept, f"out{unit}"
    network.add(concat("last-layer", "last", name, other))
    return "last"


@settings(max_examples=12)
@given(
    half=st.sampled_from([2, 5, 8, 18]),
    units=st.integers(1, 2),
    size=st.integers(2, 4),
    signs=st.lists(st.integers(0, 1), min_size=1, max_size=4),
    reader=st.sampled_from(["dense", "depthwise", "both", "floats", "output"]),
)
def test_shuffle_units(half: int, units: int, size: int, signs: list[int], reader: str) -> None:
    network = Network(signs)
    last = shuffle_net(network, half, units)
    if reader == "both":
        network.add(split("ends", last, "end0", "end1"))
        network.convolve("dense", "end0", 2 * half, 7, kernel=3)
        network.depthwise("depthwise", "end1", 2 * half, bottom_scale=20.0 + 3 * network.count, term=1)
    elif reader == "dense":
        network.convolve("dense", last, 2 * half, 7, kernel=3)
    elif reader == "depthwise":
        network.depthwise("depthwise", last, 2 * half, term=1)
    elif reader == "floats":
        network.add(average_pool("pool", last, "pooled"))
    plan = assert_plan_equals_numpy(Graph(network.layers), {"in": image((6, size, size))})
    made = kernels_in(plan)
    assert all("codes" in made[f"out{unit}"] for unit in range(units - 1))
    assert all(made[f"mixed{unit}-layer"] == "nothing" for unit in range(units))


@pytest.mark.parametrize("activation", [0, 1])
@pytest.mark.parametrize("zoom", [1.0, 2.0, 3.0])
def test_pyramid(activation: int, zoom: float) -> None:
    """Codes of two sizes, and floats that are quantized, side by side in one feature map; one blob is a leak too."""
    network = Network([activation])
    network.add(split("inputs", "in", "in0", "in1"))
    network.convolve("small", "in0", 6, 20)
    network.add(split("smalls", "small", "small0", "small1", "small2"), average_pool("means", "small2", "mean"))
    network.add(enlarge("large-layer", "small0", "large", zoom), enlarge("raw-layer", "in1", "raw", zoom))
    network.convolve("lateral", "raw", 6, 11, kernel=3)
    network.add(enlarge("floats-layer", "small1", "floats", zoom))
    network.add(Layer("ReLU", "relu", ["floats"], ["rectified"]))
    network.add(concat("concat", "joined", "large", "lateral", "rectified"))
    network.convolve("out", "joined", 51, 4, kernel=3)
    plan = assert_plan_equals_numpy(Graph(network.layers), {"in": image((6, 4, 5))})
    assert plan.rows[-1].kernel != "numpy"


def test_readers_of_one_scale_share_a_feature_map() -> None:
    network = Network([1])
    network.convolve("a", "in", 6, 9)
    network.add(
        split("split", "a", "a0", "a1"), concat("concat", "twice", "a0", "a1"), split("ends", "twice", "e", "f")
    )
    for name, bottom in (("left", "e"), ("right", "f")):
        network.add(convolution(name, bottom, name, square(18, 1, 4), bottom_scale=25.0))
    plan = assert_plan_equals_numpy(Graph(network.layers), {"in": image((6, 5, 5))})
    assert "codes" in kernels_in(plan)["a"]


def refuse_parts(network: Network) -> None:
    """Half of a blob that is no source."""
    network.add(Layer("Sigmoid", "sigmoid", ["b"], ["s"]), halves("cut", "s", "s0", "s1"))
    network.add(concat("concat", "joined", "a", "s1"))
    network.convolve("out", "joined", 12, 3)


def refuse_halves(network: Network) -> None:
    """A slice of which one piece holds nothing but floats."""
    network.add(Layer("Sigmoid", "sigmoid", ["b"], ["s"]), concat("concat", "joined", "a", "s"))
    network.add(halves("cut", "joined", "codes", "floats"), Layer("ReLU", "relu", ["floats"], ["end"]))
    network.convolve("out", "codes", 8, 3)


def refuse_enlarged_floats(network: Network) -> None:
    """An enlarged blob that is wanted as codes and as floats."""
    network.add(concat("concat", "joined", "a", "b"), enlarge("enlarge", "joined", "large"))
    network.add(split("split", "large", "j0", "j1"), average_pool("pool", "j0", "pooled"))
    network.convolve("out", "j1", 16, 3)


def test_blob_of_codes_and_floats_is_wanted_as_floats() -> None:
    network = Network([1])
    network.add(split("inputs", "in", "in0", "in1"), Layer("Sigmoid", "sigmoid", ["in1"], ["s"]))
    network.convolve("a", "in0", 6, 8)
    network.add(concat("concat", "joined", "a", "s"))
    network.add(split("split", "joined", "j0", "j1"), average_pool("pool", "j0", "pooled"))
    network.convolve("out", "j1", 14, 3)
    plan = assert_plan_equals_numpy(Graph(network.layers), {"in": image((6, 4, 4))})
    assert "codes" in kernels_in(plan)["a"]


@pytest.mark.parametrize("end", [refuse_parts, refuse_halves, refuse_enlarged_floats])
def test_what_cannot_be_routed_goes_through_floats(end: Callable[[Network], None]) -> None:
    network = Network([0])
    network.add(split("inputs", "in", "in0", "in1"))
    network.convolve("a", "in0", 6, 8)
    network.convolve("b", "in1", 6, 8)
    end(network)
    plan = assert_plan_equals_numpy(Graph(network.layers), {"in": image((6, 4, 4))})
    assert "codes" not in kernels_in(plan)["a"]


def test_repeating_many_products_does_not_pay() -> None:
    """A convolution of long patches whose top blob many others want in scales of their own."""
    network = Network([1])
    network.convolve("a", "in", 6, 70)
    network.convolve("b", "a", 70, 8, kernel=3)
    ends = [f"b{index}" for index in range(4)]
    network.add(split("split", "b", *ends))
    network.add(*(Layer("Padding", f"pad{end}", [end], [f"p{end}"]) for end in ends[:3]))
    network.add(shuffle("shuffle", "b3", "mixed"), halves("halves", "mixed", "m0", "m1"))
    network.convolve("left", "m0", 4, 3)
    network.convolve("right", "m1", 4, 3)
    plan = assert_plan_equals_numpy(Graph(network.layers), {"in": image((6, 3, 3))})
    assert "codes" not in kernels_in(plan)["b"]


def test_traces() -> None:
    """Channels numbered by hand."""
    network = Network([0])
    network.convolve("a", "in", 6, 4)
    network.add(shuffle("shuffle", "a", "mixed"), halves("halves", "mixed", "left", "right"))
    network.add(enlarge("enlarge", "right", "large"), shuffle("back", "mixed", "again", reverse=True))
    graph = Graph(network.layers)
    net = Net.from_graph(graph)
    blobs = {"in": image((6, 2, 2))}
    for layer, operator in zip(graph.layers[1:], net._operators[1:], strict=True):
        blobs.update(zip(layer.tops, operator([blobs[name] for name in layer.bottoms]), strict=True))
    tracer = Tracer(graph.layers, blobs, set())
    assert [tap.channel for tap in tracer.trace("mixed")] == [0, 2, 1, 3]
    assert tracer.trace("left") == [Tap("a", 0), Tap("a", 2)]
    assert tracer.trace("large") == [Tap("a", 1, 2), Tap("a", 3, 2)]
    assert [tap.channel for tap in tracer.trace("again")] == [0, 1, 2, 3]
    assert Tracer(graph.layers, blobs, {"a"}).trace("mixed") == [Tap("mixed", channel) for channel in range(4)]
    assert np.array_equal(blobs["large"][1, 2:, :2], np.broadcast_to(blobs["a"][3, 1, 0], (2, 2)))
