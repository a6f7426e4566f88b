"""`.bin` model files: the weight records of all layers, one behind the other, in the order of the param file.

There is no header and no index: the param file says what comes next. A record is *raw*, that is binary32 numbers, or
*tagged*: four bytes tell whether binary32, binary16, int8 or a codebook follows. Records start at multiples of 4 bytes.

Follows: ncnn src/modelbin.cpp, tools/modelwriter.h (fwrite_weight_tag_data, fwrite_weight_data) @ a4d2ea1d.
"""

from __future__ import annotations

import math
import os
import re
import struct
import sys
import warnings
from array import array
from collections.abc import Callable, Iterator
from typing import Any

from spec.errors import FormatError, FormatWarning, GraphError
from spec.formats.files import read_bytes, write_files
from spec.formats.param import format_param, read_param
from spec.formats.random_weights import RandomWeights
from spec.graph import Graph, Layer, Weight
from spec.layer_table import WeightSpec, block_quantization

NULL_MODEL = "null"
"""The word that stands for a model file of zeros."""

TAG_FLOAT32 = 0
TAG_FLOAT32_SCALED = 0x0002C056
TAG_FLOAT16 = 0x01306B47
TAG_INT8 = 0x000D4B38

CODEBOOK_SIZE = 256
"""Entries of the table that follows any other tag; one index byte per weight follows the table."""

SMALLEST_WRITTEN = 1e-30
"""Smaller magnitudes become 0 in binary32 records."""

MAX_NULL_VALUES = 2**28
"""Weights that a `null` model may have; a param file that asks for more is taken to be damaged."""

_F16_SIGN = 0x8000
_F16_INFINITY = 0x7C00
_F16_QUIET_NAN = 0x7E00
_F16_OVERFLOW = 65520.0
_F32_TO_F16_EXPONENT = 112
_PACKED_AT_ONCE = 65536

_HIGH_BYTE_OF_TINY = re.compile(rb"[\x00-\x0d\x80-\x8d]")
"""High byte of the binary32 numbers below 2**-99, which is a little more than 1e-30."""

_INT8_RECORDS = (
    "weight_data",
    "weight_xc_data",
    "weight_hc_data",
    "A_data",
    "B_data",
    "q_weight_data",
    "k_weight_data",
    "v_weight_data",
    "out_weight_data",
)

_QUANTIZED_AT_LOAD = ("Convolution", "ConvolutionDepthWise", "InnerProduct")

Narrow = Callable[["array[float]"], "array[int]"]
"""From binary32 numbers to binary16 bit patterns."""


# Models: both files.


def read_model(
    param_path: str | os.PathLike[str], bin_path: str | os.PathLike[str], *, allow_custom: bool = False
) -> Graph:
    """Read a network and its weights; `bin_path` may be the word `null`. Raises FormatError.

    Layer types that ncnn does not have need `allow_custom`; they are taken to have no weights.
    """
    graph = read_param(param_path, allow_custom=allow_custom)
    read_weights(graph, bin_path)
    return graph


def write_model(
    graph: Graph,
    param_path: str | os.PathLike[str],
    bin_path: str | os.PathLike[str],
    *,
    fp16: bool,
    upstream: bool = False,
    narrow: Narrow | None = None,
) -> None:
    """Write a network and its weights, both files or none. See `format_param` and `format_weights`."""
    text = format_param(graph, upstream=upstream).encode("utf-8", "surrogateescape")
    write_files({param_path: text, bin_path: format_weights(graph, fp16=fp16, upstream=upstream, narrow=narrow)})


# Reading.


