"""The weights of a `null` model, against numbers of the real tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from spec.binary32 import f32
from spec.formats.param import parse_param
from spec.formats.random_weights import RandomWeights
from spec.formats.weights import format_weights, load_weights, read_model, read_weights, write_model
from spec.graph import Weight
from spec.layer_table import BY_NAME
from tests.golden_files import case_folder

DRAWS = [0x4CED790238048515, 0x6575EB46BC2C8DFD, 0x833C31E62A094A41, 0x1625F3C71F4CAD4F]


def test_draws() -> None:
    random = RandomWeights()
    assert [random.draw() for _ in DRAWS] == DRAWS


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-1.2, 1.2, [-0.478803515, -0.248806655, 0.0303294659, -0.992360175]),
        (90.0, 100.0, [93.004982, 93.9633026, 95.1263733]),
    ],
)
def test_uniform(low: float, high: float, expected: list[float]) -> None:
    random = RandomWeights()
    assert [random.uniform(low, high) for _ in expected] == [f32(value) for value in expected]


def test_int8_codes() -> None:
    filled = RandomWeights().fill(_weight("int8", 6), BY_NAME["Convolution"])
    assert filled.values.tolist() == [-50, -26, 3, -105, -78, 30]


def _weight(dtype: str, count: int) -> Weight:
    term = 2 if dtype == "int8" else 0
    graph = parse_param(f"7767517\n2 2\nInput in 0 1 a\nConvolution c 1 1 a b 0=1 1=1 6={count} 8={term}\n")
    read_weights(graph, "null")
    weight = graph.layers[1].weight("weight_data")
    assert weight.dtype == dtype
    return weight


def test_that_records_take_draws_in_rows_of_16_bytes() -> None:
    """Six weights and two biases: draws 1 to 6, then 9 and 10."""
    graph = parse_param("7767517\n2 2\nInput in 0 1 a\nConvolution c 1 1 a b 0=2 1=1 5=1 6=6\n")
    read_weights(graph, "null")
    assert set(graph.layers[1].weight("weight_data").values) == {0.0}
    random = RandomWeights()
    draws = [random.uniform(-1.2, 1.2) for _ in range(12)]
    written = parse_param("7767517\n2 2\nInput in 0 1 a\nConvolution c 1 1 a b 0=2 1=1 5=1 6=6\n")
    data = format_weights(graph, fp16=False)
    assert len(data) == 4 + 4 * 6 + 4 * 2
    assert data == format_weights(graph, fp16=False)
    load_weights(written, data)
    assert written.layers[1].weight("weight_data").values.tolist() == draws[:6]
    assert written.layers[1].weight("bias_data").values.tolist() == draws[8:10]


def test_ranges() -> None:
    """Scales of a convolution's blobs lie in 0.001 to 1, weight scales in 90 to 100, floats in -1.2 to 1.2."""
    text = "7767517\n3 3\nInput in 0 1 a\nConvolution c 1 1 a b 0=2 1=1 5=1 6=4 8=102\nRNN r 1 1 b c 0=1 1=4 8=2\n"
    graph = parse_param(text)
    read_weights(graph, "null")
    data = format_weights(graph, fp16=False)
    load_weights(graph, data)
    for layer in graph:
        for name, weight in layer.weights.items():
            if weight.dtype == "int8":
                assert all(-127 <= code <= 127 for code in weight.int8())
                continue
            if "blob_int8" in name:
                low, high = 0.001, 1.0
            elif "int8_scales" in name:
                low, high = 90.0, 100.0
            else:
                low, high = -1.2, 1.2
            assert all(f32(low) <= value <= f32(high) for value in weight.floats()), name
            assert len(set(weight.floats())) == len(weight)


@pytest.mark.parametrize(
    ("case", "fp16"),
    [("int8/args-null-bin", True), ("optimize/args-null-bin", False), ("optimize/args-null-bin-fp16", True)],
)
def test_what_the_real_tools_wrote(case: str, fp16: bool, tmp_path: Path) -> None:
    """The tools' own result gives the structure; its numbers are thrown away and drawn again."""
    folder = case_folder(case)
    graph = read_model(folder / "o.param", folder / "o.bin")
    for layer in graph:
        for name, weight in layer.weights.items():
            code = weight.values.typecode
            layer.weights[name] = Weight(name, weight.kind, weight.dtype, type(weight.values)(code, [0] * len(weight)))
    graph.null_weights = True
    write_model(graph, tmp_path / "o.param", tmp_path / "o.bin", fp16=fp16, upstream=True)
    assert (tmp_path / "o.bin").read_bytes() == (folder / "o.bin").read_bytes()
    assert (tmp_path / "o.param").read_bytes() == (folder / "o.param").read_bytes()
