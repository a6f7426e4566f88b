"""What the golden group `formats` asks beyond `golden_room/test_corpus.py`: the real runtime judges what we write."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy
import pytest

from fastpath.commands.verdicts.loading import load
from golden import deviations, vectors
from golden.vectors import Case
from spec.errors import AssayError
from spec.formats.param import read_param
from spec.formats.param_bin import parse_param_bin, read_param_bin
from spec.formats.weights import write_model
from tests.golden_files import case_folder

CONVERTED = "formats/array-old-mixed"
"""The case that we load with other values than the runtimes."""


def loaded_with_outputs() -> list[str]:
    return [case.id for case in vectors.cases("formats") if case.facts.get("results") and not _refused(case)]


def _refused(case: Case) -> bool:
    entry = deviations.of_case(case.id)
    accepted = case.facts.get("observed", {}).get("accepted", False)
    return not accepted or (entry is not None and "verdict" in entry.differs)


@pytest.mark.filterwarnings("ignore::spec.errors.FormatWarning")
@pytest.mark.parametrize("name", loaded_with_outputs())
def test_values(name: str, tmp_path: Path) -> None:
    """What we loaded, written by us, gives the real runtime the results that the original gave it."""
    ncnn = pytest.importorskip("ncnn")
    folder, facts = case_folder(name), vectors.case(name).facts
    param, model = tmp_path / "net.param", tmp_path / "net.bin"
    write_model(load(folder), param, model, fp16=False)
    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in ("use_packing_layout", "use_winograd_convolution", "use_sgemm_convolution", "use_fp16_storage"):
        setattr(net.opt, option, False)
    assert net.load_param(str(param)) == 0
    assert net.load_model(str(model)) == 0
    extractor = net.create_extractor()
    mats = {blob: ncnn.Mat(numpy.load(folder / file)).clone() for blob, file in facts["feeds"].items()}
    for blob, mat in mats.items():
        extractor.input(blob, mat)
    same = True
    for blob, file in facts["results"].items():
        expected = numpy.load(folder / file)
        ret, out = extractor.extract(blob)
        assert ret == 0
        tolerance = 1e-6 * _magnitude(expected)
        same &= numpy.allclose(numpy.array(out), expected, rtol=1e-5, atol=tolerance, equal_nan=True)
    assert same == (name != CONVERTED)


def _magnitude(values: numpy.ndarray[Any, Any]) -> float:
    finite = numpy.abs(values[numpy.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


@pytest.mark.parametrize("name", [case.id for case in vectors.cases("formats") if case.name.startswith("mem-")])
def test_what_ncnn2mem_wrote_is_read_back(name: str) -> None:
    folder = case_folder(name)
    graph = read_param(folder / "net.param", allow_custom=True)
    again = parse_param_bin((folder / "net.param.bin").read_bytes(), allow_custom=True)
    assert [layer.hints for layer in again] == [layer.hints for layer in graph]
    for ours, theirs in zip(again, graph, strict=True):
        if theirs.layer_type is not None:
            assert (ours.type, ours.params) == (theirs.type, theirs.params)


def test_ncnn2mem_wrote_something_for_a_cut_file_that_cannot_be_read_back() -> None:
    with pytest.raises(AssayError, match=r"net\.param\.bin: byte"):
        read_param_bin(case_folder("formats/memerr-truncated") / "net.param.bin")


@pytest.mark.parametrize(
    "name",
    ["array-old-mixed", "syntax-trailing-text", "header-fewer-layers", "bin-trailing-bytes", "header-more-blobs"],
)
def test_that_what_is_ignored_is_said(name: str) -> None:
    folder = case_folder(f"formats/{name}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(folder)
    assert [str(warning.message) for warning in caught if str(folder) in str(warning.message)]
