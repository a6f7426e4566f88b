"""The shared corpus of real outputs: what each case runs, and what the real runtimes made of it."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob
from spec.formats.npy import read_npy
from spec.net import Net
from tests.shared import SHARED

FUSED = Profile("fused", fused_multiply_add=True)
"""The descale and the bias of the vectorised convolutions and Dequantize are one operation."""


@dataclass(frozen=True)
class Output:
    """A blob that a run extracts, and the file to compare it with; `portable` if portable C++ layers made that file."""

    blob: str
    extract_type: int
    expected: Path
    portable: bool


@dataclass(frozen=True)
class Run:
    """One network with one set of inputs."""

    name: str
    layer_type: str
    params: dict[str, Any]
    float_form: bool
    param: Path
    bin: Path
    inputs: dict[str, Path]
    outputs: tuple[Output, ...]


def runs(group: str) -> list[Run]:
    """Every run of the corpus that belongs to `group`; none where the corpus is not here."""
    if SHARED is None:
        return []
    return [run for path in sorted((SHARED / "golden" / group).glob("*/case.json")) for run in _runs_of(path)]


def compute(run: Run, profile: Profile = REFERENCE) -> dict[str, Blob]:
    """The outputs of the spec. Inputs that the case does not feed are empty blobs (attention caches)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = Net(profile)
        net.load_param(run.param)
        net.load_model(run.bin)
    extractor = net.create_extractor()
    for name in net.input_names():
        extractor.input(name, read_npy(run.inputs[name]) if name in run.inputs else Blob((0,), "float32", []))
    return {output.blob: extractor.extract(output.blob, output.extract_type)[1] for output in run.outputs}


def _runs_of(path: Path) -> list[Run]:
    case = json.loads(path.read_text())
    layer = case.get("layer", {})
    found = []
    for inference in case.get("inference") or []:
        float_form = inference.get("name") == "float model"
        label = inference.get("name", "")
        found.append(
            Run(
                f"{case['case']}-{label.replace(' ', '-')}" if label else case["case"],
                layer.get("type", "several"),
                layer.get("params", {}) if isinstance(layer.get("params", {}), dict) else {},
                float_form,
                path.parent / inference["param"],
                path.parent / inference["bin"],
                {blob: path.parent / file for blob, file in inference["inputs"].items()},
                tuple(_output(path.parent, blob, entry) for blob, entry in inference["outputs"].items()),
            )
        )
    return found


def _output(folder: Path, blob: str, entry: dict[str, Any]) -> Output:
    """The portable layers' file where the corpus kept one, else the wheel's."""
    variants = entry["variants"]
    generic = variants.get("generic")
    if isinstance(generic, dict):
        generic = generic.get("file")
    if generic == "same as plain":
        generic = variants["plain"]
    return Output(blob, entry["extract_type"], folder / (generic or variants["plain"]), generic is not None)
