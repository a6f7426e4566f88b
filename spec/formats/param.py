"""Text `.param` files: the layers of a network, how they are wired, and their parameters.

    7767517
    <layer_count> <blob_count>
    <type> <name> <bottom_count> <top_count> <bottom names...> <top names...> <key=value ...>

The reader is strict where ncnn at this commit is lenient by accident: one layer a line, every number whole and in
range, every value of the kind that its parameter has. A float parameter may be written as an int, which is converted.
The writer keeps ncnn's layout; with `upstream=True` it also keeps ncnn's losses.

Follows: ncnn src/paramdict.cpp, src/net.cpp (load_param) and tools/modelwriter.h @ a4d2ea1d.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterator
from functools import cache

from spec.binary32 import f32
from spec.errors import FormatError, FormatWarning, GraphError
from spec.formats.files import read_bytes
from spec.formats.param_checks import check_params
from spec.graph import Graph, Layer, Shape, hint_extents, numpy_shape
from spec.layer_table import (
    BY_NAME,
    FEATURE_MASK_ID,
    SHAPE_HINT_ID,
    Params,
    ParamSpec,
    ParamValue,
)

MAGIC = 7767517
"""First number of every text and binary param file."""

MAX_NAME_BYTES = 255
"""Longest type, layer name, blob name or string value."""

MAX_PARAM_ID = 31
"""Ids 0 to 29 belong to the layer, 30 holds shape hints, 31 the feature mask."""

ARRAY_KEY = -23300
"""An array of the old style with id k has the key ARRAY_KEY - k."""

_INT_RANGE = range(-(2**31), 2**31)

_INTEGER = re.compile(rb"[+-]?[0-9]+")
_FLOAT = re.compile(rb"([+-]?)(?:([0-9]+)\.?([0-9]*)|\.([0-9]+))(?:[eE]([+-]?)([0-9]+))?")
_KEY = re.compile(rb"([+-]?[0-9]+)=")
_TOKEN = re.compile(rb"\S*")
_QUOTED = re.compile(rb'"([^"]*)"(?!\S)')


class _Fault(ValueError):
    """A fault in one line. `line` is its number where that is not the line being read."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


# Reading.


def read_param(path: str | os.PathLike[str], *, allow_custom: bool = False) -> Graph:
    """Read a param file. Layer types that ncnn does not have need `allow_custom`.

    Raises FormatError with file, line and what was expected.
    """
    return parse_param(read_bytes(path), os.fspath(path), allow_custom=allow_custom)


def parse_param(text: bytes | str, file: str = "<memory>", *, allow_custom: bool = False) -> Graph:
    r"""The network that a param text describes; `file` names it in messages. Raises FormatError.

    >>> graph = parse_param("7767517\n2 2\nInput in 0 1 a 0=4\nReLU r 1 1 a b 0=0.5\n")
    >>> graph.layers[1].get.number("slope")
    0.5
    """
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    lines = _numbered_lines(data)
    number = 1
    try:
        number, layer_count, blob_count = _parse_header(lines)
        if blob_count > len(data):
            raise _Fault(f"the header announces {blob_count} blobs, more than the file can hold")
        layers: list[Layer] = []
        made: set[str] = set()
        for number, line in lines:
            if len(layers) == layer_count:
                _warn(file, number, f"text after the last of {layer_count} layers is ignored")
                break
            layer = _parse_layer(line, file, number, allow_custom)
            check_wiring(layer, made)
            if len(made) > blob_count:
                raise _Fault(f"the header announces {blob_count} blobs, but there are more")
            layers.append(layer)
        if len(layers) < layer_count:
            raise _Fault(
                f"expected {layer_count} layers as the header announces, but the file ends after {len(layers)}"
            )
    except _Fault as fault:
        raise FormatError(file, f"line {fault.line or number}", str(fault)) from None
    if len(made) < blob_count:
        _warn(file, number, f"the header announces {blob_count} blobs, but there are {len(made)}")
    return Graph(layers, file)


