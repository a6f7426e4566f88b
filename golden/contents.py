"""How the bytes of one file stand in JSON: text as text, small arrays as numbers, all else as base64.

A content is one of

    {"text": ["first line", "second line", ""]}                       lines, joined by line feeds
    {"npy": {"dtype": "float32", "shape": [2], "values": [0.5, -1]}}    a .npy file as numpy writes it
    {"npy": {"dtype": "int8", "shape": [2, 3], "base64": "..."}}       the same, its numbers as little-endian bytes
    {"base64": "..."}                                                 anything
    {"same_as": "other-case/net.bin"}                                 the bytes of an earlier file of the same family
"""

from __future__ import annotations

import ast
import base64
import math
import struct
from typing import Any

Content = dict[str, Any]
"""The JSON form."""

MOST_NUMBERS = 16
"""Arrays of up to so many numbers are written as numbers."""

DTYPES = {"float32": ("<f4", "f", 4), "int8": ("|i1", "b", 1), "int32": ("<i4", "i", 4)}
"""dtype name -> how a .npy header and how `struct` name it, and bytes an element."""

NPY_MAGIC = b"\x93NUMPY\x01\x00"
NPY_ALIGNMENT = 64
CONTROL_CHARACTERS = frozenset(map(chr, range(32))) - set("\t\n\r")


def encode(data: bytes) -> Content:
    r"""The JSON form of a file's bytes.

    >>> encode(b"c1 1.5 \n")
    {'text': ['c1 1.5 ', '']}
    >>> encode(bytes([0, 255]))
    {'base64': 'AP8='}
    """
    array = _encode_npy(data)
    if array is not None:
        return {"npy": array}
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
    if CONTROL_CHARACTERS & set(text):
        return {"base64": base64.b64encode(data).decode()}
    return {"text": text.split("\n")}


def decode(content: Content) -> bytes:
    r"""The bytes of a JSON form other than `same_as`.

    >>> decode({"text": ["a", ""]})
    b'a\n'
    """
    if "text" in content:
        return "\n".join(content["text"]).encode()
    if "base64" in content:
        return base64.b64decode(content["base64"])
    return _decode_npy(content["npy"])


def _encode_npy(data: bytes) -> Content | None:
    """The array in `data`; None unless numpy would write exactly these bytes for it."""
    if not data.startswith(NPY_MAGIC):
        return None
    end = 10 + int.from_bytes(data[8:10], "little")
    try:
        header = ast.literal_eval(data[10:end].decode("latin-1").strip())
        dtype = next(name for name, (descr, _, _) in DTYPES.items() if descr == header["descr"])
    except (SyntaxError, ValueError, KeyError, StopIteration):
        return None
    payload = data[end:]
    content: Content = {"dtype": dtype, "shape": list(header["shape"])}
    numbers = _numbers(payload, dtype)
    if len(numbers) <= MOST_NUMBERS and all(map(math.isfinite, numbers)):
        content["values"] = numbers
    else:
        content["base64"] = base64.b64encode(payload).decode()
    return content if _decode_npy(content) == data else None


def _decode_npy(content: Content) -> bytes:
    descr, code, _ = DTYPES[content["dtype"]]
    shape = tuple(content["shape"])
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    length = len(NPY_MAGIC) + 2 + len(header) + 1
    header += " " * (-length % NPY_ALIGNMENT) + "\n"
    if "values" in content:
        payload = struct.pack(f"<{len(content['values'])}{code}", *content["values"])
    else:
        payload = base64.b64decode(content["base64"])
    return NPY_MAGIC + struct.pack("<H", len(header)) + header.encode() + payload


def _numbers(payload: bytes, dtype: str) -> list[Any]:
    _, code, size = DTYPES[dtype]
    count = len(payload) // size
    return list(struct.unpack(f"<{count}{code}", payload[: count * size]))
