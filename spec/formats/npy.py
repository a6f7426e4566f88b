"""`.npy` files: one array with a header that gives element type, order and shape.

Versions 1 to 3, either byte order, either array order. float16, float32 and float64 become float32 blobs; int8 and
int32 keep their type.

Follows: numpy's description of its format (NEP 1); ncnn tools/quantize/npy.hpp @ a4d2ea1d reads the `<f4` part of it.
"""

from __future__ import annotations

import ast
import math
import os
import struct
import warnings

from spec.blob import Blob, Dtype
from spec.errors import FormatError, FormatWarning
from spec.formats.files import read_bytes
from spec.graph import Shape

MAGIC = b"\x93NUMPY"

_ALIGNMENT = 64
_ELEMENTS: dict[str, tuple[str, Dtype]] = {
    "f2": ("e", "float32"),
    "f4": ("f", "float32"),
    "f8": ("d", "float32"),
    "i1": ("b", "int8"),
    "i4": ("i", "int32"),
}
_DESCRIPTIONS: dict[Dtype, str] = {"float32": "<f4", "int8": "|i1", "int32": "<i4"}


def read_npy(path: str | os.PathLike[str]) -> Blob:
    """Read an npy file of 1 to 4 dims. Raises FormatError."""
    return parse_npy(read_bytes(path), os.fspath(path))


def parse_npy(data: bytes, file: str = "<memory>") -> Blob:
    """The blob that the bytes of an npy file hold. Raises FormatError."""
    header, start = _split_header(data, file)
    description, fortran_order, shape = _parse_header(header, file)
    typecode, dtype = _element_type(description, file)
    count = math.prod(shape)
    size = count * struct.calcsize(f"={typecode}")
    if size > len(data) - start:
        message = f"shape {shape} needs {size} bytes, but the file ends after {len(data) - start}"
        raise FormatError(file, f"byte {start}", message)
    if size < len(data) - start:
        message = f"{file}: byte {start + size}: bytes behind the array are ignored"
        warnings.warn(message, FormatWarning, stacklevel=2)
    order = ">" if description[0] == ">" else "<"
    values = list(struct.unpack_from(f"{order}{count}{typecode}", data, start))
    if fortran_order:
        values = _c_order(values, shape)
    if typecode == "d":
        values = Blob(shape, dtype, values).array().tolist()
    return Blob(shape, dtype, values)


def parse_npy_header(data: bytes, file: str = "<memory>") -> tuple[str, bool, Shape, int]:
    """What an npy file says of its array: element type, whether it is in Fortran order, shape; and where it begins.

    Raises FormatError.
    """
    header, start = _split_header(data, file)
    return *_parse_header(header, file), start


def format_npy(blob: Blob) -> bytes:
    r"""The bytes of an npy file, version 1.0, little-endian, C order, as numpy writes it.

    >>> format_npy(Blob((2,), "float32", [1.0, 2.0]))[-9:]
    b'\n\x00\x00\x80?\x00\x00\x00@'
    """
    shape = ", ".join(map(str, blob.shape)) + ("," if len(blob.shape) == 1 else "")
    header = f"{{'descr': '{_DESCRIPTIONS[blob.dtype]}', 'fortran_order': False, 'shape': ({shape}), }}"
    prefix = len(MAGIC) + 4
    header += " " * (-(prefix + len(header) + 1) % _ALIGNMENT) + "\n"
    typecode = {"float32": "f", "int8": "b", "int32": "i"}[blob.dtype]
    values = struct.pack(f"<{len(blob.values)}{typecode}", *blob.values)
    return MAGIC + b"\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin-1") + values


def _split_header(data: bytes, file: str) -> tuple[str, int]:
    """The header's text, and where the array begins."""
    if data[: len(MAGIC)] != MAGIC or len(data) < len(MAGIC) + 2:
        raise FormatError(file, "byte 0", "expected the npy magic string")
    major = data[len(MAGIC)]
    if major not in (1, 2, 3):
        raise FormatError(file, f"byte {len(MAGIC)}", f"expected npy version 1, 2 or 3, but got {major}")
    length_format = "<H" if major == 1 else "<I"
    length_at = len(MAGIC) + 2
    begin = length_at + struct.calcsize(length_format)
    if len(data) < begin:
        raise FormatError(file, f"byte {length_at}", "the file ends within the header")
    end = begin + int(struct.unpack_from(length_format, data, length_at)[0])
    if len(data) < end:
        raise FormatError(file, f"byte {begin}", f"expected a header of {end - begin} bytes, but the file ends")
    return data[begin:end].decode("utf-8" if major == 3 else "latin-1", "replace"), end


def _parse_header(header: str, file: str) -> tuple[str, bool, Shape]:
    """Element type, whether the array is in Fortran order, and shape."""
    place = "npy header"
    try:
        fields = ast.literal_eval(header.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise FormatError(file, place, f"expected a dict, but got {header[:60]!r}") from None
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise FormatError(file, place, "expected the keys descr, fortran_order and shape")
    description, fortran_order, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    if not isinstance(description, str) or not isinstance(fortran_order, bool) or not isinstance(shape, tuple):
        raise FormatError(file, place, "expected a string in descr, a bool in fortran_order and a tuple in shape")
    if not all(type(extent) is int and extent > 0 for extent in shape):
        raise FormatError(file, place, f"expected positive extents, but got shape {shape}")
    if not 1 <= len(shape) <= 4:
        raise FormatError(file, place, f"expected 1 to 4 dims, but got shape {shape}")
    return description, fortran_order, shape


def _element_type(description: str, file: str) -> tuple[str, Dtype]:
    order, name = description[:1], description[1:]
    if order not in ("<", ">", "|", "=") or name not in _ELEMENTS or (order in ("|", "=") and name != "i1"):
        expected = "float16, float32, float64, int8 or int32 of a stated byte order"
        raise FormatError(file, "npy header", f"expected {expected}, but got descr {description!r}")
    return _ELEMENTS[name]


def _c_order(values: list[float], shape: Shape) -> list[float]:
    """Values given with the first index fastest, in the order with the last index fastest."""
    positions = [0]
    stride = 1
    strides = []
    for extent in shape:
        strides.append(stride)
        stride *= extent
    for extent, step in zip(shape, strides, strict=True):
        positions = [base + step * i for base in positions for i in range(extent)]
    return [values[position] for position in positions]
