"""What ncnn's own tools wrote, read and written again, is the same to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from golden import vectors
from golden.manifest import ROOT
from spec.errors import AssayError
from spec.formats.param import format_param, parse_param, read_param
from spec.formats.weights import TAG_FLOAT16, format_weights, load_weights, read_weights
from spec.graph import Graph
from tests.golden_files import case_folder, group_folder
from tests.models import model_folder
from tests.shared import SHARED

WRITERS = ("ncnnoptimize", "ncnn2int8")

MODEL_FOLDERS = [ROOT / "models", *([SHARED / "models"] if SHARED is not None else [])]

NO_MODEL = "the tool failed and left no model"
NO_SCALES = "the tool wrote too few or too many scales, so that all behind them is shifted"
CUT = "the tool cut the network and left its first layer without a bottom"

BROKEN: dict[str, str] = {
    "int8/args-missing-bin/o.param": NO_MODEL,
    "int8/args-missing-param/o.param": NO_MODEL,
    "int8/text-tab/int8.param": NO_MODEL,
    "optimize/args-missing-param/o.param": NO_MODEL,
    "optimize/reduction-3-2-old/opt0.param": NO_MODEL,
    "int8/count-one/int8.param": NO_SCALES,
    "int8/count-too-many/int8.param": NO_SCALES,
    "int8/value-two-blob/int8.param": NO_SCALES,
    "optimize/cut-start/opt0.param": CUT,
    "optimize/cut-both/opt0.param": CUT,
}
"""Outputs of the tools that are no models, with the reason."""

SHORT_INPUTS: dict[str, str] = {
    "optimize/args-short-bin/net.param": "a model file cut on purpose",
    "tables/args-short-bin/net.param": "a model file cut on purpose",
    "optimize/reduction-3-2-old/net.param": "a Reduction of the time before 5=1",
}
"""Inputs of golden cases that cannot be read, with the reason."""

FEWEST_OUTPUTS = 600
"""So many written param files the corpus holds at least."""


def _written() -> list[Path]:
    """Param files that a tool wrote."""
    paths = [path for folder in MODEL_FOLDERS for name in ("opt", "int8-*") for path in folder.glob(f"*/{name}.param")]
    for case in vectors.cases():
        for command in case.commands:
            if command["tool"] in WRITERS and case.group != "by-hand":
                names = [name for name in command.get("outputs", []) if name.endswith(".param")]
                paths += [case_folder(case.id) / name for name in names]
    return sorted({_label(path): path for path in paths}.values())


def _label(path: Path) -> str:
    return "/".join(path.parts[-3:])


WRITTEN = _written()


def test_that_the_corpus_is_whole() -> None:
    labels = {_label(path) for path in WRITTEN}
    assert len(labels) >= FEWEST_OUTPUTS
    assert set(BROKEN) <= labels


def _groups() -> list[str]:
    return sorted({_group(path) for path in WRITTEN})


def _group(path: Path) -> str:
    """Folders are tested in groups of similar names: `optimize/fuse-...` together."""
    return f"{path.parts[-3]}/{path.parts[-2].split('-')[0]}"


@pytest.mark.filterwarnings("error::spec.errors.FormatWarning")
@pytest.mark.parametrize("group", _groups())
def test_fixed_point(group: str) -> None:
    for path in [path for path in WRITTEN if _group(path) == group]:
        if _label(path) in BROKEN:
            with pytest.raises(AssayError):
                _read(path)
            continue
        graph = _read(path)
        text = path.read_bytes()
        assert format_param(graph, upstream=True).encode("utf-8", "surrogateescape") == text, path
        assert parse_param(format_param(graph), allow_custom=True).layers == read_param(path, allow_custom=True).layers
        model = path.with_suffix(".bin")
        if model.exists():
            data = model.read_bytes()
            fp16 = TAG_FLOAT16.to_bytes(4, "little") in data
            assert format_weights(graph, fp16=fp16, upstream=True) == data, model
            if not any(layer.type == "MemoryData" for layer in graph):
                assert format_weights(graph, fp16=fp16) == data, model


def _read(path: Path) -> Graph:
    graph = read_param(path, allow_custom=True)
    model = path.with_suffix(".bin")
    if model.exists():
        read_weights(graph, model)
    return graph


def _inputs() -> list[Path]:
    """Param files beside a model file of the same name that no tool of ours wrote."""
    paths = [path for folder in MODEL_FOLDERS for path in folder.glob("*/float.param")]
    for group in ("int8", "layers-int8", "optimize", "tables"):
        paths += group_folder(group).glob("*/net.param")
    return sorted(path for path in paths if path.with_suffix(".bin").exists() and path not in WRITTEN)


@pytest.mark.filterwarnings("error::spec.errors.FormatWarning")
def test_that_model_files_are_consumed_exactly() -> None:
    unreadable = set()
    for path in _inputs():
        try:
            _read(path)
        except AssayError:
            unreadable.add(_label(path))
    assert unreadable == set(SHORT_INPUTS)


def test_that_the_weights_follow_the_graph_and_not_the_file() -> None:
    """A byte more is told, a byte less is an error."""
    path = model_folder("digits-lstm") / "int8-kl.param"
    data = path.with_suffix(".bin").read_bytes()
    with pytest.warns(UserWarning, match=r"net\.bin: byte \d+: 1 bytes behind the last weight"):
        load_weights(read_param(path), data + b"\0", "net.bin")
    with pytest.raises(AssayError, match=r"net\.bin: byte \d+: expected"):
        load_weights(read_param(path), data[:-1], "net.bin")
