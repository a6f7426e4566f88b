"""Binary param files."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given

from spec.errors import FormatError, FormatWarning, GraphError
from spec.formats.param import parse_param
from spec.formats.param_bin import END_OF_PARAMS, format_param_bin, parse_param_bin
from spec.graph import Graph, Layer
from tests.formats.strategies import graphs

TEXT = """7767517
3 3
Input in 0 1 a 0=4
Foo f 1 1 a b 0=1,2 1=1.5,2 2=hello 3="x y" 4=5.0 -23305=2,1.5,7 6=3,
ReLU r 1 1 b c 0=0.1
"""


def words(*values: int | bytes) -> bytes:
    return b"".join(value if isinstance(value, bytes) else struct.pack("<i", value) for value in values)


def bits(value: float) -> bytes:
    return struct.pack("<f", value)


HEAD = words(7767517, 1, 1)
INPUT = words(16, 0, 1, 0)


def test_the_vector() -> None:
    """As ncnn2mem writes it; only the 7 of `1.5,7`, whose bits it keeps, is a float here."""
    expected = words(
        *(7767517, 3, 3, 16, 0, 1, 0, 0, 4, END_OF_PARAMS),
        *(256, 1, 1, 0, 1, -23300, 2, 1, 2, -23301, 2, bits(1.5), bits(2.0)),
        *(-23402, 5, b"hello\0\0\0", -23403, 3, b"x y\0", 4, bits(5.0), -23305, 2, bits(1.5), bits(7.0)),
        *(-23306, 1, 3, END_OF_PARAMS, 26, 1, 1, 1, 2, 0, bits(0.1), END_OF_PARAMS),
    )
    assert len(expected) == 192
    assert expected[:4] == bytes.fromhex("dd857600")
    with pytest.warns(FormatWarning, match="parameter 5 holds ints for floats"):
        graph = parse_param(TEXT, allow_custom=True)
    assert format_param_bin(graph) == expected


@given(graphs())
def test_round_trip(graph: Graph) -> None:
    """Everything but names survives; layers and blobs are named by their numbers."""
    numbers = {name: str(index) for index, name in enumerate(graph.blob_names())}
    again = parse_param_bin(format_param_bin(graph))
    for index, (ours, theirs) in enumerate(zip(again, graph, strict=True)):
        assert ours.type == theirs.type
        assert ours.name == str(index)
        assert ours.bottoms == [numbers[name] for name in theirs.bottoms]
        assert ours.tops == [numbers[name] for name in theirs.tops]
        assert ours.hints == theirs.hints
        assert ours.params == theirs.params
    assert format_param_bin(again) == format_param_bin(graph)


def test_scalars_of_custom_layers_keep_their_bits() -> None:
    data = HEAD + words(257, 0, 1, 0, 3, bits(1.0), END_OF_PARAMS)
    layer = parse_param_bin(data, allow_custom=True).layers[0]
    assert (layer.type, layer.params) == ("custom1", {3: 0x3F800000})
    with pytest.raises(FormatError, match="no layer type of index 257"):
        parse_param_bin(data)


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (b"", "byte 0", "expected 4 bytes for the magic number, but the file ends after 0"),
        (words(7767518), "byte 4", "expected the magic number 7767517, but got 7767518"),
        (words(7767517, 0, 1), "byte 12", "expected counts of at least 1"),
        (words(7767517, 1, -1), "byte 12", "expected counts of at least 1"),
        (words(7767517, 2**31 - 1, 1) + INPUT, "byte 28", "expected 4 bytes for the key"),
        (HEAD + words(110, 0, 1, 0), "byte 16", "no layer type of index 110"),
        (HEAD + words(-1, 0, 1, 0), "byte 16", "no layer type of index -1"),
        (HEAD + words(16, -1, 1, 0), "byte 24", "bottom indices: expected a length of at least 0, but got -1"),
        (HEAD + words(16, 0, 2**31 - 1, 0), "byte 24", "expected 8589934588 bytes for the top indices"),
        (HEAD + words(16, 0, 1, 1), "byte 28", "expected a blob index below 1, but got 1"),
        (HEAD + words(16, 1, 0, 0, END_OF_PARAMS), "byte 32", "reads blob 0, which no earlier layer makes"),
        (HEAD + INPUT + words(32, 0), "byte 32", "key 32: expected an id from 0 to 31"),
        (HEAD + INPUT + words(-1, 0), "byte 32", "key -1: expected an id from 0 to 31"),
        (HEAD + INPUT + words(-23332, 0), "byte 32", "key -23332: expected an id"),
        (HEAD + INPUT + words(-23432, 0), "byte 32", "key -23432: expected an id"),
        (HEAD + INPUT + words(-23301, -3), "byte 36", "expected a length of at least 0, but got -3"),
        (HEAD + INPUT + words(-23301, 10**9), "byte 36", "expected 4000000000 bytes"),
        (HEAD + INPUT + words(-23401, 256), "byte 36", "expected a string of 0 to 255 bytes, but got 256"),
        (HEAD + INPUT + words(-23401, 3, b"ab"), "byte 36", "expected 4 bytes for the string"),
        (HEAD + INPUT + words(-23300, 1, 5, END_OF_PARAMS), "byte 40", "parameter 0 (w): expected an int"),
        (HEAD + INPUT + words(-23330, 3, 1, 2, 3, END_OF_PARAMS), "byte 48", "expected 4 or 5 ints"),
        (HEAD + words(32, 0, 1, 0, 0, 1, END_OF_PARAMS), "byte 40", "expected 1=1 beside an axis"),
    ],
)
def test_faults(data: bytes, place: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_param_bin(data, "net.param.bin")
    assert (caught.value.file, caught.value.place) == ("net.param.bin", place)
    assert message in caught.value.message


def test_that_surplus_bytes_are_told() -> None:
    with pytest.warns(FormatWarning, match="byte 32: 3 bytes behind the last layer"):
        parse_param_bin(HEAD + INPUT + words(END_OF_PARAMS) + b"abc")


@pytest.mark.parametrize("value", [float("inf"), "x" * 256, "a\0b"])
def test_what_cannot_be_written(value: float | str) -> None:
    with pytest.raises(GraphError):
        format_param_bin(Graph([Layer("Reshape", "r", [], ["b"], {6: value})]))
