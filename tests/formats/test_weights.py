"""Model files: the vectors of the reference, every kind of record, binary16, and faults."""

from __future__ import annotations

import math
import struct
from array import array
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec.errors import FormatError, FormatWarning, GraphError
from spec.formats.param import parse_param
from spec.formats.weights import (
    format_weights,
    load_weights,
    narrow_as_x86,
    narrow_to_nearest,
    read_model,
    truncate_to_half,
    without_tiny_values,
    write_model,
    zero_weights,
)
from spec.graph import Graph, Weight, float_weight, int8_weight
from tests.formats.strategies import same_float

F32 = st.floats(width=32)


def inner_product(size: int = 5, more: str = "") -> Graph:
    return parse_param(f"7767517\n2 2\nInput in 0 1 a\nInnerProduct fc 1 1 a b 0=1 1=1 2={size}{more}\n")


def bytes_of(*words: str) -> bytes:
    return bytes.fromhex("".join(words))


FLOATS_OF_THE_VECTOR = bytes_of("00000000", "0000803f 000000bf cdcccc3d 00000040 00004040", "0000803e")
HALVES_OF_THE_VECTOR = bytes_of("476b3001", "003c 00b8 662e 0040 0042 0000", "0000803e")

# Vectors, observed with the real tools.


@pytest.mark.parametrize("data", [FLOATS_OF_THE_VECTOR, HALVES_OF_THE_VECTOR])
def test_the_vector(data: bytes) -> None:
    graph = inner_product()
    load_weights(graph, data)
    layer = graph.layers[1]
    halves = data is HALVES_OF_THE_VECTOR
    tenth = 0.0999755859375 if halves else 0.10000000149011612
    assert layer.weight("weight_data").floats().tolist() == [1.0, -0.5, tenth, 2.0, 3.0]
    assert layer.weight("bias_data").floats().tolist() == [0.25]
    assert format_weights(graph, fp16=halves) == data
    assert format_weights(graph, fp16=halves, upstream=True) == data


def test_storing_floats_as_halves() -> None:
    graph = inner_product()
    load_weights(graph, FLOATS_OF_THE_VECTOR)
    assert format_weights(graph, fp16=True) == HALVES_OF_THE_VECTOR


def test_the_tail_that_x86_truncates() -> None:
    values = array("f", [1, 2, 3, 4, 70000, -70000, 65520])
    expected = [1.0, 2.0, 3.0, 4.0, math.inf, -math.inf, 65504.0]
    assert [struct.unpack("e", struct.pack("H", bits))[0] for bits in narrow_as_x86(values)] == expected
    inside = narrow_as_x86(array("f", [65520, 1, 1, 1]))
    assert inside[0] == 0x7C00


# Kinds of records.


def test_scaled_floats_and_codebooks() -> None:
    values = struct.pack("<5f", 1, 2, 3, 4, 5)
    graph = inner_product()
    load_weights(graph, bytes_of("56c00200") + values + bytes(4))
    assert graph.layers[1].weight("weight_data").values.tolist() == [1, 2, 3, 4, 5]
    codebook = struct.pack("<256f", *range(256))
    for tag in ("01000000", "00010000", "00000001", "ffffffff", "486b3001"):
        load_weights(graph, bytes_of(tag) + codebook + bytes([0, 255, 7, 7, 1, 99, 99, 99]) + bytes(4))
        weight = graph.layers[1].weight("weight_data")
        assert (weight.dtype, weight.values.tolist()) == ("float32", [0, 255, 7, 7, 1])


def test_int8_records() -> None:
    graph = inner_product(more=" 8=2")
    data = bytes_of("384b0d00", "01 ff 7f 81 00 000000", "0000803e", "00000040", "00004040")
    load_weights(graph, data)
    layer = graph.layers[1]
    assert layer.weight("weight_data").int8().tolist() == [1, -1, 127, -127, 0]
    assert layer.weight("weight_data_int8_scales").floats().tolist() == [2.0]
    assert layer.weight("bottom_blob_int8_scales").floats().tolist() == [3.0]
    assert format_weights(graph, fp16=True) == format_weights(graph, fp16=False) == data


