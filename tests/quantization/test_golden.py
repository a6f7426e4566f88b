"""Every case of the real ncnn2int8: the same files, the same messages, or a difference that is named here."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from fastpath.commands import ncnn2int8
from tests.shared import SHARED

GROUPS = ("int8", "layers-int8")

REFUSED = {
    "int8/args-missing-bin": "the real tool goes on without weights and crashes",
    "int8/args-missing-param": "the real tool writes an empty model, status 0",
    "int8/args-missing-table": "refused by the real tool as well",
    "int8/args-unwritable": "the real tool ends with status 0",
    "int8/args-too-few": "usage",
    "int8/args-too-many": "usage",
    "int8/notable-conv-then-rnn": "refused by the real tool as well",
    "int8/notable-embed": "refused by the real tool as well",
    "int8/notable-gru": "refused by the real tool as well",
    "int8/notable-lstm": "refused by the real tool as well",
    "int8/notable-mha": "refused by the real tool as well",
    "int8/notable-rnn": "refused by the real tool as well",
    "int8/text-tab": "the real tool crashes on a row without scales",
}
"""Cases in which --upstream ends with an error and writes nothing."""

ATTENTION_SCALE = re.compile(r" 6=7\.07106[78]e-01")
"""The default scale of MultiHeadAttention with heads of width 2. The real tool computes 1 / sqrt(2) by an approximate
reciprocal root and prints 7.071067e-01; the binary32 number nearest to the truth prints as 7.071068e-01."""


def commands() -> list[Any]:
    if SHARED is None:
        return []
    found = []
    for group in GROUPS:
        for path in sorted((SHARED / "golden" / group).glob("*/case.json")):
            case = json.loads(path.read_text())
            found += [
                pytest.param(path.parent, command, id=f"{group}/{case['case']}")
                for command in case.get("commands", [])
                if command["tool"] == "ncnn2int8"
            ]
    return found


def outputs(argv: list[str]) -> list[str]:
    return argv[2:4]


@pytest.mark.skipif(SHARED is None, reason="the shared corpus is not beside this checkout")
@pytest.mark.parametrize(("folder", "command"), commands())
def test_case(
    folder: Path, command: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str], request: Any
) -> None:
    name = request.node.callspec.id
    group_folder = tmp_path / "golden" / folder.parent.name
    work = group_folder / folder.name
    shutil.copytree(folder, work)
    if folder.name.startswith("from-"):
        source = folder.parent.parent / "tables" / folder.name.removeprefix("from-")
        shutil.copytree(source, tmp_path / "golden" / "tables" / source.name)
    argv = list(command["argv"])
    expected = {file: (work / file).read_bytes() for file in outputs(argv) if (work / file).exists()}
    for file in expected:
        (work / file).unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        status = ncnn2int8.main([*argv, "--upstream"])
    messages = capfd.readouterr().err
    written = {file: (work / file).read_bytes() for file in outputs(argv) if (work / file).is_file()}
    if name in REFUSED:
        assert status != 0
        assert messages
        assert written == {}
        return
    assert status == 0, messages
    assert command["exit"] == 0
    assert {file: explained(data) for file, data in written.items()} == {
        file: explained(data) for file, data in expected.items()
    }
    assert messages == _stderr(folder, command)


def explained(data: bytes) -> bytes:
    """The content of a file, without the one difference that has an explanation."""
    if not data.startswith(b"7767517\n"):
        return data
    return ATTENTION_SCALE.sub(" 6=1/sqrt(2)", data.decode()).encode()


def _stderr(folder: Path, command: dict[str, Any]) -> str:
    if "stderr" in command:
        return (folder / str(command["stderr"])).read_text()
    text: str = command.get("stderr_text", "")
    return text
