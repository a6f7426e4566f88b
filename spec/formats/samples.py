"""Samples by name: entries of sample lists, and what each says of how it becomes a blob.

Both engines read samples by these rules; they differ in what a blob is.

Follows: ncnn tools/quantize/ncnn2table.cpp @ a4d2ea1d, where it reads sound files. What it reads from others (missing
pictures, short or Fortran-ordered npy files) is not defined; here that is a FormatError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from spec.errors import FormatError
from spec.formats.files import read_bytes
from spec.formats.image_list import ListEntry
from spec.formats.npy import parse_npy_header

_ELEMENT_SIZE = 4

Blob = TypeVar("Blob")
"""What an engine takes for a blob."""


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


@dataclass(frozen=True, slots=True)
class ListedSample(Generic[Blob]):
    """One sample: an entry of each list, how it becomes the blob of its Input layer, and who makes it one.

    `blob_of` gets a file's content, its name for messages, and one of `inputs`; it raises FormatError or ValueError.
    """

    entries: tuple[ListEntry, ...]
    inputs: tuple[ImageInput | NpyInput, ...]
    blob_of: Callable[[bytes, str, ImageInput | NpyInput], Blob]

    @property
    def name(self) -> str:
        """The files and the places that name them."""
        return ", ".join(f"{entry.path} ({entry.file}, line {entry.line})" for entry in self.entries)

    def load(self) -> list[Blob]:
        """One blob for each Input layer; FormatError naming the file and the line of its list."""
        return [self._load(entry, how) for entry, how in zip(self.entries, self.inputs, strict=True)]

    def _load(self, entry: ListEntry, how: ImageInput | NpyInput) -> Blob:
        place = f"named in {entry.file}, line {entry.line}"
        try:
            return self.blob_of(read_bytes(entry.path), entry.path, how)
        except FormatError as error:
            message = f"{error.place}: {error.message}" if error.place else error.message
            raise FormatError(entry.path, place, message) from error
        except ValueError as error:
            raise FormatError(entry.path, place, str(error)) from error


def check_npy_sample(data: bytes, file: str, how: NpyInput) -> tuple[str, int]:
    """The type description and the first byte of the numbers of an npy file that fits `how`; FormatError for others.

    It holds little-endian binary32 numbers, or integers for Embed, in C order.
    """
    description, fortran_order, shape, start = parse_npy_header(data, file)
    if description != "<f4" and not (how.integers and description == "<i4"):
        raise FormatError(file, "npy header", f"expected little-endian float32 (<f4), but got {description}")
    if len(shape) != len(how.shape):
        raise FormatError(file, "npy header", f"expect {len(how.shape)} dims, but got: {len(shape)}")
    if shape != how.shape:
        raise FormatError(file, "npy header", f"shape mismatch! Expected {how.shape} in numpy order, but got {shape}")
    if fortran_order:
        raise FormatError(file, "npy header", "the array is in Fortran order: save numpy.ascontiguousarray of it")
    size = math.prod(shape) * _ELEMENT_SIZE
    if len(data) - start < size:
        message = f"shape {shape} needs {size} bytes, but the file ends after {len(data) - start}"
        raise FormatError(file, f"byte {start}", message)
    return description, start


def listed_samples(
    lists: Sequence[Sequence[ListEntry]],
    inputs: Sequence[ImageInput | NpyInput],
    blob_of: Callable[[bytes, str, ImageInput | NpyInput], Blob],
) -> list[ListedSample[Blob]]:
    """Sample i is entry i of every list. The lists are equally long."""
    shared = tuple(inputs)
    return [ListedSample(entries, shared, blob_of) for entries in zip(*lists, strict=True)]
