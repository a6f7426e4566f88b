"""Schemas, and adapters that reach programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.adapter import AdapterBroken, AdapterFault, SkippedCase
from conformance.adapters.arrays import from_array, to_array
from conformance.adapters.file_adapter import FileAdapter
from conformance.adapters.subprocess_adapter import SubprocessAdapter
from conformance.runner import run_case
from conformance.schema import FOLDER, load, validate
from conformance.tensor import tensor
from tests.conformance.build import toy_case

BLOB = {"shape": [1], "dtype": "float32", "hex": "0000803f"}
IDENTITY = {"name": "n", "version": "1", "language": "C", "rounding": "other", "layers": ["ReLU"]}
RUN = {
    "cmd": "run",
    "seq": 1,
    "id": "a/b/c",
    "operation": "infer",
    "param": "7767517\n",
    "bin": "00",
    "inputs": {"in0": BLOB},
    "outputs": ["out0"],
}

PARSE = {
    "cmd": "run",
    "seq": 1,
    "id": "a/b/c",
    "operation": "parse",
    "files": {"net.param": "00"},
    "options": {},
    "outputs": [],
}

GOOD: list[tuple[str, dict[str, Any]]] = [
    ("start.schema.json", {"cmd": "start", "protocol": 1}),
    ("started.schema.json", {"protocol": 1, "identity": IDENTITY}),
    ("run.schema.json", RUN),
    ("run.schema.json", PARSE),
    ("ran.schema.json", {"seq": 1, "outputs": {"out0": BLOB}}),
    ("ran.schema.json", {"seq": 1, "refused": "no magic"}),
    ("ran.schema.json", {"seq": 1, "not_applicable": "no such operator"}),
    ("ran.schema.json", {"seq": 1, "skipped": "too big"}),
    ("ran.schema.json", {"seq": 1, "errored": "crash"}),
    ("stop.schema.json", {"cmd": "stop"}),
]

BAD: list[tuple[str, Any, str]] = [
    ("start.schema.json", {"cmd": "start", "protocol": 2}, "protocol should be 1"),
    ("started.schema.json", {"protocol": 1, "identity": {**IDENTITY, "rounding": "good"}}, "one of"),
    ("started.schema.json", {"protocol": 1, "identity": {**IDENTITY, "version": "main"}}, "match"),
    ("started.schema.json", {"protocol": 1}, "lacks 'identity'"),
    ("run.schema.json", {**RUN, "extra": 1}, "unknown field 'extra'"),
    ("run.schema.json", {**RUN, "outputs": [1]}, r"outputs\[0\] should be of type string"),
    ("run.schema.json", {**RUN, "seq": True}, "type integer"),
    ("run.schema.json", {**RUN, "inputs": {"in0": {**BLOB, "hex": "0"}}}, "inputs.in0.hex"),
    ("ran.schema.json", {"seq": 1, "outputs": {}, "skipped": "both"}, "fits 0 of 5"),
    ("ran.schema.json", ["seq"], "fits 0 of 5"),
]


@pytest.mark.parametrize(("schema", "message"), GOOD)
def test_messages_of_the_protocol(schema: str, message: dict[str, Any]) -> None:
    validate(message, schema)


@pytest.mark.parametrize(("schema", "message", "fault"), BAD)
def test_messages_that_are_none(schema: str, message: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        validate(message, schema)


def test_the_schemas_use_only_what_is_checked() -> None:
    known = {"$schema", "title", "type", "required", "additionalProperties", "properties", "items", "const", "enum"}
    known |= {"pattern", "oneOf", "$ref"}

    def words(schema: Any) -> set[str]:
        found = set(schema)
        parts = [*schema.get("properties", {}).values(), *schema.get("oneOf", [])]
        for part in [*parts, *([schema["items"]] if "items" in schema else [])]:
            found |= words(part)
        rest = schema.get("additionalProperties")
        return found | (words(rest) if isinstance(rest, dict) else set())

    for path in FOLDER.glob("*.schema.json"):
        assert words(load(path.name)) <= known, path.name


PROGRAM = """
import json, sys, time
identity = {"name": "toy", "version": "1", "language": "Python", "rounding": "other", "layers": ["ReLU"]}
for line in sys.stdin:
    message = json.loads(line)
    if message["cmd"] == "start":
        print(json.dumps({"protocol": 1, "identity": identity}), flush=True)
    elif message["cmd"] == "stop":
        break
    else:
        answer = {"seq": message["seq"]}
        case = message["id"].split("/")[-1]
        if case == "crash":
            sys.exit(3)
        if case == "sleep":
            time.sleep(30)
        if case == "skip":
            answer["skipped"] = "not today"
        elif case == "error":
            answer["errored"] = "bad luck"
        elif case == "odd":
            answer["outputs"] = 5
        elif case == "late":
            answer = {"seq": 99, "outputs": {}}
        else:
            answer["outputs"] = {"out0": {"shape": [3], "dtype": "float32", "hex": "0000803f0000000000004040"}}
        print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return [sys.executable, str(path)]


