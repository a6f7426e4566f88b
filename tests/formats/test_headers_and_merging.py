"""Headers for programs and merged networks, where the golden cases do not reach."""

from __future__ import annotations

import pytest

from spec.errors import GraphError
from spec.formats.memory_header import format_id_header, format_memory_header
from spec.formats.merge import merge_graphs, namespace_of
from spec.formats.param import format_param, parse_param
from spec.graph import Graph, Layer


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Layer("Noop", "a/b", [], ["x"]), Layer("Noop", "a_b", [], ["y"])], "the layers a/b and a_b"),
        ([Layer("Noop", "a", [], ["x.1"]), Layer("Noop", "b", [], ["x:1"])], "the blobs x.1 and x:1"),
    ],
)
def test_that_names_must_differ_in_c(layers: list[Layer], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        format_id_header(Graph(layers), "net.param", "net.id.h")


def test_an_id_header() -> None:
    graph = Graph([Layer("Input", "in", [], ["a"]), Layer("MyOp", "op/1", ["a"], ["b", "c"])])
    assert format_id_header(graph, "dir/my.net.param", "out/ids.h") == (
        "#ifndef NCNN_INCLUDE_GUARD_ids_h\n"
        "#define NCNN_INCLUDE_GUARD_ids_h\n"
        "namespace my_net_param_id {\n"
        "const int LAYER_in = 0;\n"
        "const int BLOB_a = 0;\n"
        "const int LAYER_op_1 = 1;\n"
        "const int BLOB_b = 1;\n"
        "const int BLOB_c = 2;\n"
        "const int TYPEINDEX_MyOp = 256;\n"
        "} // namespace my_net_param_id\n"
        "#endif // NCNN_INCLUDE_GUARD_ids_h\n"
    )


def test_rows_of_a_memory_header() -> None:
    """A line ends after each 16th byte, and only there."""
    header = format_memory_header({"a.bin": bytes(16), "b.bin": bytes(17), "c.bin": b""}, "m.h")
    row = "0x00," * 16
    assert f"a_bin[] = {{\n{row}\n}};\n" in header
    assert f"b_bin[] = {{\n{row}\n0x00,}};\n" in header
    assert "c_bin[] = {\n};\n" in header


def test_merging() -> None:
    first = parse_param("7767517\n2 2\nInput in 0 1 a 0=4\nReLU r/x 1 1 a b 0=5.0\n")
    second = parse_param("7767517\n1 1\nInput in 0 1 a\n")
    merged = merge_graphs([("m1", first), ("m2.x", second)])
    assert format_param(merged).splitlines()[1:] == [
        "3 3",
        "Input                    m1/in                    0 1 m1/a 0=4",
        "ReLU                     m1/r/x                   1 1 m1/a m1/b 0=5.000000e+00",
        "Input                    m2.x/in                  0 1 m2.x/a",
    ]
    assert first.layers[0].name == "in"


def test_that_networks_need_names_of_their_own() -> None:
    graph = parse_param("7767517\n1 1\nInput in 0 1 a\n")
    with pytest.raises(GraphError, match="two networks would both be called m"):
        merge_graphs([(namespace_of("x/m.param"), graph), (namespace_of("y/m.param"), graph)])
