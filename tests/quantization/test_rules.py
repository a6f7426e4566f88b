"""What ncnn2int8 does by default, on nets small enough to see through."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.quantization.arithmetic import NUMPY_ARITHMETIC
from spec.errors import FormatError, GraphError, UsageError
from spec.formats.param import parse_param
from spec.formats.table import parse_table
from spec.graph import Graph, Weight
from spec.quantization.arithmetic import SPEC_ARITHMETIC
from spec.quantization.quantize_model import quantize_model

CHAIN = """7767517
4 4
Input in 0 1 a 0=2 1=2 2=1
Convolution c1 1 1 a b 0=2 1=1 5=1 6=2
Convolution c2 1 1 b c 0=1 1=1 6=2
InnerProduct fc 1 1 c d 0=1 2=4
"""

BRANCHES = """7767517
5 6
Input in 0 1 a
Convolution c1 1 1 a b 0=1 1=1 6=1
Split s 1 2 b b0 b1
Convolution c2 1 1 b0 c 0=1 1=1 6=1
Convolution c3 1 1 b1 d 0=1 1=1 6=1
"""

RECURRENT = """7767517
2 2
Input in 0 1 a 0=2 1=1
RNN r 1 1 a b 0=1 1=2
"""

GEMM = """7767517
2 2
Input in 0 1 a 0=2 1=1
Gemm g 1 1 a b 3=1 5=1 8=2 9=2 10=-1
"""


def net(text: str, **weights: list[float]) -> Graph:
    """A graph with the float records LAYER__RECORD filled in, others with ones."""
    graph = parse_param(text)
    for layer in graph:
        assert layer.layer_type is not None
        for spec in layer.layer_type.weights:
            if spec.when(layer.get):
                values = weights.get(f"{layer.name}__{spec.name}", [1.0] * spec.count(layer.get))
                layer.weights[spec.name] = Weight(spec.name, spec.kind, "float32", array("f", values))
    return graph


def quantized(graph: Graph, table: str | None, *, upstream: bool = False) -> list[str]:
    lines: list[str] = []
    rows = None if table is None else parse_table(table, "t.table", upstream=upstream)
    quantize_model(graph, rows, upstream=upstream, report=lines.append)
    return lines


def terms(graph: Graph) -> dict[str, int]:
    return {layer.name: layer.get.integer("int8_scale_term") for layer in graph if "int8_scale_term" in list(layer.get)}


FULL = "c1_param_0 100 50\nc2_param_0 20\nfc_param_0 30\nc1 1.5\nc2 2.5\nfc 3.5\n"


def test_a_full_table_quantizes_everything_and_fuses_the_chain() -> None:
    graph = net(CHAIN, c1__weight_data=[0.5, -1.0])
    assert quantized(graph, FULL) == [
        "quantize_convolution c1",
        "quantize_convolution c2",
        "quantize_innerproduct fc",
        "fuse_requantize c1 c2",
    ]
    assert terms(graph) == {"c1": 102, "c2": 2, "fc": 2}
    c1 = graph.layer("c1")
    assert c1.weight("weight_data").int8().tolist() == [50, -50]
    assert c1.weight("weight_data_int8_scales").floats().tolist() == [100.0, 50.0]
    assert c1.weight("bottom_blob_int8_scales").floats().tolist() == [1.5]
    assert c1.weight("top_blob_int8_scales").floats().tolist() == [2.5]


@pytest.mark.parametrize("row", ["c1_param_0", "c1"])
@pytest.mark.parametrize("how", ["commented", "missing"])
def test_a_row_that_is_not_there_leaves_that_one_layer_float(row: str, how: str) -> None:
    lines = FULL.splitlines(keepends=True)
    edited = "".join(
        line if not line.startswith(f"{row} ") else (f"#{line}" if how == "commented" else "") for line in lines
    )
    graph = net(CHAIN)
    messages = quantized(graph, edited)
    assert terms(graph) == {"c1": 0, "c2": 2, "fc": 2}
    why = "is commented out" if how == "commented" else "is missing"
    assert messages[0] == f"c1 (Convolution) stays float: its row {row} {why} in t.table"


def test_upstream_a_missing_weight_row_leaves_the_rest_of_the_type_float() -> None:
    graph = net(CHAIN)
    quantized(graph, FULL.replace("c1_param_0", "#c1_param_0"), upstream=True)
    assert terms(graph) == {"c1": 0, "c2": 0, "fc": 2}


def test_a_blank_line_does_not_end_the_table() -> None:
    graph = net(CHAIN)
    quantized(graph, "\n" + FULL.replace("c1 1.5", "\nc1 1.5"))
    assert terms(graph) == {"c1": 102, "c2": 2, "fc": 2}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c1_param_0 100", "needs 2 scales, but the row has 1"),
        ("c1_param_0 100 50 25", "needs 2 scales, but the row has 3"),
        ("c1 1.5 2", "needs 1 scales, but the row has 2"),
        ("c1 0.000000", "scale 0 is 0.0"),
        ("c1_param_0 100 -50", "got '-50'"),
        ("c1_param_0 100 0.000000", "scale 1 is 0.0"),
        ("c1_param_0 100 inf", "not zero"),
    ],
)
def test_a_bad_row_is_refused(row: str, message: str) -> None:
    key = row.split()[0]
    table = "".join(line for line in FULL.splitlines(keepends=True) if not line.startswith(f"{key} ")) + row + "\n"
    with pytest.raises(FormatError, match=message):
        quantized(net(CHAIN), table)


def test_an_infinite_scale_stands_for_zero_weights() -> None:
    graph = net(CHAIN, c1__weight_data=[1.0, 0.0])
    quantized(graph, FULL.replace("c1_param_0 100 50", "c1_param_0 100 inf"))
    assert graph.layer("c1").weight("weight_data").int8().tolist() == [100, 0]
    assert graph.layer("c1").weight("weight_data_int8_scales").floats().tolist() == [100.0, 1.0]


def test_a_layer_that_saw_only_zeros_stays_float() -> None:
    graph = net(CHAIN)
    messages = quantized(graph, FULL.replace("c1 1.5", "c1 inf"))
    assert messages[0].startswith("c1 (Convolution) stays float: its activation scale is infinite")
    assert terms(graph) == {"c1": 0, "c2": 2, "fc": 2}


def test_without_a_table_convolutions_stay_float_and_recurrent_layers_do_not() -> None:
    graph = net(CHAIN)
    assert quantized(graph, None) == [
        f"{name} stays float: no calibration table was given"
        for name in ("c1 (Convolution)", "c2 (Convolution)", "fc (InnerProduct)")
    ]
    assert terms(graph) == {"c1": 0, "c2": 0, "fc": 0}
    recurrent = net(RECURRENT, r__weight_xc_data=[0.25, -0.5], r__weight_hc_data=[0.0])
    assert quantized(recurrent, None) == ["quantize_rnn r"]
    layer = recurrent.layer("r")
    assert layer.weight("weight_xc_data").int8().tolist() == [64, -127]
    assert layer.weight("weight_xc_data_int8_scales").floats().tolist() == [254.0]
    assert layer.weight("weight_hc_data_int8_scales").floats().tolist() == [1.0]


def test_upstream_refuses_a_recurrent_layer_without_a_table() -> None:
    with pytest.raises(UsageError, match="calibration table is required"):
        quantized(net(RECURRENT), None, upstream=True)


def test_branches_with_different_scales_are_not_fused() -> None:
    table = "".join(f"{name}_param_0 10\n" for name in ("c1", "c2", "c3")) + "c1 1\nc2 2\nc3 4\n"
    graph = net(BRANCHES)
    messages = quantized(graph, table)
    assert terms(graph) == {"c1": 2, "c2": 2, "c3": 2}
    assert messages[-1] == "c1 keeps its float output: behind s the bottom scales differ (2, 4)"
    graph = net(BRANCHES)
    quantized(graph, table.replace("c3 4", "c3 2"))
    assert terms(graph) == {"c1": 102, "c2": 2, "c3": 2}


def test_upstream_fuses_by_the_first_branch() -> None:
    graph = net(BRANCHES)
    quantized(graph, "c1_param_0 9\nc2_param_0 9\nc3_param_0 9\nc1 1\nc2 2\nc3 4\n", upstream=True)
    assert graph.layer("c1").weight("top_blob_int8_scales").floats().tolist() == [2.0]


def test_gemm_takes_one_scale_over_all_of_b() -> None:
    graph = net(GEMM, g__B_data=[1.0, 0.5, 2.0, -4.0])
    assert quantized(graph, None) == ["quantize_gemm g"]
    assert graph.layer("g").weight("B_data").int8().tolist() == [32, 16, 64, -127]
    upstream = net(GEMM, g__B_data=[1.0, 0.5, 2.0, -4.0])
    quantized(upstream, None, upstream=True)
    assert upstream.layer("g").weight("B_data").int8().tolist() == [127, 64, 127, -127]


def test_an_int8_model_is_refused() -> None:
    graph = net(CHAIN)
    quantized(graph, FULL)
    with pytest.raises(GraphError, match="c1: Convolution is int8 already"):
        quantized(graph, FULL)


weights = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8)
scales = st.floats(width=32, min_value=2.0**-20, max_value=2.0**20)


@given(weights, scales, st.integers(1, 3), st.booleans())
def test_both_arithmetics_quantize_alike(values: list[float], scale: float, groups: int, upstream: bool) -> None:
    data = array("f", values * groups)
    factors = [scale * 2**group for group in range(groups)]
    spec_codes = SPEC_ARITHMETIC.quantize(data, factors, upstream=upstream)
    assert NUMPY_ARITHMETIC.quantize(data, factors, upstream=upstream) == spec_codes


@given(st.integers(-127, 127), st.integers(-2, 2), st.booleans())
def test_both_arithmetics_round_ties_alike(code: int, ulps: int, upstream: bool) -> None:
    half = array("f", [code + 0.5 + ulps * 2.0**-17])
    expected = SPEC_ARITHMETIC.quantize(half, [1.0], upstream=upstream)
    assert NUMPY_ARITHMETIC.quantize(half, [1.0], upstream=upstream) == expected


@given(weights, st.integers(1, 3))
def test_both_arithmetics_find_the_same_static_scales(values: list[float], rows: int) -> None:
    data = array("f", values * rows)
    assert NUMPY_ARITHMETIC.static_scales(data, rows) == SPEC_ARITHMETIC.static_scales(data, rows)
