"""Samples by name: the entries of sample lists, loaded when their turn comes.

Follows: ncnn tools/quantize/ncnn2table.cpp @ a4d2ea1d, where it reads sound files. What it reads from others (missing
pictures, short or Fortran-ordered npy files) is not defined; here that is a FormatError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spec.blob import Blob, int32_blob
from spec.calibration.images import decode_image
from spec.calibration.pixels import input_blob
from spec.errors import FormatError
from spec.formats.files import read_bytes
from spec.formats.image_list import ListEntry
from spec.formats.npy import parse_npy, parse_npy_header


@dataclass(frozen=True)
class ImageInput:
    """How pictures become the blobs of one Input layer. `size` is (w, h), as the command's `shape` gives it."""

    size: tuple[int, int]
    pixel: str
    mean: tuple[float, ...]
    norm: tuple[float, ...]


@dataclass(frozen=True)
class NpyInput:
    """The blobs of one Input layer as npy files of binary32 numbers. `shape` is in numpy order.

    `integers` says that an Embed layer reads them: then the file may hold int32, whole numbers, or the bits of int32.
    """

    shape: tuple[int, ...]
    integers: bool = False


@dataclass(frozen=True)
class ListedSample:
    """One sample: an entry of each list, and how it becomes the blob of its Input layer."""

    entries: tuple[ListEntry, ...]
    inputs: tuple[ImageInput | NpyInput, ...]

    @property
    def name(self) -> str:
        """The files and the places that name them."""
        return ", ".join(f"{entry.path} ({entry.file}, line {entry.line})" for entry in self.entries)

    def load(self) -> list[Blob]:
        """One blob for each Input layer; FormatError naming the file and the line of its list."""
        return [_load(entry, how) for entry, how in zip(self.entries, self.inputs, strict=True)]


def listed_samples(lists: Sequence[Sequence[ListEntry]], inputs: Sequence[ImageInput | NpyInput]) -> list[ListedSample]:
    """Sample i is entry i of every list. The lists are equally long."""
    return [ListedSample(entries, tuple(inputs)) for entries in zip(*lists, strict=True)]


def _load(entry: ListEntry, how: ImageInput | NpyInput) -> Blob:
    try:
        data = read_bytes(entry.path)
        if isinstance(how, NpyInput):
            return npy_blob(data, entry.path, how)
        return input_blob(decode_image(data, entry.path), how.size, how.pixel, how.mean, how.norm)
    except FormatError as error:
        message = f"{error.place}: {error.message}" if error.place else error.message
        raise FormatError(entry.path, f"named in {entry.file}, line {entry.line}", message) from error
    except ValueError as error:
        raise FormatError(entry.path, f"named in {entry.file}, line {entry.line}", str(error)) from error


def npy_blob(data: bytes, file: str, how: NpyInput) -> Blob:
    """The blob in an npy file of little-endian binary32 numbers, or of integers for Embed; FormatError for others."""
    description, fortran_order, shape, _ = parse_npy_header(data, file)
    if description != "<f4" and not (how.integers and description == "<i4"):
        raise FormatError(file, "npy header", f"expected little-endian float32 (<f4), but got {description}")
    if len(shape) != len(how.shape):
        raise FormatError(file, "npy header", f"expect {len(how.shape)} dims, but got: {len(shape)}")
    if shape != how.shape:
        raise FormatError(file, "npy header", f"shape mismatch! Expected {how.shape} in numpy order, but got {shape}")
    if fortran_order:
        raise FormatError(file, "npy header", "the array is in Fortran order: save numpy.ascontiguousarray of it")
    blob = parse_npy(data, file)
    return _integers(blob) if how.integers else blob


def _integers(blob: Blob) -> Blob:
    """Ids for Embed: whole numbers as they are; other numbers are the bits of ids, as ncnn takes them."""
    if blob.dtype == "int32":
        return blob
    values = blob.floats()
    if all(value == int(value) for value in values):
        return int32_blob(blob.shape, [int(value) for value in values])
    return Blob(blob.shape, "int32", memoryview(blob.array()).cast("B").cast("i").tolist())