def read_weights(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Read a model file into the layers of a network; the word `null` gives zeros. Raises FormatError."""
    if os.fspath(path) == NULL_MODEL:
        zero_weights(graph)
    else:
        load_weights(graph, read_bytes(path), os.fspath(path))


def zero_weights(graph: Graph) -> None:
    """Give every layer weights of zero, and mark the network so that saving it writes pseudo-random weights."""
    left = MAX_NULL_VALUES
    for layer in graph:
        layer.weights = {}
        for spec, count in _records(layer, graph.file):
            left -= count
            if left < 0:
                raise FormatError(
                    graph.file, f"layer {layer.name}", f"a null model holds up to {MAX_NULL_VALUES} weights"
                )
            layer.weights[spec.name] = _zeros(layer, spec, count)
    graph.null_weights = True


def _zeros(layer: Layer, spec: WeightSpec, count: int) -> Weight:
    """A record of zeros; int8 codes where the layer would quantize float weights when it is loaded."""
    if spec.name == "weight_data" and layer.type in _QUANTIZED_AT_LOAD and layer.get.integer("int8_scale_term"):
        return Weight(spec.name, spec.kind, "int8", array("b", bytes(count)))
    return Weight(spec.name, spec.kind, "float32", array("f", bytes(4 * count)))


def load_weights(graph: Graph, data: bytes, file: str = "<memory>") -> None:
    """Read the weights of all layers from the bytes of a model file.

    Raises FormatError where the file is too short, where a size is not positive, and where a layer that is not
    quantized has int8 weights. Bytes behind the last record give a warning.
    """
    reader = _Reader(data, file)
    for layer in graph:
        layer.weights = {}
        for spec, count in _records(layer, file):
            reader.record = f"{spec.name} of layer {layer.name}"
            weight = reader.tagged(spec, count) if spec.kind == "tagged" else reader.raw(spec, count)
            if weight.dtype == "int8" and not _may_be_int8(layer, spec):
                raise FormatError(
                    file, f"layer {layer.name}", f"{spec.name} holds int8 codes, but the layer is not quantized"
                )
            if weight.dtype != "int8" and _must_be_int8(layer, spec):
                raise FormatError(
                    file, f"layer {layer.name}", f"expected int8 codes in the block-quantized {spec.name}"
                )
            layer.weights[spec.name] = weight
    if reader.left():
        message = f"{file}: byte {reader.position}: {reader.left()} bytes behind the last weight are ignored"
        warnings.warn(message, FormatWarning, stacklevel=2)
    graph.null_weights = False


def _records(layer: Layer, file: str) -> Iterator[tuple[WeightSpec, int]]:
    """The records that a layer has, with their sizes."""
    layer_type = layer.layer_type
    if layer_type is None:
        return
    params = layer.get
    for spec in layer_type.weights:
        if spec.when(params):
            count = spec.count(params)
            if count < 1:
                message = f"expected a positive size for {spec.name}, but the parameters give {count}"
                raise FormatError(file, f"layer {layer.name}", message)
            yield spec, count


def _may_be_int8(layer: Layer, spec: WeightSpec) -> bool:
    """Quantized layers hold int8 matrices; MemoryData hands on whatever it holds."""
    if layer.type == "MemoryData":
        return True
    params = layer.get
    switch = next((name for name in ("int8_scale_term", "quantize_term") if name in params), None)
    return switch is not None and spec.name in _INT8_RECORDS and params[switch] != 0


def _must_be_int8(layer: Layer, spec: WeightSpec) -> bool:
    params = layer.get
    return "quantize_term" in params and spec.name in _INT8_RECORDS and block_quantization(params) is not None


class _Reader:
    """A position in the bytes of a model file. `record` names what is being read, for messages."""

    def __init__(self, data: bytes, file: str) -> None:
        self.data = memoryview(data)
        self.file = file
        self.position = 0
        self.record = ""

    def left(self) -> int:
        return len(self.data) - self.position

    def take(self, size: int) -> memoryview:
        """The next bytes, and past the padding behind them."""
        padded = _aligned(size)
        if padded > self.left():
            message = f"expected {padded} bytes for {self.record}, but the file ends after {self.left()}"
            raise FormatError(self.file, f"byte {self.position}", message)
        taken = self.data[self.position : self.position + size]
        self.position += padded
        return taken

    def values(self, typecode: str, count: int) -> array[Any]:
        values: array[Any] = array(typecode)
        values.frombytes(self.take(count * values.itemsize))
        if sys.byteorder == "big":
            values.byteswap()
        return values

    def raw(self, spec: WeightSpec, count: int) -> Weight:
        return Weight(spec.name, "raw", "float32", self.values("f", count))

    def tagged(self, spec: WeightSpec, count: int) -> Weight:
        tag = int.from_bytes(self.take(4), "little")
        if tag == TAG_FLOAT16:
            return Weight(spec.name, "tagged", "float16", self.values("H", count))
        if tag == TAG_INT8:
            return Weight(spec.name, "tagged", "int8", self.values("b", count))
        if tag in (TAG_FLOAT32, TAG_FLOAT32_SCALED):
            return Weight(spec.name, "tagged", "float32", self.values("f", count))
        codebook = self.values("f", CODEBOOK_SIZE)
        values = array("f", [codebook[index] for index in self.take(count)])
        return Weight(spec.name, "tagged", "float32", values)


# Writing.


def format_weights(graph: Graph, *, fp16: bool, upstream: bool = False, narrow: Narrow | None = None) -> bytes:
    """The bytes of a model file. `fp16` stores tagged float records as binary16; raw records are always binary32.

    `narrow` converts to binary16 (default: nearest, halves to even); `upstream=True` converts as ncnn's tools do on
    x86, where the last records of a count that is no multiple of four are truncated, stores MemoryData raw, and writes
    as many int8 scales as there are, needed or not.
    Magnitudes below 1e-30 become 0 in binary32 records. A `null` network gets ncnn's pseudo-random weights.
    Raises GraphError if a layer lacks a record or has one of the wrong size.
    """
    if narrow is None:
        narrow = narrow_as_x86 if upstream else narrow_to_nearest
    random = RandomWeights() if graph.null_weights else None
    parts: list[bytes] = []
    for layer in graph:
        for weight in _records_to_write(layer, graph.file, upstream):
            assert layer.layer_type is not None
            filled = weight if random is None else random.fill(weight, layer.layer_type)
            is_tagged = filled.kind == "tagged" and not (upstream and layer.type == "MemoryData")
            if filled.dtype == "int8" and not is_tagged:
                raise GraphError(layer.name, f"{weight.name} holds int8 codes, which a raw record cannot hold")
            if not is_tagged:
                parts.append(_float32_bytes(filled.floats()))
            elif filled.dtype == "int8":
                parts += [_tag(TAG_INT8), _padded(filled.values.tobytes())]
            elif not fp16:
                parts += [_tag(TAG_FLOAT32), _float32_bytes(filled.floats())]
            else:
                parts += [_tag(TAG_FLOAT16), _padded(_float16_bytes(layer, filled, upstream, narrow))]
    return b"".join(parts)


def _records_to_write(layer: Layer, file: str, upstream: bool) -> Iterator[Weight]:
    written = []
    for spec, count in _records(layer, file):
        weight = layer.weight(spec.name)
        unchecked = upstream and "int8_scale" in spec.name
        if len(weight) != count and not unchecked:
            raise GraphError(layer.name, f"expected {count} values in {spec.name}, but it holds {len(weight)}")
        written.append(spec.name)
        yield weight
    for name in layer.weights:
        if name not in written:
            raise GraphError(layer.name, f"has a weight record {name} that its parameters leave no room for")


def _tag(tag: int) -> bytes:
    return tag.to_bytes(4, "little")


def _little_endian(values: array[Any]) -> bytes:
    if sys.byteorder == "big":
        values = array(values.typecode, values)
        values.byteswap()
    return values.tobytes()


def _float32_bytes(values: array[float]) -> bytes:
    return _little_endian(without_tiny_values(values))


def _float16_bytes(layer: Layer, weight: Weight, upstream: bool, narrow: Narrow) -> bytes:
    if weight.dtype == "float16" and not upstream:
        return _little_endian(weight.values)
    floats = weight.floats()
    narrowed = narrow(floats)
    overflows = narrowed.count(_F16_INFINITY) + narrowed.count(_F16_SIGN | _F16_INFINITY)
    if overflows > 0:
        overflows -= floats.count(math.inf) + floats.count(-math.inf)
    if overflows > 0:
        message = f"layer {layer.name}: {overflows} values of {weight.name} are beyond binary16 and become infinite"
        warnings.warn(message, FormatWarning, stacklevel=3)
    return _little_endian(narrowed)


def without_tiny_values(values: array[float]) -> array[float]:
    """The values with magnitudes below 1e-30 replaced by 0.

    >>> without_tiny_values(array("f", [1e-31, 1e-29])).tolist()
    [0.0, 1.0000000031710769e-29]
    """
    high_bytes = _little_endian(values)[3::4]
    candidates = (match.start() for match in _HIGH_BYTE_OF_TINY.finditer(high_bytes))
    tiny = [i for i in candidates if 0.0 < abs(values[i]) < SMALLEST_WRITTEN]
    if not tiny:
        return values
    changed = array("f", values)
    for i in tiny:
        changed[i] = 0.0
    return changed


def _aligned(size: int) -> int:
    return (size + 3) // 4 * 4


def _padded(data: bytes) -> bytes:
    return data + bytes(_aligned(len(data)) - len(data))


# binary32 to binary16.


def narrow_to_nearest(values: array[float]) -> array[int]:
    """Binary16 bit patterns, nearest with halves to even; from 65520 on infinite.

    >>> [hex(bits) for bits in narrow_to_nearest(array("f", [1.0, -0.5, 0.1, 65519.0, 65520.0]))]
    ['0x3c00', '0xb800', '0x2e66', '0x7bff', '0x7c00']
    """
    narrowed = array("H")
    for start in range(0, len(values), _PACKED_AT_ONCE):
        chunk = values[start : start + _PACKED_AT_ONCE]
        try:
            narrowed.frombytes(struct.pack(f"={len(chunk)}e", *chunk))
        except OverflowError:
            finite = [math.copysign(math.inf, value) if abs(value) >= _F16_OVERFLOW else value for value in chunk]
            narrowed.frombytes(struct.pack(f"={len(chunk)}e", *finite))
    return narrowed


def narrow_as_x86(values: array[float]) -> array[int]:
    """Binary16 bit patterns as ncnn's tools make them on x86: nearest in groups of four, truncated in the rest.

    >>> [hex(bits) for bits in narrow_as_x86(array("f", [1, 2, 3, 4, 70000, -70000, 65520]))]
    ['0x3c00', '0x4000', '0x4200', '0x4400', '0x7c00', '0xfc00', '0x7bff']
    """
    whole = len(values) // 4 * 4
    return narrow_to_nearest(values[:whole]) + array("H", [truncate_to_half(value) for value in values[whole:]])


def truncate_to_half(value: float) -> int:
    """The binary16 bit pattern with the mantissa cut off; too small for a normal number gives a signed zero.

    >>> hex(truncate_to_half(65535.0)), hex(truncate_to_half(-6e-5))
    ('0x7bff', '0x8000')
    """
    bits = int.from_bytes(struct.pack("<f", value), "little")
    sign = bits >> 16 & _F16_SIGN
    exponent = (bits >> 23 & 0xFF) - _F32_TO_F16_EXPONENT
    if math.isnan(value):
        return sign | _F16_QUIET_NAN
    if exponent <= 0:
        return sign
    if exponent >= 31:
        return sign | _F16_INFINITY
    return sign | exponent << 10 | bits >> 13 & 0x3FF
