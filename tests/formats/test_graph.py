"""Networks as data."""

from __future__ import annotations

from array import array

import pytest

from spec.errors import GraphError
from spec.formats.param import parse_param
from spec.graph import Graph, Layer, Weight, float_weight, int8_weight, ncnn_extents, numpy_shape

TEXT = """7767517
5 6
Input in 0 1 a -23330=5,3,4,5,1,6
Split sp 1 2 a b c
ReLU r 1 1 b d 0=0.5
Input other 0 1 e
Eltwise sum 2 1 c d f
"""


def graph() -> Graph:
    return parse_param(TEXT)


def test_names_and_wiring() -> None:
    net = graph()
    net.check()
    assert net.blob_names() == ["a", "b", "c", "d", "e", "f"]
    assert net.input_names() == ["a", "e"]
    assert net.output_names() == ["e", "f"]
    assert net.producers()["d"].name == "r"
    assert [layer.name for layer in net.consumers()["c"]] == ["sum"]
    assert net.consumers()["f"] == []
    assert net.blob_shapes() == {"a": (6, 5, 4)}
    assert net.layer("r").get.number("slope") == 0.5
    with pytest.raises(GraphError, match="layer x: no such layer"):
        net.layer("x")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ReLU r", "ReLU sp", "layer sp: two layers have this name"),
        ("2 1 c d f", "2 1 c b f", "reads blob b, which r reads already: put a Split between"),
    ],
)
def test_what_a_param_file_may_say_but_no_network_can_run(old: str, new: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        parse_param(TEXT.replace(old, new)).check()


def test_wiring_by_hand() -> None:
    with pytest.raises(GraphError, match="reads blob x, which no earlier layer makes"):
        Graph([Layer("ReLU", "r", ["x"], ["y"])]).check()
    with pytest.raises(GraphError, match="makes blob y, which an earlier layer makes already"):
        Graph([Layer("Input", "i", [], ["y"]), Layer("Input", "j", [], ["y"])]).check()


def test_parameters_by_name() -> None:
    layer = Layer("Convolution", "c", ["a"], ["b"], {1: 3})
    assert layer.get.integer("kernel_h") == 3
    layer.set("kernel_h", 5)
    assert layer.params == {1: 3, 11: 5}
    layer.unset("kernel_h")
    layer.unset("kernel_h")
    assert layer.params == {1: 3}
    with pytest.raises(KeyError, match="no parameter 'kernel'"):
        layer.set("kernel", 1)
    custom = Layer("MyOp", "m", [], [])
    for use in (lambda: custom.get, lambda: custom.set("x", 1), lambda: custom.unset("x")):
        with pytest.raises(GraphError, match="not a built-in layer type"):
            use()


def test_weights() -> None:
    floats = float_weight("w", array("f", [1.5]), "raw")
    halves = Weight("w", "tagged", "float16", array("H", [0x3E00]))
    codes = int8_weight("w", array("b", [-3]))
    assert floats.floats().tolist() == halves.floats().tolist() == [1.5]
    assert codes.int8().tolist() == [-3]
    assert len(codes) == 1
    with pytest.raises(TypeError, match="holds int8 codes"):
        codes.floats()
    with pytest.raises(TypeError, match="holds float16"):
        halves.int8()
    with pytest.raises(TypeError, match="need array"):
        Weight("w", "raw", "float32", array("d", [1.0]))
    with pytest.raises(GraphError, match="Input has no weight record w"):
        Layer("Input", "i", [], []).weight("w")


@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2, 3), (4, 5, 2, 3)])
def test_extents(shape: tuple[int, ...]) -> None:
    extents = ncnn_extents(shape)
    assert extents[0] == len(shape)
    assert extents[1] == shape[-1]
    assert numpy_shape(*extents) == shape


def test_extents_that_are_no_shape() -> None:
    assert numpy_shape(0, 0, 0, 0, 0) is None
    with pytest.raises(ValueError, match="1 to 4 dims"):
        ncnn_extents((1, 1, 1, 1, 1))