def test_float_weights_of_an_int8_layer_stay_floats() -> None:
    graph = inner_product(more=" 8=2")
    load_weights(graph, FLOATS_OF_THE_VECTOR + struct.pack("<2f", 2, 3))
    assert graph.layers[1].weight("weight_data").dtype == "float32"


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (b"", "byte 0", "expected 4 bytes for weight_data of layer fc, but the file ends after 0"),
        (FLOATS_OF_THE_VECTOR[:10], "byte 4", "expected 20 bytes for weight_data of layer fc"),
        (FLOATS_OF_THE_VECTOR[:-1], "byte 24", "expected 4 bytes for bias_data of layer fc, but the file ends after 3"),
        (HALVES_OF_THE_VECTOR[:14], "byte 4", "expected 12 bytes for weight_data of layer fc"),
        (bytes_of("384b0d00", "0102030405 000000", "00000000"), "layer fc", "the layer is not quantized"),
    ],
)
def test_faults(data: bytes, place: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        load_weights(inner_product(), data, "net.bin")
    assert (caught.value.file, caught.value.place) == ("net.bin", place)
    assert message in caught.value.message


def test_that_sizes_must_be_positive() -> None:
    graph = parse_param("7767517\n2 2\nInput in 0 1 a\nPReLU p 1 1 a b\n")
    with pytest.raises(FormatError, match="expected a positive size for slope_data, but the parameters give 0"):
        load_weights(graph, bytes(16))


def test_that_huge_sizes_do_not_allocate() -> None:
    graph = parse_param("7767517\n2 2\nInput in 0 1 a\nPReLU p 1 1 a b 0=2147483647\n")
    with pytest.raises(FormatError, match="expected 8589934588 bytes"):
        load_weights(graph, bytes(16))
    with pytest.raises(FormatError, match="a null model holds up to"):
        zero_weights(graph)


def test_memory_data() -> None:
    """Tagged when parameter 21 is 0; the real writer forgets that and stores raw floats, which cannot hold int8."""
    graph = parse_param("7767517\n1 1\nMemoryData m 0 1 a 0=3 21=0\n")
    load_weights(graph, bytes_of("476b3001", "003c 0040 0042 0000"))
    assert format_weights(graph, fp16=True) == bytes_of("476b3001", "003c 0040 0042 0000")
    assert format_weights(graph, fp16=True, upstream=True) == struct.pack("<3f", 1, 2, 3)
    graph.layers[0].weights["data"] = int8_weight("data", array("b", [1, 2, 3]))
    assert format_weights(graph, fp16=True) == bytes_of("384b0d00", "01020300")
    with pytest.raises(GraphError, match="a raw record cannot hold"):
        format_weights(graph, fp16=True, upstream=True)


def test_memory_data_of_codes() -> None:
    graph = parse_param("7767517\n1 1\nMemoryData m 0 1 a 0=3 21=0\n")
    load_weights(graph, bytes_of("384b0d00", "01ff0300"))
    assert graph.layers[0].weight("data").int8().tolist() == [1, -1, 3]


def test_that_only_matrices_are_int8() -> None:
    """The bias of an int8 LSTM is stored like its matrices, but holds floats."""
    graph = parse_param("7767517\n2 2\nInput in 0 1 a\nRNN r 1 1 a b 0=1 1=4 8=2\n")
    codes = bytes_of("384b0d00", "01020304")
    with pytest.raises(FormatError, match="bias_c_data holds int8 codes"):
        load_weights(graph, codes * 3 + bytes(8))


def test_halves_that_x86_truncates_once_more() -> None:
    """Read from binary16 and written again, the tail loses its subnormal numbers in the real tools."""
    graph = inner_product()
    data = bytes_of("476b3001", "0100 0100 0100 0100 0100 0000", "00000000")
    load_weights(graph, data)
    assert format_weights(graph, fp16=True) == data
    flushed = bytes_of("476b3001", "0100 0100 0100 0100 0000 0000", "00000000")
    assert format_weights(graph, fp16=True, upstream=True) == flushed


def test_memory_data_without_a_size_has_no_record() -> None:
    graph = parse_param("7767517\n1 1\nMemoryData m 0 1 a\n")
    load_weights(graph, b"")
    assert graph.layers[0].weights == {}


# Writing.


@pytest.mark.parametrize(
    ("name", "weight", "message"),
    [
        ("bias_data", None, "has no weight record bias_data"),
        ("bias_data", float_weight("bias_data", array("f", [1, 2]), "raw"), "expected 1 values in bias_data"),
        ("top_blob_int8_scales", float_weight("x", array("f", [1]), "raw"), "leave no room for"),
        ("bias_data", Weight("bias_data", "raw", "int8", array("b", [1])), "a raw record cannot hold"),
    ],
)
def test_that_records_must_fit_the_parameters(name: str, weight: Weight | None, message: str) -> None:
    graph = inner_product()
    load_weights(graph, FLOATS_OF_THE_VECTOR)
    if weight is None:
        del graph.layers[1].weights[name]
    else:
        graph.layers[1].weights[name] = weight
    with pytest.raises(GraphError, match=message):
        format_weights(graph, fp16=False)


def test_that_overflow_is_told() -> None:
    graph = inner_product()
    load_weights(graph, bytes(4) + struct.pack("<6f", 70000, -70000, math.inf, 1, 2, 0))
    with pytest.warns(FormatWarning, match="layer fc: 2 values of weight_data are beyond binary16"):
        format_weights(graph, fp16=True)


@given(st.lists(F32, max_size=40))
def test_tiny_values(values: list[float]) -> None:
    changed = without_tiny_values(array("f", values))
    expected = [0.0 if 0.0 < abs(value) < 1e-30 else value for value in values]
    assert all(same_float(a, b) for a, b in zip(changed, expected, strict=True))


@pytest.mark.parametrize("value", [1e-30, 9.9e-31, -1e-31, 1.1e-30, 1e-45, -0.0, 1.5777218e-30])
def test_tiny_values_at_the_edge(value: float) -> None:
    stored = array("f", [value])[0]
    result = without_tiny_values(array("f", [stored]))[0]
    assert same_float(result, 0.0 if 0.0 < abs(stored) < 1e-30 else stored)


def test_both_files_or_none(tmp_path: Path) -> None:
    graph = inner_product()
    load_weights(graph, FLOATS_OF_THE_VECTOR)
    param, model = tmp_path / "net.param", tmp_path / "net.bin"
    write_model(graph, param, model, fp16=False)
    assert read_model(param, model).layers == graph.layers
    del graph.layers[1].weights["bias_data"]
    graph.layers[1].name = "other"
    with pytest.raises(GraphError):
        write_model(graph, param, model, fp16=False)
    assert "other" not in param.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.bin", "net.param"]


def test_another_narrowing_can_be_used() -> None:
    graph = inner_product()
    load_weights(graph, FLOATS_OF_THE_VECTOR)
    data = format_weights(graph, fp16=True, narrow=lambda values: array("H", [0x1234] * len(values)))
    assert data[4:14] == b"\x34\x12" * 5


# binary16.


def halves(bits: list[int]) -> array[float]:
    return Weight("w", "tagged", "float16", array("H", bits)).floats()


def test_that_widening_is_exact() -> None:
    bits = list(range(65536))
    expected = numpy.arange(65536, dtype=numpy.uint16).view(numpy.float16).astype(numpy.float32)
    assert numpy.array_equal(numpy.array(halves(bits)), expected, equal_nan=True)


def test_that_every_half_survives() -> None:
    bits = [pattern for pattern in range(65536) if pattern & 0x7C00 != 0x7C00 or not pattern & 0x3FF]
    assert narrow_to_nearest(halves(bits)).tolist() == bits


def test_narrowing_around_every_middle() -> None:
    """At the middle of two neighbours the even one wins; a binary32 step beside it, the nearer one."""
    low = numpy.arange(0x7BFF, dtype=numpy.uint16)
    middle = (low.view(numpy.float16).astype(numpy.float64) + (low + 1).view(numpy.float16).astype(numpy.float64)) / 2
    at = middle.astype(numpy.float32)
    even = numpy.where(low % 2 == 0, low, low + 1)
    for value, expected in (
        (at, even),
        (numpy.nextafter(at, numpy.float32(0)), low),
        (numpy.nextafter(at, numpy.float32(numpy.inf)), low + 1),
    ):
        assert narrow_to_nearest(array("f", value.tobytes())).tolist() == expected.tolist()
        assert narrow_to_nearest(array("f", (-value).tobytes())).tolist() == (expected | 0x8000).tolist()


@given(st.lists(F32.filter(lambda value: not math.isnan(value)), max_size=20))
def test_narrowing_against_numpy(values: list[float]) -> None:
    with numpy.errstate(over="ignore"):
        expected = numpy.array(values, dtype=numpy.float32).astype(numpy.float16).view(numpy.uint16)
    assert narrow_to_nearest(array("f", values)).tolist() == expected.tolist()


@given(F32)
def test_truncation(value: float) -> None:
    """The nearest half that is not further from zero; zero below the normal ones, infinity from 65536 on."""
    half = struct.unpack("e", struct.pack("H", truncate_to_half(value)))[0]
    if math.isnan(value):
        assert math.isnan(half)
        return
    assert math.copysign(1.0, half) == math.copysign(1.0, value)
    size = abs(value)
    if size < 2.0**-14:
        assert half == 0.0
    elif size >= 65536.0:
        assert math.isinf(half)
    else:
        step = 2.0 ** (math.frexp(size)[1] - 11)
        assert abs(half) == math.floor(size / step) * step


def test_large_records_of_halves() -> None:
    """Longer than what is packed at once, with an overflow in the second part."""
    values = array("f", [1.0]) * 70000
    values[69999] = 1e6
    narrowed = narrow_to_nearest(values)
    assert len(narrowed) == 70000
    assert (narrowed[0], narrowed[69998], narrowed[69999]) == (0x3C00, 0x3C00, 0x7C00)
