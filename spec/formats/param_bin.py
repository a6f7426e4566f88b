"""Binary `.param.bin` files: the param file as 32-bit words, without names.

    7767517 layer_count blob_count
    then for each layer: type index, bottom count, top count, blob indices, parameters, -233

A parameter is its id and one word, or -23300 - id, a length and words, or -23400 - id, a length and padded bytes. A
scalar's kind is not stored; the layer type knows it. Layers and blobs are named by their indices.

Follows: ncnn src/net.cpp (load_param_bin), src/paramdict.cpp, tools/ncnn2mem.cpp @ a4d2ea1d.
"""

from __future__ import annotations

import math
import os
import struct
import warnings
from collections.abc import Iterator

from spec.errors import FormatError, FormatWarning, GraphError
from spec.formats.files import read_bytes
from spec.formats.param import ARRAY_KEY, MAGIC, MAX_NAME_BYTES, MAX_PARAM_ID, check_wiring, hints_of, store_param
from spec.formats.param_checks import check_params
from spec.graph import Graph, Layer, hint_extents
from spec.layer_table import BY_INDEX, FIRST_CUSTOM_INDEX, SHAPE_HINT_ID, LayerType, ParamSpec, ParamValue

STRING_KEY = -23400
"""A string with id k has the key STRING_KEY - k."""

END_OF_PARAMS = -233
"""Word behind the last parameter of a layer."""


def read_param_bin(path: str | os.PathLike[str], *, allow_custom: bool = False) -> Graph:
    """Read a binary param file. Raises FormatError."""
    return parse_param_bin(read_bytes(path), os.fspath(path), allow_custom=allow_custom)


def parse_param_bin(data: bytes, file: str = "<memory>", *, allow_custom: bool = False) -> Graph:
    """The network that the bytes of a binary param file describe. Raises FormatError.

    Custom types are named `custom0`, `custom1`, ..., and need `allow_custom`; the floats among their scalars read as
    ints with the same bits.
    """
    words = _Words(data, file)
    magic = words.integer("magic number")
    if magic != MAGIC:
        raise words.fault(f"expected the magic number {MAGIC}, but got {magic}")
    layer_count, blob_count = words.integer("layer count"), words.integer("blob count")
    if layer_count < 1 or blob_count < 1:
        raise words.fault(f"expected counts of at least 1, but got {layer_count} layers and {blob_count} blobs")
    layers: list[Layer] = []
    made: set[str] = set()
    for index in range(layer_count):
        layer = _read_layer(words, index, blob_count, allow_custom)
        try:
            check_wiring(layer, made)
            check_params(layer)
        except ValueError as error:
            raise words.fault(f"layer {index}: {error}") from None
        layers.append(layer)
    if words.left():
        message = f"{file}: byte {words.position}: {words.left()} bytes behind the last layer are ignored"
        warnings.warn(message, FormatWarning, stacklevel=2)
    return Graph(layers, file)


class _Words:
    """A position in the bytes of a binary param file."""

    def __init__(self, data: bytes, file: str) -> None:
        self.data = data
        self.file = file
        self.position = 0

    def fault(self, message: str) -> FormatError:
        return FormatError(self.file, f"byte {self.position}", message)

    def left(self) -> int:
        return len(self.data) - self.position

    def take(self, size: int, what: str) -> bytes:
        if size > self.left():
            raise self.fault(f"expected {size} bytes for the {what}, but the file ends after {self.left()}")
        taken = self.data[self.position : self.position + size]
        self.position += size
        return taken

    def integers(self, count: int, what: str) -> list[int]:
        if count < 0:
            raise self.fault(f"{what}: expected a length of at least 0, but got {count}")
        return list(struct.unpack(f"<{count}i", self.take(4 * count, what)))

    def integer(self, what: str) -> int:
        return self.integers(1, what)[0]


def _read_layer(words: _Words, index: int, blob_count: int, allow_custom: bool) -> Layer:
    type_index = words.integer("type index")
    layer_type = BY_INDEX.get(type_index)
    if layer_type is None and not (allow_custom and type_index >= FIRST_CUSTOM_INDEX):
        raise words.fault(f"layer {index}: ncnn has no layer type of index {type_index}")
    type_name = layer_type.name if layer_type is not None else f"custom{type_index - FIRST_CUSTOM_INDEX}"
    bottom_count, top_count = words.integer("bottom count"), words.integer("top count")
    bottoms = words.integers(bottom_count, "bottom indices")
    tops = words.integers(top_count, "top indices")
    for blob in (*bottoms, *tops):
        if not 0 <= blob < blob_count:
            raise words.fault(f"layer {index}: expected a blob index below {blob_count}, but got {blob}")
    layer = Layer(type_name, str(index), [str(blob) for blob in bottoms], [str(blob) for blob in tops])
    for id, value in _read_params(words, index, layer_type):
        try:
            if id == SHAPE_HINT_ID:
                layer.hints = hints_of(value, top_count)
            else:
                store_param(layer, id, value)
        except ValueError as error:
            raise words.fault(f"layer {index}: {error}") from None
    return layer


