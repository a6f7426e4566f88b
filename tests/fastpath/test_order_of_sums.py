"""Float layers whose sums have an order of their own: their last bits are the same on every machine."""

from __future__ import annotations

import numpy as np
import pytest

from fastpath import kernels
from fastpath.layers import PREPARE
from fastpath.layers.inner_product import in_four_sums
from spec.formats.param import parse_param
from spec.formats.weights import load_weights
from spec.graph import Graph

BIG = 2.0**24
"""Adding 1 to this is lost in binary32."""


def graph_of(line: str, weights: list[float]) -> Graph:
    graph = parse_param(f"7767517\n2 2\nInput in 0 1 in\n{line}\n")
    load_weights(graph, bytes(4) + np.array(weights, np.float32).tobytes())
    return graph


def test_every_fourth_product_goes_to_the_same_sum() -> None:
    ones = np.ones(9, np.float32)
    # The sums are BIG + 1 + 1 (which stays BIG), 0, -BIG and 1: (BIG - BIG) + (0 + 1).
    values = np.array([BIG, 0, -BIG, 1, 1, 0, 0, 0, 1], np.float32)
    assert in_four_sums(values, ones) == 1.0
    assert in_four_sums(values[:4], ones[:4]) == 1.0
    assert in_four_sums(values[:1], ones[:1]) == BIG


def test_one_output_of_a_vector_is_summed_so() -> None:
    layer = graph_of("InnerProduct fc 1 1 in out 0=1 1=1 2=5", [BIG, 1, -BIG, 0, 1, 0.5]).layers[1]
    (output,) = PREPARE[layer.type](layer)([np.ones(5, np.float32)])
    # (BIG + 1 - BIG) + (1 + 0) + 0.5, where BIG swallows the 1 beside it.
    assert output.tolist() == [1.5]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("type", ["Convolution", "ConvolutionDepthWise"])
def test_depthwise_sums_are_rounded_once(type: str, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not compiled:
        monkeypatch.setattr(kernels, "COMPILED", False)
    layer = graph_of(f"{type} dw 1 1 in out 0=1 1=3 11=1 5=1 6=3", [1, 1, -1, 1]).layers[1]
    (output,) = PREPARE[layer.type](layer)([np.array([[[BIG, 1, BIG, 0]]], np.float32)])
    # 1 + BIG + 1 - BIG, where binary32 would lose both ones, and 1 + 1 + BIG - 0.
    assert output.tolist() == [[[2.0, BIG + 2]]]