def _numbered_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Lines that hold anything, with their numbers."""
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            yield number, line


def _parse_header(lines: Iterator[tuple[int, bytes]]) -> tuple[int, int, int]:
    """Line number of the header's end, layer count and blob count."""
    words: list[tuple[int, bytes]] = []
    while len(words) < 3 and (numbered := next(lines, None)) is not None:
        number, line = numbered
        words += [(number, word) for word in line.split()]
    if not words:
        raise _Fault(f"expected the magic number {MAGIC}, but the file is empty")
    number, magic = words[0]
    if _number_or_none(magic) != MAGIC:
        raise _Fault(f"expected the magic number {MAGIC} of a param file, but got {_show(magic)}", number)
    if len(words) < 3:
        raise _Fault("expected layer count and blob count after the magic number", words[-1][0])
    if len(words) > 3:
        raise _Fault(f"expected a line end after the counts, but got {_show(words[3][1])}", words[3][0])
    number = words[2][0]
    try:
        layer_count, blob_count = _integer(words[1][1], "layer count"), _integer(words[2][1], "blob count")
    except _Fault as fault:
        raise _Fault(str(fault), number) from None
    if layer_count < 1 or blob_count < 1:
        message = f"expected counts of at least 1, but got {layer_count} layers and {blob_count} blobs"
        raise _Fault(message, number)
    return number, layer_count, blob_count


def _parse_layer(line: bytes, file: str, number: int, allow_custom: bool) -> Layer:
    head = line.split(None, 4)
    if len(head) < 4:
        raise _Fault("expected type, name, bottom count and top count of a layer")
    type_name, name = _name(head[0], "layer type"), _name(head[1], "layer name")
    layer_type = BY_NAME.get(type_name)
    if layer_type is None and not allow_custom:
        raise _Fault(f"layer {name}: ncnn has no layer type {type_name}")
    bottom_count, top_count = _integer(head[2], "bottom count"), _integer(head[3], "top count")
    if bottom_count < 0 or top_count < 0:
        raise _Fault(
            f"layer {name}: expected counts of at least 0, but got {bottom_count} bottoms and {top_count} tops"
        )
    count = bottom_count + top_count
    rest = head[4] if len(head) > 4 else b""
    words = rest.split(None, count)
    if len(words) < count:
        raise _Fault(f"layer {name}: expected {count} blob names, but the line holds {len(words)}")
    blobs = [_name(word, "blob name") for word in words[:count]]
    layer = Layer(type_name, name, blobs[:bottom_count], blobs[bottom_count:])
    try:
        for id, value, mixed in _parse_values(words[count] if len(words) > count else b""):
            if id == SHAPE_HINT_ID:
                layer.hints = hints_of(value, top_count)
                continue
            if store_param(layer, id, value) or mixed:
                _warn(file, number, f"layer {name}: parameter {id} holds ints for floats, whose bits ncnn takes")
        check_params(layer)
    except ValueError as fault:
        raise _Fault(f"layer {name}: {fault}") from None
    return layer


def check_wiring(layer: Layer, made: set[str]) -> None:
    """Add the tops of a layer to the blobs made so far. ValueError if a bottom is missing or a top made already."""
    for bottom in layer.bottoms:
        if bottom not in made:
            raise _Fault(f"layer {layer.name}: reads blob {bottom}, which no earlier layer makes")
    for top in layer.tops:
        if top in made:
            raise _Fault(f"layer {layer.name}: makes blob {top}, which is made already")
        made.add(top)


# Values.


def _parse_values(text: bytes) -> Iterator[tuple[int, ParamValue, bool]]:
    """(id, value, whether an array mixes ints and floats) of each `key=value` in the rest of a layer's line."""
    position = 0
    end = len(text.rstrip())
    while position < end:
        if text[position : position + 1].isspace():
            position += 1
            continue
        key = _KEY.match(text, position)
        if key is None:
            raise _Fault(f"expected key=value, but got {_show(_word(text, position))}")
        id, is_old_array = _param_id(_integer(key[1], "key"))
        position = key.end()
        if text[position : position + 1] == b'"' and not is_old_array:
            quoted = _QUOTED.match(text, position)
            if quoted is None:
                raise _Fault(f"parameter {id}: expected a closing quote and a blank behind it")
            yield id, _name(quoted[1], f"parameter {id}"), False
            position = quoted.end()
            continue
        word = _word(text, position)
        position += len(word)
        if is_old_array:
            yield id, *_old_array(id, word)
        elif word[:1].isalpha():
            yield id, _name(word.removesuffix(b'"'), f"parameter {id}"), False
        elif b"," in word:
            yield id, _new_array(id, word), False
        else:
            yield id, _scalar(id, word), False


def _param_id(key: int) -> tuple[int, bool]:
    """Id and whether the value is an array of the old style."""
    is_array = key <= ARRAY_KEY
    id = ARRAY_KEY - key if is_array else key
    if not 0 <= id <= MAX_PARAM_ID:
        raise _Fault(f"key {key}: expected an id from 0 to {MAX_PARAM_ID}")
    return id, is_array


