"""The vectors: their shape, their stability, and what can be asked of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from golden import audit, by_hand, importer, manifest, vectors
from golden.__main__ import main
from golden.contents import MOST_NUMBERS, decode, encode
from golden.layout import layout
from spec.blob import float_blob
from spec.formats.npy import format_npy
from tests.shared import require_shared

SCHEMA = json.loads((manifest.ROOT / "schema" / "vectors.schema.json").read_text())
FAMILIES = sorted(vectors.FOLDER.rglob("*.json"))
MOST_BYTES = 8_000_000
CASES = {"by-hand": 38, "formats": 274, "int8": 141, "layers-int8": 224, "optimize": 208, "tables": 108}


def label(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


@pytest.mark.parametrize("path", FAMILIES, ids=label)
def test_schema(path: Path) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(path.read_text()))


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "other"},
        {"count": 0},
        {"groups": []},
        {"notes": {"bin": 1}},
        {"surplus": 1},
    ],
)
def test_the_schema_refuses(change: dict[str, Any]) -> None:
    document = json.loads((vectors.FOLDER / "by-hand" / "formats.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(document | change)


def test_numbers_of_cases() -> None:
    assert {group: len(vectors.cases(group)) for group in vectors.groups()} == CASES


def test_size() -> None:
    assert sum(path.stat().st_size for path in FAMILIES) < MOST_BYTES


def test_no_faults() -> None:
    assert audit.faults() == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda document: document.update(count=9), "formats.json: says 9 cases"),
        (lambda document: document.update(family="other"), "calls itself by-hand/other"),
        (lambda document: document["notes"].clear(), "the flag ncnn2mem has no note"),
        (lambda document: first(document)["inputs"].clear(), "by-hand/weights-binary32: net.bin refers to"),
        (lambda document: first(document).update(needs=["x/y"]), "needs x/y, which is not here"),
        (lambda document: first(document)["expected"].clear(), "speaks of the file net.param.bin"),
        (lambda document: document["groups"].append(document["groups"][0]), "by-hand/param-to-binary: twice"),
    ],
)
def test_faults_are_found(change: Any, fault: str, tmp_path: Path) -> None:
    document = json.loads((vectors.FOLDER / "by-hand" / "formats.json").read_text())
    second = document["groups"][0]["cases"][1]
    second["inputs"]["net.bin"] = {"same_as": "param-to-binary/net.bin"}
    change(document)
    target = tmp_path / "by-hand" / "formats.json"
    target.parent.mkdir()
    target.write_text(json.dumps(document))
    assert fault in "\n".join(audit.faults(tmp_path))


def first(document: dict[str, Any]) -> Any:
    return document["groups"][0]["cases"][0]


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_contents_come_back(data: bytes) -> None:
    content = json.loads(json.dumps(encode(data)))
    assert decode(content) == data


@given(st.lists(st.floats(width=32), max_size=2 * MOST_NUMBERS))
def test_arrays_come_back(values: list[float]) -> None:
    data = format_npy(float_blob((len(values),), values))
    content = encode(data)
    assert decode(json.loads(json.dumps(content, allow_nan=False))) == data
    assert decode(encode(data[:-1])) == data[:-1]
    assert decode(encode(data + b"\0")) == data + b"\0"


def test_small_arrays_are_numbers() -> None:
    assert encode(format_npy(float_blob((2,), [0.5, -1.0]))) == {
        "npy": {"dtype": "float32", "shape": [2], "values": [0.5, -1.0]}
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=20), inner, max_size=8),
    max_leaves=20,
)


@given(json_values)
def test_layout_is_json(value: Any) -> None:
    assert json.loads(layout(value)) == value


def test_case_and_unpack(tmp_path: Path) -> None:
    case = vectors.case("int8/from-chain3")
    folder = case.unpack(tmp_path)
    assert folder == tmp_path / "int8" / "from-chain3"
    assert sorted(path.name for path in (tmp_path / "tables" / "chain3").iterdir())
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == set(case.files)
    assert case.group == "int8"
    assert case.name == "from-chain3"
    for command in case.commands:
        for word in command["argv"][:2]:
            assert (folder / word).resolve().exists()


def test_unknown_names() -> None:
    for ask in (lambda: vectors.case("int8/nothing"), lambda: vectors.cases("nothing")):
        with pytest.raises(KeyError):
            ask()


def test_the_package_reads_without_numpy() -> None:
    program = "import sys; sys.modules['numpy'] = None; from golden import vectors; print(len(vectors.cases()))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=manifest.ROOT.parent)
    assert out.stdout == f"{sum(CASES.values())}\n", out.stderr


def test_by_hand_is_what_its_recipes_make(tmp_path: Path) -> None:
    by_hand.write(tmp_path)
    for path in tmp_path.rglob("*.json"):
        assert path.read_bytes() == (vectors.FOLDER / path.relative_to(tmp_path)).read_bytes()


def test_the_import_gives_the_same_bytes(tmp_path: Path) -> None:
    corpus = require_shared("golden")
    importer.import_corpus(corpus, tmp_path)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.json")}
    carried = {path.relative_to(vectors.FOLDER): path.read_bytes() for path in FAMILIES if "by-hand" not in path.parts}
    assert made == carried


def test_nothing_is_lost(tmp_path: Path) -> None:
    corpus = require_shared("golden")
    for group in importer.GROUPS:
        for case in vectors.cases(group):
            original = {
                path.relative_to(corpus / case.id).as_posix(): path.read_bytes()
                for path in (corpus / case.id).rglob("*")
                if path.is_file() and path.name != "case.json"
            }
            assert {name: case.data(name) for name in case.files} == original


def test_no_import_without_a_corpus(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["import", str(tmp_path)])
    assert result.exit_code == 1
    assert "there is no corpus here" in result.output
    assert list(tmp_path.iterdir()) == []


def test_no_import_of_a_damaged_corpus(tmp_path: Path) -> None:
    (tmp_path / "formats" / "a").mkdir(parents=True)
    (tmp_path / "formats" / "a" / "case.json").write_text("{}")
    for digests, message in (({}, "missing or not listed: formats/a/case.json"), ({"case.json": "0"}, "differs from")):
        (tmp_path / "MANIFEST.json").write_text(json.dumps({"cases": {"formats/a": {"sha256": digests}}}))
        with pytest.raises(importer.CorpusError, match=message):
            importer.import_corpus(tmp_path, tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], "files as listed, 993 cases"),
        (["list", "by-hand"], "by-hand/v10-quantize"),
        (["explain", "int8/text-tab"], "crash-no-scales"),
        (["explain", "int8/from-chain3"], "needs tables/chain3"),
        (["explain", "formats/fuzz-04"], "observed: "),
        (["explain", "models/digits-lstm/kl.table"], '"provenance": "observed"'),
    ],
)
def test_commands(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert words in result.output


def test_unpack_command(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["unpack", "by-hand/v10-quantize", str(tmp_path)])
    assert result.output == f"{tmp_path}/by-hand/v10-quantize\n"
    assert (tmp_path / "by-hand" / "v10-quantize" / "net.param").is_file()


@pytest.mark.parametrize("arguments", [["list", "x"], ["explain", "x/y"], ["unpack", "x", "y"], ["unpack", "x/y", "z"]])
def test_names_that_are_not_there(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert result.output.startswith("x")
