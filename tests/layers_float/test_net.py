"""The interpreter: what may be fed, what runs, and how it says no."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spec.blob import Blob, int8_blob
from spec.errors import GraphError, UnsupportedError
from spec.formats.param import parse_param
from spec.graph import Graph, Layer
from spec.net import Net

DIAMOND = """7767517
6 8
Input input 0 2 in extra
Split fork 1 2 in left right
AbsVal absolute 1 1 left a
UnaryOp negative 1 1 right b 0=1
BinaryOp sum 2 1 a b out 0=0
TanH unused 1 1 extra squashed
"""


def diamond() -> Net:
    return Net.from_graph(parse_param(DIAMOND))


def test_computes_what_is_needed() -> None:
    net = diamond()
    assert net.input_names() == ["in", "extra"]
    assert net.output_names() == ["out", "squashed"]
    with net.create_extractor() as extractor:
        assert extractor.input("in", [[1.0, -2.0]]) == 0
        status, blob = extractor.extract("out")
        assert status == 0
        assert blob.tolist() == [[0.0, 4.0]]
        assert "squashed" not in extractor.computed


def test_any_order_of_extraction() -> None:
    extractor = diamond().create_extractor()
    extractor.input("in", [1.0, -2.0])
    assert extractor.extract("out")[1].tolist() == [0.0, 4.0]
    assert extractor.extract("left")[1].tolist() == [1.0, -2.0]
    assert extractor.extract("b")[1].tolist() == [-1.0, 2.0]


def test_feeding_an_inner_blob_cuts_the_network_there() -> None:
    extractor = diamond().create_extractor()
    extractor.input("a", [10.0])
    extractor.input("right", [3.0])
    assert extractor.extract("out")[1].tolist() == [7.0]


def test_feeding_again_forgets_what_was_computed() -> None:
    extractor = diamond().create_extractor()
    extractor.input("in", [-1.0])
    assert extractor.extract("out")[1].tolist() == [2.0]
    extractor.input("in", [-5.0])
    assert extractor.extract("out")[1].tolist() == [10.0]


def test_blobs_by_index() -> None:
    net = diamond()
    extractor = net.create_extractor()
    extractor.input(0, np.array([2.0], np.float32))
    index = net.graph.blob_names().index("out")
    assert extractor.extract(np.int64(index))[1].tolist() == [0.0]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["nothing", -1, 99])
def test_unknown_blobs(name: str | int) -> None:
    extractor = diamond().create_extractor()
    with pytest.raises(GraphError, match=r"no layer makes or reads|there is no blob"):
        extractor.input(name, [1.0])
    with pytest.raises(GraphError, match=r"no layer makes or reads|there is no blob"):
        extractor.extract(name)


def test_an_input_that_was_not_fed() -> None:
    with pytest.raises(GraphError, match=r"layer input: .*in was not fed"):
        diamond().create_extractor().extract("out")


def test_deep_networks_do_not_exhaust_the_stack() -> None:
    depth = 5000
    layers = [Layer("Input", "input", [], ["0"])]
    layers += [Layer("AbsVal", f"layer{k}", [str(k)], [str(k + 1)]) for k in range(depth)]
    extractor = Net.from_graph(Graph(layers)).create_extractor()
    extractor.input("0", [-1.0])
    assert extractor.extract(str(depth))[1].tolist() == [1.0]


def test_a_cycle_is_an_error() -> None:
    graph = Graph([Layer("AbsVal", "first", ["b"], ["a"]), Layer("AbsVal", "second", ["a"], ["b"])])
    with pytest.raises(GraphError, match="cycle"):
        Net.from_graph(graph).create_extractor().extract("b")


def test_a_blob_has_one_producer() -> None:
    graph = Graph([Layer("Input", "first", [], ["a"]), Layer("Input", "second", [], ["a"])])
    with pytest.raises(GraphError, match="layer second: makes blob a, which first makes already"):
        Net.from_graph(graph)


def test_types_that_cannot_run() -> None:
    with pytest.raises(UnsupportedError, match="layer mine: MyLayer is not a built-in"):
        Net.from_graph(Graph([Layer("MyLayer", "mine", [], ["a"])]))
    with pytest.raises(UnsupportedError, match="layer largest: ArgMax is a layer type of ncnn"):
        Net.from_graph(Graph([Layer("ArgMax", "largest", ["a"], ["b"])]))


def test_impossible_layers_are_found_at_load() -> None:
    with pytest.raises(GraphError, match="layer soft: Softmax has an axis"):
        Net.from_graph(Graph([Layer("Softmax", "soft", ["a"], ["b"], {0: 1})]))


def test_the_number_of_tops_must_fit() -> None:
    graph = Graph([Layer("Input", "input", [], ["a"]), Layer("AbsVal", "absolute", ["a"], ["b", "c"])])
    extractor = Net.from_graph(graph).create_extractor()
    extractor.input("a", [1.0])
    with pytest.raises(GraphError, match="layer absolute: AbsVal makes 1 blobs, but has 2 tops"):
        extractor.extract("b")


def test_int8_results_become_floats_unless_asked_for() -> None:
    graph = Graph([Layer("Input", "input", [], ["a"]), Layer("Flatten", "flat", ["a"], ["b"])])
    extractor = Net.from_graph(graph).create_extractor()
    extractor.input("a", np.array([[1, -2]], np.int8))
    assert extractor.extract("b", type=1)[1] == int8_blob((2,), [1, -2])
    assert extractor.extract("b")[1] == Blob((2,), "float32", [1.0, -2.0])
    assert extractor.extract("a")[1].dtype == "float32"


def test_loading_from_files(tmp_path: Path) -> None:
    param, model = tmp_path / "net.param", tmp_path / "net.bin"
    param.write_text("7767517\n2 2\nInput input 0 1 a\nBias bias 1 1 a b 0=1\n")
    model.write_bytes(np.array([0.5], np.float32).tobytes())
    with Net() as net:
        net.load_param(param)
        net.load_model(str(model))
        extractor = net.create_extractor()
        extractor.input("a", [1.0])
        assert extractor.extract("b")[1].tolist() == [1.5]
