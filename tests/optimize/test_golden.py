"""What the real ncnnoptimize wrote for whole networks, byte for byte; the corpus has the small cases."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fastpath.commands.ncnnoptimize import main
from fastpath.optimize import optimize
from spec.formats.param import format_param, read_param
from spec.optimize.mac_estimate import mac_count, mac_line
from tests.shared import SHARED, require_shared

DATA_DEPENDENT = {"mobilenetv2_yolov3": {"param"}}
"""The network whose detections get a hint only by being run, and what differs for it."""


class Case(NamedTuple):
    """One recorded run."""

    folder: Path
    command: dict[str, Any]
    log: str | None

    @property
    def name(self) -> str:
        return self.folder.name


def cases(group: str) -> list[Case]:
    """Recorded runs of the groups that only the shared corpus has."""
    if SHARED is None:
        return []
    found = []
    for path in sorted((SHARED / "golden" / group).glob("*/case.json")):
        commands = [entry for entry in json.loads(path.read_text())["commands"] if entry["tool"] == "ncnnoptimize"]
        log = next((entry["stderr_text"] for entry in commands if "stderr_text" in entry), None)
        found += [Case(path.parent, entry, entry.get("stderr_text", log)) for entry in commands]
    return found


def case_id(case: Case) -> str:
    return "-".join([case.name, *case.command["argv"][4:]])


def masked(log: str) -> str:
    """Without what depends on the machine, and without this project's word before errors."""
    log = re.sub(r"footprint = \S+ KB = \S+ MB", "footprint = * KB = * MB", log)
    return re.sub(r"^error: ", "", log, flags=re.MULTILINE)


@pytest.mark.parametrize("case", cases("models"), ids=case_id)
def test_the_benchmark_networks(case: Case) -> None:
    """Parameters, shapes and logs; their weights are not shipped, and no pass reads them."""
    graph = read_param(case.folder / case.command["argv"][0])
    lines: list[str] = []
    optimize(graph, upstream=True, report=lines.append)
    count = mac_count(graph, graph.blob_shapes())
    lines += [mac_line(count)] if count else []
    log = masked("".join(f"{line}\n" for line in lines))
    found = set()
    if format_param(graph, upstream=True) != (case.folder / "opt0.param").read_text():
        found.add("param")
    if hashlib.sha256(log.encode()).hexdigest() != case.command["stderr_sha256"]:
        found.add("log")
    assert found == DATA_DEPENDENT.get(case.name, set())


@pytest.mark.parametrize("case", cases("models"), ids=case_id)
def test_shapes_come_out_of_nothing(case: Case) -> None:
    """Without the hints that the networks carry, the same hints are inferred, but for data-dependent detections."""
    graph = read_param(case.folder / case.command["argv"][0])
    expected = read_param(case.folder / "opt0.param").blob_shapes()
    for layer in graph:
        layer.hints = []
    optimize(graph)
    inferred = graph.blob_shapes()
    detections = {top for layer in graph if layer.type.endswith("DetectionOutput") for top in layer.tops}
    assert inferred == {blob: shape for blob, shape in expected.items() if blob not in detections}


def models() -> list[dict[str, Any]]:
    if SHARED is None:
        return []
    entries: list[dict[str, Any]] = json.loads((SHARED / "models" / "MANIFEST.json").read_text())["models"]
    return [entry for entry in entries if any("ncnnoptimize" in run["cmd"] for run in entry.get("commands", []))]


@pytest.mark.parametrize("model", models(), ids=lambda model: model["name"])
@pytest.mark.parametrize("upstream", [True, False], ids=["upstream", "default"])
def test_pretrained_models(model: dict[str, Any], upstream: bool, tmp_path: Path) -> None:
    folder = require_shared("models", model["name"])
    words = next(run["cmd"].split() for run in model["commands"] if "ncnnoptimize" in run["cmd"])
    argv = [
        str(folder / words[1]),
        str(folder / words[2]),
        str(tmp_path / "o.param"),
        str(tmp_path / "o.bin"),
        words[5],
    ]
    assert main([*argv, *(["--upstream"] if upstream else [])]) == 0
    if upstream:
        assert (tmp_path / "o.param").read_text() == (folder / "opt.param").read_text()
        not_shipped = model.get("not_shipped", {}).get("opt.bin")
        digest = not_shipped["sha256"] if not_shipped else hashlib.sha256((folder / "opt.bin").read_bytes()).hexdigest()
        assert hashlib.sha256((tmp_path / "o.bin").read_bytes()).hexdigest() == digest
    else:
        ours, theirs = read_param(tmp_path / "o.param"), read_param(folder / "opt.param")
        assert [(layer.type, layer.name, layer.hints) for layer in ours] == [
            (layer.type, layer.name, layer.hints) for layer in theirs
        ]


@pytest.mark.parametrize("case", cases("models"), ids=case_id)
def test_null_models_have_the_right_size(case: Case, tmp_path: Path) -> None:
    """The real tool's files are not shipped, but their sizes are; int8 layers come out int8."""
    size = case.command["bytes"]["opt0.bin"]
    if size > 2**26:
        pytest.skip("half a gigabyte")
    argv = [str(case.folder / "net.param"), "null", str(tmp_path / "o.param"), str(tmp_path / "o.bin"), "0"]
    assert main([*argv, "--upstream"]) == 0
    assert (tmp_path / "o.bin").stat().st_size == size
