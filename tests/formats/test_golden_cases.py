"""Every case of the golden group `formats`: what the real loaders accept we accept, and what they loaded we loaded."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy
import pytest

from spec.errors import AssayError
from spec.formats.memory_header import custom_layer_hints, format_id_header, format_memory_header
from spec.formats.merge import merge_graphs, namespace_of
from spec.formats.param import read_param
from spec.formats.param_bin import format_param_bin, parse_param_bin, read_param_bin
from spec.formats.weights import read_model, read_weights, write_model
from spec.graph import Graph
from tests.shared import SHARED, require_shared

BROKEN_LINE = "a line break inside a layer: two layers may have run together"

DELIBERATE: dict[str, str] = {
    "fuzz-04": BROKEN_LINE,
    "fuzz-07": BROKEN_LINE,
    "fuzz-13": BROKEN_LINE,
    "fuzz-16": BROKEN_LINE,
    "fuzz-17": BROKEN_LINE,
    "fuzz-30": BROKEN_LINE,
    "fuzz-35": BROKEN_LINE,
    "graph-duplicate-top": "the second blob of a name cannot be reached, so the network is not wired as it reads",
    "graph-undefined-bottom": "the blob can never be computed; the runtime notices at the first extract",
    "number-comma-float": "an array for a scalar: the runtimes silently use the default",
    "number-float-for-int": "a float for an int: one runtime uses the default, the other the bits",
    "number-inf-word": "a word for a float: the runtimes silently use the default or 0",
    "number-nan-word": "a word for a float: the runtimes silently use the default or 0",
    "string-empty": "an empty expression is a valid string; whether Reshape can use it is not a matter of the file",
    "string-len-240": "a valid string; whether Reshape can use the expression is not a matter of the file",
}
"""Cases where our verdict differs from the released runtime's, with the reason."""

CONVERTED: dict[str, str] = {
    "array-old-mixed": "an int in a float array is converted, with a warning; the runtimes take its bits for a float",
}
"""Cases that we load with other values than the runtimes, with the reason."""

HINT_IN_THE_MIDDLE = "mem-hints"
"""The one case whose shape hint does not come first; we write hints first, as the tools do."""

EXPECTED_CASES = 274


def _cases(*prefixes: str) -> list[str]:
    if SHARED is None:
        return []
    names = sorted(path.parent.name for path in SHARED.glob("golden/formats/*/case.json"))
    return [name for name in names if not prefixes or name.startswith(prefixes)]


def _case(name: str) -> tuple[Path, dict[str, Any]]:
    folder = require_shared("golden", "formats", name)
    return folder, json.loads((folder / "case.json").read_text())


def _has_outputs(name: str) -> bool:
    _, case = _case(name)
    return bool(case["observed"]["accepted"] and case.get("outputs"))


LOADED = [name for name in _cases() if not name.startswith(("mem", "merge"))]


def _load(folder: Path, case: dict[str, Any]) -> Graph:
    if not (folder / "net.param").exists():
        graph = read_param_bin(folder / "net.param.bin")
        read_weights(graph, folder / "net.bin")
        return graph
    return read_model(folder / "net.param", folder / "net.bin")


def test_that_every_case_is_here() -> None:
    require_shared("golden", "formats")
    tools = _cases("mem", "merge")
    assert len(LOADED) + len(tools) == EXPECTED_CASES
    assert set(DELIBERATE) <= set(LOADED)


@pytest.mark.filterwarnings("ignore::spec.errors.FormatWarning")
@pytest.mark.parametrize("name", LOADED)
def test_verdict(name: str) -> None:
    folder, case = _case(name)
    try:
        _load(folder, case)
        accepted, message = True, ""
    except AssayError as error:
        accepted, message = False, str(error)
    assert (accepted != case["observed"]["accepted"]) == (name in DELIBERATE), message
    assert accepted or str(folder) in message


