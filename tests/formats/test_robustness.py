"""Damaged files: an error with file and place, never another exception, a hang, or gigabytes."""

from __future__ import annotations

import struct
import tracemalloc
import warnings
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec.blob import float_blob
from spec.errors import AssayError, FormatError
from spec.formats.image_list import parse_image_list
from spec.formats.npy import format_npy, parse_npy
from spec.formats.param import parse_param
from spec.formats.param_bin import format_param_bin, parse_param_bin
from spec.formats.table import parse_table
from spec.formats.weights import format_weights, load_weights, zero_weights
from spec.graph import Graph

NETS = {
    "convolutions": (
        "7767517\n4 4\n"
        "Input                    data                     0 1 data -23330=5,3,6,5,1,2 0=6 1=5 2=2\n"
        "Convolution              conv1                    1 1 data c1 0=3 1=3 4=1 5=1 6=54 9=2 -23310=1,1.000000e-01\n"
        "ReLU                     relu1                    1 1 c1 r1 0=1.250000e-01\n"
        "InnerProduct             fc1                      1 1 r1 out 0=4 1=1 2=360 8=2\n"
    ),
    "recurrent": (
        "7767517\n3 4\n"
        "Input                    in                       0 1 a\n"
        "LSTM                     lstm                     1 1 a b 0=2 1=24 3=2\n"
        "Slice                    slice                    1 2 b c d -23300=2,1,1 1=1\n"
    ),
    "strings": (
        "7767517\n3 3\n"
        "Input                    in                       0 1 a\n"
        'Reshape                  reshape                  1 1 a b 6="0w,1h, -1"\n'
        "BatchNorm                bn                       1 1 b c 0=3 1=1.000000e-05\n"
    ),
}

PEAK_BYTES = 2_000_000


def network(name: str) -> tuple[Graph, bytes]:
    graph = parse_param(NETS[name], "net.param")
    zero_weights(graph)
    return graph, format_weights(graph, fp16=True)


def survives(read: Callable[[], object]) -> None:
    """Reading succeeds or fails with an error that names the file and, in a file, the place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracemalloc.start()
        try:
            read()
        except FormatError as error:
            assert error.file == "damaged"
            assert error.place
        except AssayError:
            raise AssertionError("expected a FormatError") from None
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    assert peak < PEAK_BYTES


@pytest.mark.parametrize("name", NETS)
def test_params_cut_at_every_byte(name: str) -> None:
    text = NETS[name].encode()
    for end in range(len(text) - 1):
        survives(partial(parse_param, text[:end], "damaged"))
    head = text[: text.index(b"\n", 8) + 1]
    for end in range(len(head)):
        with pytest.raises(FormatError):
            parse_param(text[:end], "damaged")


@pytest.mark.parametrize("name", NETS)
def test_weights_cut_at_every_byte(name: str) -> None:
    graph, data = network(name)
    for end in range(len(data)):
        with pytest.raises(FormatError, match=r"damaged: byte \d+: expected"):
            load_weights(graph, data[:end], "damaged")
    load_weights(graph, data, "damaged")


@pytest.mark.parametrize("name", NETS)
def test_binary_params_cut_at_every_byte(name: str) -> None:
    data = format_param_bin(parse_param(NETS[name]))
    for end in range(len(data)):
        with pytest.raises(FormatError, match=r"damaged: byte \d+: expected"):
            parse_param_bin(data[:end], "damaged")


@given(st.sampled_from(sorted(NETS)), st.data())
@settings(max_examples=300, deadline=None)
def test_params_with_damage(name: str, data: st.DataObject) -> None:
    text = bytearray(NETS[name].encode())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(text) - 1))
        length = data.draw(st.integers(0, 3))
        junk = st.sampled_from([b"99999999999", b"-1", b"=", b'"', b" ", b"\n", b",", b"\0", b"e", b".", b"\xff"])
        text[position : position + length] = data.draw(junk | st.binary(max_size=3))
    survives(lambda: parse_param(bytes(text), "damaged", allow_custom=True))


@given(st.sampled_from(sorted(NETS)), st.data())
@settings(max_examples=200, deadline=None)
def test_binary_params_with_damage(name: str, data: st.DataObject) -> None:
    content = bytearray(format_param_bin(parse_param(NETS[name])))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(content) // 4 - 1)) * 4
        word = st.sampled_from([0, -1, 2**31 - 1, -(2**31), -233, -23330, -23430, 255, 256, 31]) | st.integers(
            -300, 300
        )
        content[position : position + 4] = struct.pack("<i", data.draw(word))
    survives(lambda: parse_param_bin(bytes(content), "damaged", allow_custom=True))


@given(st.binary(max_size=200))
def test_bytes_of_any_kind(data: bytes) -> None:
    readers: list[Callable[[bytes, str], object]] = [
        parse_param,
        parse_param_bin,
        parse_table,
        parse_image_list,
        parse_npy,
    ]
    for read in readers:
        survives(partial(read, data, "damaged"))
    survives(lambda: parse_table(data, "damaged", upstream=True))


def test_npy_cut_at_every_byte() -> None:
    data = format_npy(float_blob((2, 3), [1.0] * 6))
    for end in range(len(data)):
        with pytest.raises(FormatError, match="damaged"):
            parse_npy(data[:end], "damaged")


def test_a_file_of_one_endless_line() -> None:
    text = b"7767517\n1 1\nInput in 0 1 a " + b"0=1 " * 100_000
    assert parse_param(text).layers[0].params == {0: 1}
    with pytest.raises(FormatError, match="line 3"):
        parse_param(text + b"x")
