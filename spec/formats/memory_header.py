"""C headers that embed a network in a program: the indices of its layers and blobs, and its files as arrays.

Follows: ncnn tools/ncnn2mem.cpp @ a4d2ea1d.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from spec.errors import GraphError
from spec.formats.param_bin import custom_types
from spec.graph import Graph
from spec.layer_table import FIRST_CUSTOM_INDEX

_BYTES_A_ROW = 16
_NOT_IN_NAMES = re.compile(rb"[^0-9A-Za-z]")
_ALIGNED = """
#ifdef _MSC_VER
__declspec(align(4))
#else
__attribute__((aligned(4)))
#endif
"""


def sanitized(name: str) -> str:
    """A name with everything but ASCII letters and digits replaced, byte by byte, by underscores.

    >>> sanitized("conv1/relu.0")
    'conv1_relu_0'
    """
    return _NOT_IN_NAMES.sub(b"_", name.encode("utf-8", "surrogateescape")).decode("ascii")


def format_id_header(graph: Graph, param_file: str, header_file: str) -> str:
    """The header with the indices of layers, blobs and custom types, in a namespace named after the param file.

    Raises GraphError if two layers or two blobs get the same C name.
    """
    blobs = {name: index for index, name in enumerate(graph.blob_names())}
    _check_distinct("layers", (layer.name for layer in graph))
    _check_distinct("blobs", blobs)
    namespace = f"{sanitized(_base_name(param_file))}_id"
    lines = [f"namespace {namespace} {{"]
    for index, layer in enumerate(graph):
        lines.append(f"const int LAYER_{sanitized(layer.name)} = {index};")
        lines += [f"const int BLOB_{sanitized(top)} = {blobs[top]};" for top in layer.tops]
    for i, name in enumerate(custom_types(graph)):
        lines.append(f"const int TYPEINDEX_{name} = {FIRST_CUSTOM_INDEX + i};")
    lines.append(f"}} // namespace {namespace}")
    return _guarded("\n".join(lines) + "\n", header_file)


def format_memory_header(files: Mapping[str, bytes], header_file: str) -> str:
    """The header with the content of files, each as an array named after it."""
    return _guarded("".join(_array(name, data) for name, data in files.items()), header_file)


def custom_layer_hints(graph: Graph, param_file: str) -> list[str]:
    """For each custom type, the call that a program has to make."""
    namespace = f"{sanitized(_base_name(param_file))}_id"
    types = custom_types(graph)
    return [f"net.register_custom_layer({namespace}::TYPEINDEX_{name}, {name}_layer_creator);" for name in types]


def _base_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _guarded(body: str, header_file: str) -> str:
    guard = f"NCNN_INCLUDE_GUARD_{sanitized(_base_name(header_file))}"
    return f"#ifndef {guard}\n#define {guard}\n{body}#endif // {guard}\n"


def _array(name: str, data: bytes) -> str:
    numbers = [f"0x{byte:02x}," for byte in data]
    rows = ["".join(numbers[i : i + _BYTES_A_ROW]) for i in range(0, len(numbers), _BYTES_A_ROW)]
    last = "\n" if rows and len(data) % _BYTES_A_ROW == 0 else ""
    name = sanitized(_base_name(name))
    return f"{_ALIGNED}static const unsigned char {name}[] = {{\n" + "\n".join(rows) + last + "};\n"


def _check_distinct(what: str, names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(sanitized(name), name)
        if other != name:
            raise GraphError("", f"the {what} {other} and {name} would both be called {sanitized(name)}")
