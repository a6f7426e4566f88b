"""Corners of the readers and writers that neither the recorded files nor the random ones reach."""

from __future__ import annotations

import math
from array import array
from types import SimpleNamespace

import pytest

from spec.binary32 import f32
from spec.errors import FormatError
from spec.formats import weights
from spec.formats.param import format_float, parse_float, parse_param
from spec.formats.weights import format_weights, load_weights, narrow_as_x86

PRODUCT = "7767517\n2 2\nInput a 0 1 a 0=2\nInnerProduct f 1 1 a b 0=1 2=2\n"


def test_a_shape_hint_is_made_of_ints() -> None:
    with pytest.raises(FormatError, match="shape hint: expected an int array, but got"):
        parse_param("7767517\n1 1\nInput a 0 1 a -23330=4,1.5,2,3,4\n")


def test_what_is_not_a_number_stays_none_in_the_tail() -> None:
    """The sign is kept, and the mantissa says nothing."""
    assert [hex(bits) for bits in narrow_as_x86(array("f", [math.nan]))] == ["0x7e00"]


def test_floats_get_as_many_digits_as_they_need() -> None:
    """Seven, eight or nine: 0.10810246 is nearer to another binary32 number than to 0.108102456."""
    values = [0.125, f32(3.14159265), f32(0.108102456)]
    texts = [format_float(value) for value in values]
    assert [len(text) for text in texts] == [12, 13, 14]
    assert [parse_float(text.encode()) for text in texts] == values


def test_block_quantized_weights_are_codes() -> None:
    graph = parse_param("7767517\n2 2\nInput a 0 1 a\nGemm g 1 1 a b 3=1 5=1 8=1 9=64 10=-1 18=400\n")
    with pytest.raises(FormatError, match="expected int8 codes in the block-quantized B_data"):
        load_weights(graph, bytes(4 + 4 * 64) + bytes(4096), "net.bin")


def test_big_endian_machines_swap_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(4) + bytes([0, 0, 128, 63, 0, 0, 0, 64])
    graph = parse_param(PRODUCT)
    load_weights(graph, data)
    assert graph.layers[1].weight("weight_data").floats().tolist() == [1.0, 2.0]
    monkeypatch.setattr(weights, "sys", SimpleNamespace(byteorder="big"))
    load_weights(graph, data)
    swapped = graph.layers[1].weight("weight_data").floats()
    assert swapped.tobytes() == bytes([63, 128, 0, 0, 64, 0, 0, 0])
    assert format_weights(graph, fp16=False)[4:] == data[4:]
