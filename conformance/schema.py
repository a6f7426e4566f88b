"""Messages against the published schemas.

`validate` knows the part of JSON Schema that they use (types, constants, properties, items, oneOf and $ref), needs no
package and names the place of a fault. `validate_fully` is jsonschema.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "protocol"

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


@cache
def load(name: str) -> dict[str, Any]:
    """A schema of the protocol by file name."""
    schema: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return schema


def validate(message: object, name: str) -> None:
    """ValueError, saying where, unless `message` satisfies the schema `name`."""
    _check(message, load(name), name.split(".")[0])


def validate_fully(message: object, name: str) -> None:
    """The same by jsonschema, which knows all of JSON Schema. ImportError where it is not installed."""
    import jsonschema

    try:
        _full(name).validate(message)
    except jsonschema.ValidationError as error:
        raise ValueError(f"{name.split('.')[0]}{error.json_path[1:]}: {error.message:.200}") from error


@cache
def _full(name: str) -> Any:
    """A validator that finds the other schemas by their file names."""
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    registry: Any = Registry()
    for path in FOLDER.glob("*.schema.json"):
        registry = registry.with_resource(path.name, Resource.from_contents(load(path.name)))
    return Draft202012Validator(load(name), registry=registry)


def _check(value: Any, schema: dict[str, Any], where: str) -> None:
    if "$ref" in schema:
        _check(value, load(schema["$ref"]), where)
        return
    if "oneOf" in schema:
        _check_one_of(value, schema["oneOf"], where)
        return
    if "const" in schema and value != schema["const"]:
        raise ValueError(f"{where} should be {schema['const']!r}, but is {value!r}")
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"{where} should be one of {schema['enum']}, but is {value!r}")
    if "type" in schema and not _is(value, schema["type"]):
        raise ValueError(f"{where} should be of type {schema['type']}, but is {value!r:.80}")
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        raise ValueError(f"{where} should match {schema['pattern']}, but is {value!r:.80}")
    if isinstance(value, dict):
        _check_object(value, schema, where)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            _check(item, schema["items"], f"{where}[{index}]")


def _is(value: Any, type_name: str) -> bool:
    return isinstance(value, _TYPES[type_name]) and (type_name == "boolean" or not isinstance(value, bool))


def _check_object(value: dict[str, Any], schema: dict[str, Any], where: str) -> None:
    properties: dict[str, Any] = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in value:
            raise ValueError(f"{where} lacks {name!r}")
    rest = schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in properties:
            _check(item, properties[name], f"{where}.{name}")
        elif rest is False:
            raise ValueError(f"{where} has an unknown field {name!r}")
        elif isinstance(rest, dict):
            _check(item, rest, f"{where}.{name}")


def _check_one_of(value: Any, choices: list[dict[str, Any]], where: str) -> None:
    faults = []
    for choice in choices:
        try:
            _check(value, choice, where)
        except ValueError as error:
            faults.append(str(error))
    if len(faults) != len(choices) - 1:
        raise ValueError(f"{where} fits {len(choices) - len(faults)} of {len(choices)} forms: {'; '.join(faults)}")
