"""Rewrites that the spec looks at and leaves alone, and what it says where it says something."""

from __future__ import annotations

import pytest

from spec.graph import Graph, Layer
from spec.optimize.arithmetic import SPEC_ARITHMETIC
from spec.optimize.cut import cut_graph, find_cut
from spec.optimize.mac_estimate import layer_mac_count
from spec.optimize.pipeline import optimize
from spec.optimize.rewriting import Rewriting
from tests.optimize.nets import net

IMAGE = "Input data 0 1 data 0=6 1=5 2=3"
NAMELESS = "Input data 0 1 data"
CONV = "Convolution c 1 1 data c 0=4 1=3 4=1 5=1 6=108"


def optimized(*lines: str, upstream: bool = False) -> tuple[Graph, str]:
    said: list[str] = []
    graph = optimize(net(*lines), upstream=upstream, report=said.append)
    return graph, "\n".join(said)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            (NAMELESS, "BinaryOp m 1 1 data m 0=2 1=1 2=0.5", "BinaryOp a 2 1 m data a 0=0"),
            "fuse_binaryop_eltwise m a a left alone: Eltwise does not broadcast, and the shapes are not known",
        ),
        (
            (IMAGE, "Pooling p 1 1 data p 0=1 4=1", "Convolution c 1 1 p c 0=2 1=1 4=1 6=6"),
            "c pads",
        ),
        (
            (IMAGE, "Pooling p 1 1 data p 0=1 4=1", "Convolution c 1 1 p c 0=2 1=1 19=1"),
            "the weights of c are computed at run time",
        ),
        (
            (IMAGE, "MemoryData m 0 1 m 0=1", "BinaryOp a 2 1 data m a 0=0", "BinaryOp b 2 1 a m b 0=0"),
            "blob m has 2 readers",
        ),
        (
            (IMAGE, "MemoryData m 0 1 m 0=1 11=1", "BinaryOp a 2 1 data m a 0=0"),
            "m has four dims",
        ),
        (
            ("Input v 0 1 v 0=3", NAMELESS, "Reshape r 1 1 v r 0=1 1=1 2=-1", "BinaryOp b 2 1 data r b 0=2"),
            "the shapes are not known",
        ),
        (
            (
                "Input v 0 1 v 0=3",
                IMAGE,
                "Reshape r 1 1 v r 0=1 1=1 2=-1",
                "BinaryOp b 2 1 data r b 0=2",
                "BinaryOp d 2 1 data r d 0=2",
            ),
            "blob r has 2 readers",
        ),
    ],
)
def test_what_is_said(lines: tuple[str, ...], reason: str) -> None:
    graph, said = optimized(*lines)
    assert reason in said
    assert len(graph.layers) == len(lines)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((IMAGE, "Reshape r 1 1 data r 0=1 1=1 2=-1", "ReLU e 1 1 r e"), id="no BinaryOp behind a Reshape"),
        pytest.param((IMAGE, "BinaryOp a 2 1 data data a 0=0"), id="no factors in a sum"),
        pytest.param(
            (IMAGE, "Split s 1 2 data a b", "Dropout d 1 1 a d", "ReLU r 1 1 b r"), id="a Dropout behind several tops"
        ),
        pytest.param((IMAGE, CONV, "BinaryOp a 2 1 c data a 0=0"), id="no constant operand"),
        pytest.param(
            (IMAGE, "MemoryData m 0 1 m 0=2", "Split s 1 2 m m0 m1", "ReLU e 1 1 m0 e"),
            id="no BinaryOp behind a Split",
        ),
        pytest.param(
            (IMAGE, "MemoryData m 0 1 m 0=3", "Split s 1 2 m m0 m1", "BinaryOp b 2 1 data m0 b 0=0"),
            id="the constant behind a Split is no scalar",
        ),
    ],
)
def test_what_does_not_match_stays(lines: tuple[str, ...]) -> None:
    graph, _ = optimized(*lines)
    assert [layer.type for layer in graph.layers] == [line.split()[0] for line in lines]


@pytest.mark.parametrize(
    "layer",
    [
        Layer("BinaryOp", "sum", ["data", "nowhere"], ["y"]),
        Layer("BinaryOp", "product", ["c", "nowhere"], ["y"], {0: 2}),
        Layer("Dropout", "dropout", ["nowhere"], ["y"]),
        Layer("Flatten", "flatten", ["nowhere"], ["y"]),
    ],
    ids=lambda layer: layer.name,
)
def test_a_blob_that_nothing_makes_is_no_operand(layer: Layer) -> None:
    """The reader refuses such a network; one that was made otherwise is left as it is."""
    graph = net(IMAGE, CONV)
    graph.layers.append(layer)
    assert optimize(graph, report=print).layers[-1] == layer


def test_a_layer_without_tops_starts_no_chain() -> None:
    graph = net(IMAGE, CONV)
    graph.layers[1].tops = []
    assert [each.type for each in optimize(graph, report=print).layers] == ["Input", "Convolution"]


def test_a_refusal_is_said_once() -> None:
    said: list[str] = []
    graph = net(IMAGE, CONV)
    rewriting = Rewriting(graph, SPEC_ARITHMETIC, {}, said.append)
    for _ in range(2):
        rewriting.refused("rule", graph.layers, "reason")
    assert said == ["rule data c left alone: reason"]


def test_the_rank_of_a_blob_that_nothing_makes_is_not_known() -> None:
    graph = Graph([Layer("Flatten", "f", ["x"], ["y"])])
    rewriting = Rewriting(graph, SPEC_ARITHMETIC, {}, print)
    assert (rewriting.rank("x"), rewriting.rank("y")) == (None, 1)


def test_no_operations_are_counted_for_a_bottom_of_unknown_shape() -> None:
    layer = net(IMAGE, CONV).layers[1]
    assert layer_mac_count(layer, None, (4, 5, 6)) == 0
    assert layer_mac_count(layer, (3, 5, 6), (4, 5, 6)) == 3 * 4 * 9 * 5 * 6


def test_an_input_of_unknown_shape_in_a_cut() -> None:
    graph = net(NAMELESS, "ReLU a 1 1 data a", "ReLU b 1 1 a b")
    piece = cut_graph(graph, find_cut(graph, "b", None, upstream=False, report=print))
    assert [(layer.type, layer.params) for layer in piece.layers] == [("Input", {}), ("ReLU", {})]