def test_a_program_that_speaks_the_protocol(program: list[str]) -> None:
    adapter = SubprocessAdapter(program)
    assert adapter.identity.name == "toy"
    assert run_case(adapter, toy_case()).outcome == "passed"
    with pytest.raises(SkippedCase, match="not today"):
        adapter.run(toy_case("toy/relu/skip"))
    with pytest.raises(AdapterFault, match="bad luck"):
        adapter.run(toy_case("toy/relu/error"))
    adapter.close()
    assert adapter.process.returncode == 0


def test_a_program_that_crashes_is_started_again(program: list[str]) -> None:
    adapter = SubprocessAdapter(program)
    result = run_case(adapter, toy_case("toy/relu/crash"))
    assert (result.outcome, result.message) == ("errored", "AdapterFault: the program ended with status 3")
    assert run_case(adapter, toy_case()).outcome == "passed"
    adapter.close()


def test_a_program_that_hangs_is_ended(program: list[str]) -> None:
    adapter = SubprocessAdapter(program, timeout=1.0)
    assert "no answer within 1 s" in run_case(adapter, toy_case("toy/relu/sleep")).message
    assert run_case(adapter, toy_case()).outcome == "passed"
    adapter.close()


@pytest.mark.parametrize(("name", "message"), [("odd", "not of the protocol"), ("late", "answers case 99")])
def test_answers_that_break_the_protocol(name: str, message: str, program: list[str]) -> None:
    adapter = SubprocessAdapter(program)
    with pytest.raises(AdapterBroken, match=message):
        adapter.run(toy_case(f"toy/relu/{name}"))
    adapter.close()


@pytest.mark.parametrize(
    "command",
    [["/nonexistent/program"], [sys.executable, "-c", "pass"], [sys.executable, "-c", "print('hello')"]],
)
def test_programs_that_do_not_start(command: list[str]) -> None:
    with pytest.raises(AdapterBroken):
        SubprocessAdapter(command, timeout=10.0)


FILE_PROGRAM = """
import sys
import numpy as np
param, data, *blobs = sys.argv[1:]
assert open(param).read().startswith("7767517")
names = dict(blob.split("=") for blob in blobs)
x = np.load(names["in0"])
if x[0] == 77:
    print("not this one", file=sys.stderr)
    sys.exit(77)
if x[0] == 3:
    sys.exit("broken")
if x[0] != 4:
    np.save(names["out0"], np.maximum(x, 0))
"""


@pytest.mark.parametrize(
    ("first", "outcome", "message"),
    [(1, "passed", ""), (77, "skipped", "not this one"), (3, "errored", "broken"), (4, "errored", "not written")],
)
def test_a_program_that_reads_files(first: float, outcome: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(FILE_PROGRAM)
    adapter = FileAdapter([sys.executable, str(path)], layers=("ReLU",))
    case = toy_case(inputs={"in0": tensor((3,), [first, -2.0, 3.0])})
    result = run_case(adapter, case)
    assert result.outcome == outcome
    assert message in result.message
    adapter.close()


def test_a_file_program_that_is_not_there() -> None:
    with pytest.raises(AdapterBroken):
        FileAdapter(["/nonexistent/program"], layers=("ReLU",)).run(toy_case())


def test_arrays_and_tensors() -> None:
    for dtype in (np.float32, np.int8, np.int32):
        array = np.arange(6).reshape(2, 3).astype(dtype)
        np.testing.assert_array_equal(to_array(from_array(array)), array)
    with pytest.raises(TypeError, match="float64"):
        from_array(np.zeros(2))


def test_messages_fit_on_one_line() -> None:
    assert "\n" not in json.dumps(RUN)
