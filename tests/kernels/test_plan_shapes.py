"""The shapes that a float plan goes by are those of the blobs that the layers make."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import Net
from fastpath.planner import hollow_blobs
from spec.errors import AssayError, GraphError
from spec.graph import Graph
from tests.kernels.test_float_plan import Network

SAME_UPPER, SAME_LOWER = -233, -234
"""Pads of a convolution."""


def assert_shapes(network: Network) -> None:
    """Shapes and types of all blobs beside those of the blobs; or no layer by layer, and so no shapes either."""
    net = Net.from_graph(Graph(network.layers))
    net.opt.use_compiled_kernels = False
    names = [top for layer in network.layers for top in layer.tops]
    try:
        expected = net.infer({"in": network.data}, names)
    except AssayError:
        with pytest.raises(AssayError):
            hollow_blobs(net._loaded(), net._operators, {"in": network.data})
        return
    found = hollow_blobs(net._loaded(), net._operators, {"in": network.data})
    assert {name: (blob.shape, blob.dtype) for name, blob in found.items()} == {
        name: (blob.shape, blob.dtype) for name, blob in expected.items()
    }


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    pads=st.one_of(
        st.sampled_from([(SAME_UPPER,) * 4, (SAME_LOWER,) * 4]), st.tuples(*[st.sampled_from([0, 1, 2])] * 4)
    ),
    depthwise=st.booleans(),
)
def test_convolutions(
    size: tuple[int, int], kernel: int, stride: int, dilation: int, pads: tuple[int, ...], depthwise: bool
) -> None:
    network = Network((3, *size))
    network.convolution("conv", "in", 3, 3, kernel, stride=stride, dilation=dilation, depthwise=depthwise)
    for name, pad in zip(("pad_left", "pad_right", "pad_top", "pad_bottom"), pads, strict=True):
        network.layers[-1].set(name, pad)
    network.add("Sigmoid", "end", ["conv"])
    assert_shapes(network)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    params=st.fixed_dictionaries(
        {"pooling_type": st.integers(0, 1), "kernel_w": st.integers(1, 4), "stride_w": st.integers(1, 3)},
        optional={
            "pad_mode": st.integers(0, 3),
            "pad_left": st.integers(0, 2),
            "pad_bottom": st.integers(0, 2),
            "global_pooling": st.integers(0, 1),
            "avgpool_count_include_pad": st.integers(0, 1),
        },
    ),
)
def test_pooling(size: tuple[int, int], params: dict[str, Any]) -> None:
    network = Network((3, *size))
    network.add("Pooling", "pool", ["in"], **params)
    assert_shapes(network)


@pytest.mark.parametrize("out", [(2, 3), (-233, 1)])
def test_adaptive_pooling(out: tuple[int, int]) -> None:
    network = Network((3, 7, 8))
    network.add("Pooling", "pool", ["in"], adaptive_pooling=1, out_w=out[0], out_h=out[1])
    network.add("Flatten", "flat", ["pool"])
    assert_shapes(network)


def test_a_bottom_blob_that_does_not_fit_is_a_fault() -> None:
    network = Network((4, 6, 6))
    network.convolution("conv", "in", 3, 3, 3)
    net = Net.from_graph(Graph(network.layers))
    with pytest.raises(GraphError, match="has weights for 3 channels"):
        hollow_blobs(net._loaded(), net._operators, {"in": network.data})
    with pytest.raises(GraphError, match="has weights for 3 channels"):
        net.infer({"in": np.zeros((4, 6, 6), np.float32)})