@pytest.mark.filterwarnings("ignore::spec.errors.FormatWarning")
@pytest.mark.parametrize("name", [name for name in LOADED if name not in DELIBERATE and _has_outputs(name)])
def test_values(name: str, tmp_path: Path) -> None:
    """What we loaded, written by us, gives the real runtime the results that the original gave it."""
    folder, case = _case(name)
    ncnn = pytest.importorskip("ncnn")
    param, model = tmp_path / "net.param", tmp_path / "net.bin"
    write_model(_load(folder, case), param, model, fp16=False)
    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in ("use_packing_layout", "use_winograd_convolution", "use_sgemm_convolution", "use_fp16_storage"):
        setattr(net.opt, option, False)
    assert net.load_param(str(param)) == 0
    assert net.load_model(str(model)) == 0
    extractor = net.create_extractor()
    mats = {blob: ncnn.Mat(numpy.load(folder / file)).clone() for blob, file in case["inputs"].items()}
    for blob, mat in mats.items():
        extractor.input(blob, mat)
    same = True
    for blob, file in case["outputs"].items():
        expected = numpy.load(folder / file)
        ret, out = extractor.extract(blob)
        assert ret == 0
        tolerance = 1e-6 * _magnitude(expected)
        same &= numpy.allclose(numpy.array(out), expected, rtol=1e-5, atol=tolerance, equal_nan=True)
    assert same == (name not in CONVERTED)


def _magnitude(values: numpy.ndarray[Any, Any]) -> float:
    finite = numpy.abs(values[numpy.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


@pytest.mark.parametrize("name", _cases("mem-"))
def test_ncnn2mem(name: str) -> None:
    folder, case = _case(name)
    graph = read_param(folder / "net.param", allow_custom=True)
    real = (folder / "net.param.bin").read_bytes()
    model = (folder / "net.bin").read_bytes()
    assert (format_param_bin(graph) == real) == (name != HINT_IN_THE_MIDDLE)
    assert format_id_header(graph, "net.param", "net.id.h") == (folder / "net.id.h").read_text()
    memory_header = format_memory_header({"net.param.bin": real, "net.bin": model}, "net.mem.h")
    assert memory_header == (folder / "net.mem.h").read_text()
    assert "".join(f"{line}\n" for line in custom_layer_hints(graph, "net.param")) == case["commands"][0]["stderr_text"]
    again = parse_param_bin(real, allow_custom=True)
    assert [layer.hints for layer in again] == [layer.hints for layer in graph]
    for ours, theirs in zip(again, graph, strict=True):
        if theirs.layer_type is not None:
            assert (ours.type, ours.params) == (theirs.type, theirs.params)


@pytest.mark.parametrize("name", ["memerr-bad-magic", "memerr-missing-param", "memerr-truncated"])
def test_ncnn2mem_inputs_that_cannot_be_read(name: str) -> None:
    folder, _ = _case(name)
    with pytest.raises(AssayError, match=r"net\.param"):
        read_param(folder / "net.param", allow_custom=True)


def test_ncnn2mem_wrote_something_for_a_cut_file_that_cannot_be_read_back() -> None:
    folder, _ = _case("memerr-truncated")
    with pytest.raises(AssayError, match=r"net\.param\.bin: byte"):
        read_param_bin(folder / "net.param.bin")


@pytest.mark.parametrize("name", _cases("merge-"))
def test_ncnnmerge(name: str) -> None:
    folder, case = _case(name)
    *sources, merged_param, merged_bin = case["commands"][0]["argv"]
    merged = merge_graphs([(namespace_of(path), read_param(folder / path)) for path in sources[::2]])
    assert merged.layers == read_param(folder / merged_param).layers
    data = b"".join((folder / path).read_bytes() for path in sources[1::2])
    assert data == (folder / merged_bin).read_bytes()


@pytest.mark.parametrize(
    "name",
    ["array-old-mixed", "syntax-trailing-text", "header-fewer-layers", "bin-trailing-bytes", "header-more-blobs"],
)
def test_that_what_is_ignored_is_said(name: str) -> None:
    folder, case = _case(name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _load(folder, case)
    assert [str(warning.message) for warning in caught if str(folder) in str(warning.message)]