def _scalar(id: int, word: bytes) -> int | float:
    if not word:
        raise _Fault(f"parameter {id}: expected a value right after the equals sign")
    if re.search(rb"[.eE]", word):
        return parse_float(word, f"parameter {id}")
    return _integer(word, f"parameter {id}")


def _old_array(id: int, word: bytes) -> tuple[list[int] | list[float], bool]:
    """`N,e1,...,eN`; each element is an int or a float by itself."""
    count_text, *elements = word.split(b",")
    count = _integer(count_text, f"parameter {id}: array length")
    if count != len(elements):
        raise _Fault(f"parameter {id}: expected {count} array elements, but got {len(elements)}")
    values = [_scalar(id, element) for element in elements]
    floats = [isinstance(value, float) for value in values]
    if not any(floats):
        return [int(value) for value in values], False
    mixed = any(not is_float and value != 0 for is_float, value in zip(floats, values, strict=True))
    return [f32(value) for value in values], mixed


def _new_array(id: int, word: bytes) -> list[int] | list[float]:
    """`e1,e2,...`, where a trailing comma is allowed; the first element decides whether it holds ints or floats."""
    elements = word.removesuffix(b",").split(b",")
    values = [_scalar(id, element) for element in elements]
    if isinstance(values[0], float):
        return [f32(value) for value in values]
    if any(isinstance(value, float) for value in values):
        raise _Fault(f"parameter {id}: the array begins with an int, but holds floats too")
    return [int(value) for value in values]


def parse_float(word: bytes, what: str = "number") -> float:
    """A float token as binary32. Raises ValueError if it is malformed or not finite.

    This is ncnn's own routine, which may differ from correct rounding in the last bit: the digits before the point and
    those after it are summed up in binary64, divided and scaled there, and the result is rounded once. For tokens of
    more than nine digits on a side it is that of the releases after this commit, whose sums do not wrap at 32 bits.

    >>> parse_float(b"1.250000e-01")
    0.125
    >>> parse_float(b"5.171383e+07")
    51713828.0
    """
    match = _FLOAT.fullmatch(word)
    if match is None:
        raise _Fault(f"{what}: expected a number, but got {_show(word)}")
    sign, before, after, only_after, exponent_sign, exponent = match.groups()
    fraction = after or only_after or b""
    value = _digits(before or b"") + _digits(fraction) / _power_of_ten(len(fraction), 1)
    if value != 0.0:
        scale = _power_of_ten(_exponent(exponent or b"0"), 8)
        value = f32(value / scale if exponent_sign == b"-" else value * scale)
    if not math.isfinite(value):
        raise _Fault(f"{what}: {_show(word)} is beyond the range of binary32")
    return -value if sign == b"-" else value


def _digits(text: bytes) -> float:
    """The number that decimal digits give, summed up in binary64."""
    value = 0.0
    for digit in text:
        value = value * 10.0 + (digit - ord("0"))
    return value


def _exponent(text: bytes) -> int:
    """The digits of an exponent as a number; beyond three they all mean infinity."""
    digits = text.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= 3 else 1000


