"""Npy files, with numpy as the judge."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy
import numpy.typing
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from golden.manifest import ROOT
from spec.blob import Blob, float_blob, int8_blob, int32_blob
from spec.errors import FormatError, FormatWarning
from spec.formats.npy import format_npy, parse_npy, read_npy

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)
TYPES = ("<f4", ">f4", "<f2", ">f2", "<f8", ">f8", "|i1", "<i4", ">i4")


def saved(values: numpy.typing.NDArray[Any], version: tuple[int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    numpy.lib.format.write_array(stream, values, version=version)
    return stream.getvalue()


@given(st.data())
def test_what_numpy_writes(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(TYPES))
    values = data.draw(hnp.arrays(dtype, SHAPES))
    in_order = data.draw(st.sampled_from([numpy.ascontiguousarray, numpy.asfortranarray]))
    version = data.draw(st.sampled_from([(1, 0), (2, 0), (3, 0)]))
    blob = parse_npy(saved(in_order(values), version))
    with numpy.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(numpy.float32) if values.dtype.kind == "f" else values
    assert blob.shape == expected.shape
    assert blob.dtype == expected.dtype.name
    assert numpy.array_equal(numpy.array(blob), expected, equal_nan=expected.dtype.kind == "f")


@given(hnp.arrays(numpy.float32, SHAPES, elements=st.floats(width=32, allow_nan=False)))
def test_that_numpy_reads_what_we_write(values: numpy.typing.NDArray[numpy.float32]) -> None:
    blob = float_blob(values.shape, values.ravel().tolist())
    assert format_npy(blob) == saved(values)
    assert parse_npy(format_npy(blob)) == blob


@pytest.mark.parametrize("blob", [int8_blob((3,), [-128, 0, 127]), int32_blob((1, 2), [-(2**31), 5])])
def test_integers(blob: Blob) -> None:
    assert numpy.array_equal(numpy.load(io.BytesIO(format_npy(blob))), numpy.array(blob))
    assert parse_npy(format_npy(blob)) == blob


GOOD = saved(numpy.arange(6, dtype=numpy.float32).reshape(2, 3))


def changed(old: bytes, new: bytes) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new.ljust(len(old)))


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (b"", "byte 0", "expected the npy magic string"),
        (b"PK\x03\x04" + GOOD, "byte 0", "expected the npy magic string"),
        (GOOD[:6] + b"\x04" + GOOD[7:], "byte 6", "expected npy version 1, 2 or 3, but got 4"),
        (GOOD[:9], "byte 8", "the file ends within the header"),
        (GOOD[:50], "byte 10", "expected a header of 118 bytes"),
        (GOOD[:-1], "byte 128", "shape (2, 3) needs 24 bytes, but the file ends after 23"),
        (changed(b"'descr'", b"'desc'"), "npy header", "expected the keys"),
        (changed(b"{'descr'", b"['descr'"), "npy header", "expected a dict"),
        (changed(b"'<f4'", b"'<u4'"), "npy header", "but got descr '<u4'"),
        (changed(b"'<f4'", b"'|f4'"), "npy header", "but got descr '|f4'"),
        (changed(b"False", b"0"), "npy header", "a bool in fortran_order"),
        (changed(b"(2, 3)", b"(0, 3)"), "npy header", "expected positive extents"),
        (changed(b"(2, 3)", b"(2.,3)"), "npy header", "expected positive extents"),
        (changed(b"(2, 3)", b"()"), "npy header", "expected 1 to 4 dims"),
        (changed(b"(2, 3), }    ", b"(1,1,1,2,3)} "), "npy header", "expected 1 to 4 dims"),
        (changed(b"(2, 3), }         ", b"(99999999999, 9)} "), "byte 128", "needs 3599999999964 bytes"),
    ],
)
def test_faults(data: bytes, place: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_npy(data, "in.npy")
    assert (caught.value.file, caught.value.place) == ("in.npy", place)
    assert message in caught.value.message


def test_that_deep_headers_are_refused() -> None:
    header = b"(" * 60000
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with pytest.raises(FormatError, match="expected a dict"):
        parse_npy(data)


def test_that_surplus_bytes_are_told() -> None:
    with pytest.warns(FormatWarning, match=r"byte 152: bytes behind the array are ignored"):
        assert parse_npy(GOOD + b"x").shape == (2, 3)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(GOOD)
    assert read_npy(tmp_path / "a.npy").tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(FormatError, match=r"b\.npy: cannot be read"):
        read_npy(tmp_path / "b.npy")


def test_the_corpus() -> None:
    paths = sorted((ROOT / "models").glob("calib-*/*.npy"))[:40]
    assert paths
    for path in paths:
        assert numpy.array_equal(numpy.array(read_npy(path)), numpy.load(path))
