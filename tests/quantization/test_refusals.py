"""Layers that stay float and say why, and models that are int8 already."""

from __future__ import annotations

from array import array

import pytest

from spec.errors import FormatError, GraphError
from spec.formats.param import parse_param
from spec.formats.table import parse_table
from spec.formats.weights import zero_weights
from spec.graph import Graph, int8_weight
from spec.quantization.quantize_model import quantize_model

ROWS = "c_param_0 1.0\nc 1.0\nd_param_0 1.0\nd 1.0\ne_param_0 1.0\ne 1.0\n"


def net(*lines: str) -> Graph:
    blobs: dict[str, None] = {}
    for line in lines:
        words = line.split()
        blobs |= dict.fromkeys(words[4 : 4 + int(words[2]) + int(words[3])])
    graph = parse_param("\n".join(["7767517", f"{len(lines)} {len(blobs)}", *lines, ""]))
    zero_weights(graph)
    return graph


def quantized(graph: Graph, rows: str | None = ROWS, *, upstream: bool = False) -> list[str]:
    said: list[str] = []
    table = None if rows is None else parse_table(rows, "t.table", upstream=upstream)
    quantize_model(graph, table, upstream=upstream, report=said.append)
    return said


def test_weights_that_arrive_at_run_time() -> None:
    graph = net("Input a 0 1 a", "Input w 0 1 w", "Convolution c 2 1 a w b 19=1")
    (line,) = quantized(graph)
    assert line == "c (Convolution) stays float: its weights arrive while the network runs, so it stays float"


def test_upstream_says_that_it_fuses_what_is_float() -> None:
    """The real tool prints before it looks at the weights."""
    lines = (
        "Input a 0 1 a",
        "Convolution x 1 1 a b 0=1 1=1 6=1",
        "Split s 1 2 b b0 b1",
        "Convolution c 1 1 b0 y 0=1 1=1 6=1",
        "Convolution d 1 1 b1 z 0=1 1=1 6=1",
    )
    rows = ROWS + "x_param_0 1.0\n"
    assert "fuse_requantize x s" not in quantized(net(*lines), rows)
    table = "c_param_0 1.0\nd_param_0 1.0\nx_param_0 1.0\nc 1.0\nd 1.0\n"
    assert "fuse_requantize x s" in quantized(net(*lines), table, upstream=True)


def test_int8_models_are_refused() -> None:
    gemm = "Gemm g 1 1 a b 3=1 5=1 8=1 9=64 10=-1 18={}"
    with pytest.raises(GraphError, match="is block-quantized already"):
        quantized(parse_param(f"7767517\n2 2\nInput a 0 1 a\n{gemm.format(400)}\n"))
    int8 = net("Input a 0 1 a", "InnerProduct c 1 1 a b 0=1 2=1")
    int8.layers[1].set("int8_scale_term", 2)
    int8.layers[1].weights["weight_data"] = int8_weight("weight_data", array("b", [1]))
    with pytest.raises(GraphError, match="is int8 already: start from the float model"):
        quantized(int8)
    with pytest.raises(GraphError, match="the real tool would read its codes as floats"):
        quantized(int8, upstream=True)


def test_upstream_too_few_scales_are_an_error() -> None:
    graph = net("Input a 0 1 a", "InnerProduct c 1 1 a b 0=3 2=3")
    with pytest.raises(FormatError, match="expected 3 scales, but got 2"):
        quantized(graph, "c_param_0 1.0 2.0\nc 1.0\n", upstream=True)