def _power_of_ten(exponent: int, step: int) -> float:
    """10 to the exponent, multiplied up in binary64 by 10**step and then by 10; infinite beyond the range."""
    power = 1.0
    for factor in [10.0**step] * (exponent // step) + [10.0] * (exponent % step):
        power *= factor
    return power


def store_param(layer: Layer, id: int, value: ParamValue) -> bool:
    """Store a value in the form that its parameter has; True if a non-zero int became a float.

    Raises ValueError if the value is of another kind than the parameter.
    """
    layer_type = layer.layer_type
    spec = layer_type.param_by_id(id) if layer_type is not None else None
    if id == FEATURE_MASK_ID and not isinstance(value, int):
        raise _Fault(f"parameter {id} (feature mask): expected an int, but got {value!r}")
    if spec is None:
        layer.params[id] = value
        return False
    layer.params[id] = _converted(spec, value)
    if spec.kind == "float":
        return isinstance(value, int) and value != 0
    return spec.kind == "floats" and isinstance(value, list) and any(isinstance(item, int) and item for item in value)


def _converted(spec: ParamSpec, value: ParamValue) -> ParamValue:
    if spec.kind == "int" and isinstance(value, int):
        return value
    if spec.kind == "float" and isinstance(value, (int, float)):
        return f32(value)
    if spec.kind == "ints" and isinstance(value, list) and all(isinstance(item, int) for item in value):
        return value
    if spec.kind == "floats" and isinstance(value, list):
        return [f32(item) for item in value]
    if spec.kind == "string" and isinstance(value, str):
        return value
    wanted = {"int": "an int", "float": "a float", "ints": "an int array", "floats": "a float array"}
    raise _Fault(f"parameter {spec.id} ({spec.name}): expected {wanted.get(spec.kind, 'a string')}, but got {value!r}")


def hints_of(value: ParamValue, top_count: int) -> list[Shape | None]:
    """Shapes of the tops from a hint: four ints (dims, w, h, c) or five (dims, w, h, d, c) each. Raises ValueError."""
    if not isinstance(value, list) or not all(isinstance(item, int) for item in value):
        raise _Fault(f"shape hint: expected an int array, but got {value!r}")
    if not value:
        return []
    extents = [int(item) for item in value]
    if len(extents) not in (4 * top_count, 5 * top_count):
        raise _Fault(f"shape hint: expected 4 or 5 ints for each of {top_count} tops, but got {len(extents)}")
    step = len(extents) // top_count
    return [_hint(extents[start : start + step]) for start in range(0, len(extents), step)]


def _hint(extents: list[int]) -> Shape | None:
    dims, w, h = extents[:3]
    d, c = (1, extents[3]) if len(extents) == 4 else (extents[3], extents[4])
    if not 0 <= dims <= len(extents) - 1 or min(w, h, d, c) < 0:
        raise _Fault(f"shape hint: {','.join(map(str, extents))} is not a shape")
    return numpy_shape(dims, w, h, d, c)


# Words.


def _word(text: bytes, position: int) -> bytes:
    match = _TOKEN.match(text, position)
    return match[0] if match is not None else b""


def _name(word: bytes, what: str) -> str:
    if len(word) > MAX_NAME_BYTES:
        raise _Fault(f"{what}: expected at most {MAX_NAME_BYTES} bytes, but got {len(word)}")
    if b"\0" in word:
        raise _Fault(f"{what}: holds a zero byte")
    return word.decode("utf-8", "surrogateescape")


def _number_or_none(word: bytes) -> int | None:
    """An integer, or None for anything else; integers too long to be of use are None as well."""
    if _INTEGER.fullmatch(word) is None or len(word.lstrip(b"+-0")) > 10:
        return None
    return int(word)


def _integer(word: bytes, what: str) -> int:
    value = _number_or_none(word)
    if value is None or value not in _INT_RANGE:
        raise _Fault(f"{what}: expected a 32-bit integer, but got {_show(word)}")
    return value


def _show(word: bytes) -> str:
    text = word[:40].decode("utf-8", "backslashreplace")
    return repr(text) + ("..." if len(word) > 40 else "")


def _warn(file: str, number: int, message: str) -> None:
    warnings.warn(f"{file}: line {number}: {message}", FormatWarning, stacklevel=3)


# Writing.


def format_param(graph: Graph, *, upstream: bool = False) -> str:
    r"""The param text of a network, in ncnn's layout: parameters that differ from the defaults, in ncnn's order.

    Nothing is lost by default: parameters that ncnn's writer forgets follow in order of their ids, and floats get the
    digits they need to read back the same. `upstream=True` writes what ncnn's writer writes.
    Raises GraphError for values that the format cannot hold (non-finite floats, line breaks, a quote in a string).

    >>> print(format_param(parse_param("7767517\n1 1\nInput in 0 1 a 0=4")), end="")
    7767517
    1 1
    Input                    in                       0 1 a 0=4
    """
    lines = [f"{MAGIC}", f"{len(graph.layers)} {len(graph.blob_names())}"]
    lines += [_format_layer(layer, upstream) for layer in graph.layers]
    return "\n".join(lines) + "\n"


def _format_layer(layer: Layer, upstream: bool) -> str:
    for word in (layer.type, layer.name, *layer.bottoms, *layer.tops):
        data = word.encode("utf-8", "surrogateescape")
        if data.split() != [data] or len(data) > MAX_NAME_BYTES:
            raise GraphError(layer.name, f"{word!r} cannot be written as a name")
    counts = f"{len(layer.bottoms)} {len(layer.tops)}"
    values = (_format_value(layer, id, value, upstream) for id, value in _written_params(layer, upstream))
    words = [
        f"{layer.type:<24} {layer.name:<24} {counts}",
        *layer.bottoms,
        *layer.tops,
        *_format_hints(layer, upstream),
    ]
    return " ".join([*words, *values])


def _format_hints(layer: Layer, upstream: bool) -> list[str]:
    """The shape hint, if there is one to write; ncnn writes it only where every top has a shape."""
    shapes: list[Shape | None] = layer.hints or [None] * len(layer.tops)
    if all(shape is None for shape in shapes) and shapes:
        return []
    if upstream and None in shapes:
        return []
    extents = hint_extents(shapes)
    return [f"{ARRAY_KEY - SHAPE_HINT_ID}={','.join(map(str, [len(extents), *extents]))}"]


def _written_params(layer: Layer, upstream: bool) -> list[tuple[int, ParamValue]]:
    """Ids and values to write, in the order of the file."""
    layer_type = layer.layer_type
    if layer_type is None:
        known = sorted(layer.params.items())
        return [(id, value) for id, value in known if not (upstream and isinstance(value, str))]
    written = [
        (spec.id, 1 if spec.forced_when is not None else layer.get[spec.name])
        for spec in layer_type.params
        if not spec.lost and _is_written(layer, spec)
    ]
    if upstream:
        return written
    done = {id for id, _ in written}
    rest = [(id, value) for id, value in sorted(layer.params.items()) if id not in done]
    return written + [(id, value) for id, value in rest if _says_something(layer, layer_type.param_by_id(id), value)]


def _is_written(layer: Layer, spec: ParamSpec) -> bool:
    """The rule of ncnn's writer: scalars unlike their partner or an empty layer's value, arrays with elements."""
    if spec.forced_when is not None:
        return spec.forced_when(layer.get)
    value = layer.get[spec.name]
    if spec.unless_same_as is not None:
        return value != layer.get[spec.unless_same_as]
    return value != _default_of_empty_layer(layer.type, spec.name)


def _says_something(layer: Layer, spec: ParamSpec | None, value: ParamValue) -> bool:
    """Whether reading the layer without this parameter would give another value."""
    if spec is None:
        return True
    if spec.forced_when is not None:
        return False
    others = {id: other for id, other in layer.params.items() if id != spec.id}
    return value != Params(layer.get.layer_type, others)[spec.name]


@cache
def _default_of_empty_layer(type_name: str, param: str) -> ParamValue:
    return Params(BY_NAME[type_name], {})[param]


def _format_value(layer: Layer, id: int, value: ParamValue, upstream: bool) -> str:
    if isinstance(value, str):
        return f"{id}={_format_string(layer, value, upstream)}"
    if isinstance(value, list):
        elements = [_format_number(layer, item, upstream) for item in value]
        return f"{ARRAY_KEY - id}={','.join([str(len(elements)), *elements])}"
    return f"{id}={_format_number(layer, value, upstream)}"


def _format_number(layer: Layer, value: int | float, upstream: bool) -> str:
    if isinstance(value, int):
        if value not in _INT_RANGE:
            raise GraphError(layer.name, f"{value} does not fit an int parameter")
        return str(int(value))
    if not math.isfinite(f32(value)):
        raise GraphError(layer.name, f"{value} cannot be written as a parameter")
    return f"{value:e}" if upstream else format_float(value)


def format_float(value: float) -> str:
    """A binary32 number with the seven digits that ncnn writes, or with eight or nine if it needs them to read back.

    Nine always do: they are six times closer to the number than the middle between it and its neighbour.

    >>> format_float(0.125), format_float(f32(0.1)), format_float(f32(3.14159265))
    ('1.250000e-01', '1.000000e-01', '3.1415927e+00')
    """
    for decimals in (6, 7):
        text = f"{value:.{decimals}e}"
        if parse_float(text.encode("ascii")) == value:
            return text
    return f"{value:.8e}"


def _format_string(layer: Layer, value: str, upstream: bool) -> str:
    """A string in quotes; bare where ncnn's reader would lose the closing quote (14 bytes without comma or blank)."""
    data = value.encode("utf-8", "surrogateescape")
    if len(data) > MAX_NAME_BYTES or any(char in value for char in '"\n\0'):
        raise GraphError(layer.name, f"{value!r} cannot be written as a string parameter")
    if upstream:
        return f'"{value}"'
    if len(data) == 14 and data[:1].isalpha() and not re.search(rb"[\s,]", data):
        return value
    return f'"{value}"'