def _read_params(words: _Words, index: int, layer_type: LayerType | None) -> Iterator[tuple[int, ParamValue]]:
    while (key := words.integer("key")) != END_OF_PARAMS:
        base = next((base for base in (STRING_KEY, ARRAY_KEY) if key <= base), 0)
        id = base - key if base else key
        if not 0 <= id <= MAX_PARAM_ID:
            raise words.fault(f"layer {index}: key {key}: expected an id from 0 to {MAX_PARAM_ID}")
        spec = layer_type.param_by_id(id) if layer_type is not None else None
        if base == STRING_KEY:
            yield id, _read_string(words, index, id)
        elif base == ARRAY_KEY:
            values = words.integers(words.integer("array length"), f"array of parameter {id}")
            yield id, _floats(values) if spec is not None and spec.kind == "floats" else values
        else:
            yield id, _read_scalar(words, spec)


def _read_scalar(words: _Words, spec: ParamSpec | None) -> int | float:
    value = words.integer("value")
    return _floats([value])[0] if spec is not None and spec.kind == "float" else value


def _read_string(words: _Words, index: int, id: int) -> str:
    length = words.integer("string length")
    if not 0 <= length <= MAX_NAME_BYTES:
        message = f"layer {index}: parameter {id}: expected a string of 0 to {MAX_NAME_BYTES} bytes, but got {length}"
        raise words.fault(message)
    padded = words.take((length + 3) // 4 * 4, "string")
    return padded[:length].split(b"\0")[0].decode("utf-8", "surrogateescape")


def _floats(values: list[int]) -> list[float]:
    """The binary32 numbers with the bits of the given ints."""
    return list(struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}i", *values)))


# Writing.


def format_param_bin(graph: Graph) -> bytes:
    """The bytes of a binary param file: all parameters that the layers state, shape hints first.

    Custom types get the indices 256, 257, ... in the order of their first appearance.
    Raises GraphError for values that the format cannot hold.
    """
    blobs = {name: index for index, name in enumerate(graph.blob_names())}
    customs = {name: FIRST_CUSTOM_INDEX + i for i, name in enumerate(custom_types(graph))}
    parts = [_pack(MAGIC, len(graph.layers), len(blobs))]
    for layer in graph:
        index = layer.layer_type.index if layer.layer_type is not None else customs[layer.type]
        parts.append(_pack(index, len(layer.bottoms), len(layer.tops)))
        parts.append(_pack(*(blobs[name] for name in (*layer.bottoms, *layer.tops))))
        if layer.hints:
            extents = hint_extents(layer.hints)
            parts.append(_pack(ARRAY_KEY - SHAPE_HINT_ID, len(extents), *extents))
        parts += [_format_value(layer, id, value) for id, value in layer.params.items()]
        parts.append(_pack(END_OF_PARAMS))
    return b"".join(parts)


def custom_types(graph: Graph) -> list[str]:
    """Types that ncnn does not have, in the order of their first appearance."""
    return list(dict.fromkeys(layer.type for layer in graph if layer.layer_type is None))


def _format_value(layer: Layer, id: int, value: ParamValue) -> bytes:
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogateescape")
        if len(data) > MAX_NAME_BYTES or b"\0" in data:
            raise GraphError(layer.name, f"{value!r} cannot be written as a string parameter")
        return _pack(STRING_KEY - id, len(data)) + data + bytes(-len(data) % 4)
    if isinstance(value, list):
        return _pack(ARRAY_KEY - id, len(value)) + b"".join(_pack_number(layer, item) for item in value)
    return _pack(id) + _pack_number(layer, value)


def _pack_number(layer: Layer, value: int | float) -> bytes:
    if isinstance(value, float) and not math.isfinite(value):
        raise GraphError(layer.name, f"{value} cannot be written as a parameter")
    return struct.pack("<f", value) if isinstance(value, float) else _pack(value)


def _pack(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)
