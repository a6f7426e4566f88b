"""What others use: files without tools, pytest, a C program, ONNX Runtime, the page."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from conformance import adapters, pytest_plugin
from conformance.adapter import AdapterBroken
from conformance.adapters import open_adapter
from conformance.adapters.file_adapter import FileAdapter
from conformance.adapters.subprocess_adapter import SubprocessAdapter
from conformance.command_line import main
from conformance.deviations import read_deviations
from conformance.page import heat
from conformance.runner import run
from conformance.suites import all_cases, recurrent
from fastpath.commands.main import main as ncnn_assay

ROOT = Path(recurrent.__file__).parents[2]
EXAMPLES = ROOT / "conformance" / "examples"


@pytest.fixture(scope="module")
def c_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    program = tmp_path_factory.mktemp("c") / "recurrent"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-ffp-contract=off"]
    subprocess.run([compiler, *flags, "-o", program, EXAMPLES / "recurrent.c", "-lm"], check=True)
    return program


def test_a_c_program_passes_the_recurrent_suite(c_program: Path) -> None:
    """Bit for bit, through files: every second case of each topic, a process for each."""
    chosen = list(recurrent.cases())[::2]
    adapter = FileAdapter([str(c_program)], rounding="reference")
    assert Counter(result.outcome for result in run(adapter, chosen)) == {"passed": len(chosen)}


def test_a_program_is_found_where_the_command_is_given(c_program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(c_program.parent)
    words = ["run", "--adapter", "file", "--rounding", "reference", "--only", "recurrent/gru/by-hand/*"]
    assert main([*words, "--", f"./{c_program.name}"]) == 0


def test_a_c_program_says_what_it_cannot_read(c_program: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [c_program, tmp_path / "no.param", "no.bin", "a=b"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "cannot read" in done.stderr


def test_every_message_fits_its_schema() -> None:
    pytest.importorskip("jsonschema")
    program = [sys.executable, str(EXAMPLES / "recurrent_stdlib.py")]
    adapter = SubprocessAdapter(program, validating=True)
    chosen = [case for case in all_cases("recurrent") if "smoke" in case.flags]
    assert {result.outcome for result in run(adapter, chosen)} == {"passed"}
    adapter.close()
    words = ["smoke", "--adapter", "subprocess", "--validate", "--suite", "recurrent", "--", *program]
    assert main(words) == 0


def test_copied_cases_are_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patterns = [
        "recurrent/gru/by-hand/*",
        "tables/fc/*",
        "formats/parse/syntax/syntax-plain",
        "recurrent/ncnn2int8/gru/*",
    ]
    words = [word for pattern in patterns for word in ("--only", pattern)]
    assert main(["copy", *words, str(tmp_path)]) == 0
    assert f"cases in {tmp_path}" in capsys.readouterr().out
    chosen = [case for case in all_cases() if (tmp_path / case.id / "case.json").exists()]
    assert {case.operation for case in chosen} == {"infer", "table", "parse", "quantize"}
    case = next(case for case in chosen if case.id.endswith("update-mixes"))
    folder = tmp_path / case.id
    assert (folder / "net.param").read_text() == case.param
    assert (folder / "net.bin").read_bytes() == case.bin
    record = json.loads((folder / "case.json").read_text())
    np.testing.assert_array_equal(np.load(folder / record["inputs"]["in1"]), [[-0.25]])
    np.testing.assert_array_equal(np.load(folder / record["expected"]["out0"]["reference"]), [[1.0]])
    quantized = next(case for case in chosen if case.operation == "quantize")
    data = (tmp_path / quantized.id / "expected" / "int8.param").read_bytes()
    assert data == next(iter(quantized.expected["int8.param"].values())).data


def pytest_run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "conformance.pytest_plugin", "--pyargs", "conformance"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLES)]
    return subprocess.run([*command, *options, *words], capture_output=True, text=True, check=False, env=environment)


def test_the_suites_run_under_pytest() -> None:
    chosen = ["--conformance-suite", "recurrent", "--conformance-case", "recurrent/gru/grid/d0-in-t[56]*"]
    good = pytest_run("--implementation", "spec", *chosen, "--conformance-generated", "2")
    assert good.returncode == 0, good.stdout + good.stderr
    bad = pytest_run("--implementation", "tests.conformance.wrong:make", *chosen)
    assert bad.returncode == 1
    assert "failed [exact]" in bad.stdout
    assert "First difference: direction 0, time 0, unit 0" in bad.stdout


class Options(dict[str, object]):
    """The options of a session of pytest."""

    def getoption(self, name: str) -> object:
        return self.get(name, "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "say which: --implementation"),
        ({"--implementation": "spec", "--conformance-suite": "recurent"}, "there is no suite 'recurent'"),
        ({"--implementation": "spec", "--conformance-case": ["recurrent/grru/*"]}, "no case matches"),
    ],
)
def test_pytest_says_what_is_wrong_with_its_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(pytest.UsageError, match=message):
        pytest_plugin.chosen_cases(Options(options))  # type: ignore[arg-type]


def test_a_broken_adapter_ends_the_session_of_pytest() -> None:
    ended = pytest.raises(pytest.exit.Exception, match="broken: no program")
    with ended as raised, pytest_plugin.broken_adapters_end_the_session():
        raise AdapterBroken("no program")
    assert raised.value.returncode == 2


def test_nothing_is_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--adapter", "fastpath", "--only", "recurrent/grru/*"]) == 2
    assert "no case matches 'recurrent/grru/*'" in capsys.readouterr().err
    assert main(["run", "--adapter", "tests.conformance.wrong:make", "--only", "formats/parse/bin/*"]) == 0
    assert "nothing that was asked applies to mutant swap-R-U" in capsys.readouterr().err


def test_onnx_runtime_is_comparable_where_it_says_so() -> None:
    pytest.importorskip("onnxruntime")
    deviations = read_deviations(Path(adapters.__file__).parent / "onnxruntime.toml")
    results = list(run(open_adapter("onnxruntime"), all_cases(), deviations))
    counts = Counter(result.outcome for result in results)
    assert not counts["failed"] + counts["errored"] + counts["unexpected-pass"]
    passed = [result for result in results if result.outcome == "passed"]
    if open_adapter("onnxruntime").identity.cpu == "exact sums":
        assert sum("/lstm/" in result.id and "/float/" not in result.id for result in passed) >= 300
    assert sum("/float/" in result.id for result in passed) == 36
    assert sum("/dequantize/" in result.id for result in passed) >= 7
    reasons = {result.message for result in results if result.outcome == "not-applicable"}
    assert "ONNX Runtime has no dynamically quantized GRU, only LSTM" in reasons
    assert "ONNX has no LSTM with projection" in reasons


def test_one_command_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["conformance", "run", "--implementation", "fastpath", "--only", "recurrent/rnn/by-hand/*"]
    assert ncnn_assay(words) == 0
    assert "recurrent/rnn/by-hand" in capsys.readouterr().out
    program = ["--", sys.executable, str(EXAMPLES / "recurrent_stdlib.py")]
    assert ncnn_assay(["conformance", "smoke", "--adapter", "subprocess", "--suite", "recurrent", *program]) == 0
    assert ncnn_assay(["conformance", "explain", "no/such/case"]) == 2


class Reader(HTMLParser):
    """Counts what a page has, and what it takes from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.foreign += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_holds_all_and_needs_nothing(tmp_path: Path) -> None:
    page, junit = tmp_path / "report.html", tmp_path / "report.xml"
    only = ["--only", "recurrent/gru/by-hand/*", "--only", "recurrent/gru/grid/d2-*", "--only", "formats/parse/bin/*"]
    words = ["run", "--adapter", "fastpath", "--adapter", "tests.conformance.wrong:make", "--diagnose", *only]
    assert main([*words, "--html", str(page), "--junit", str(junit)]) == 1
    text = page.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(text)
    assert reader.foreign == []
    assert "those of gates R and U exchanged" in text
    assert 'class="heat"' in text
    assert text.count('<span class="mark passed">conforms</span>') == 2
    assert text.count('<span class="mark failed">deviates</span>') == 2
    assert "not applicable (" in text
    assert "<failure" in junit.read_text()


def test_heat_maps_are_logarithmic() -> None:
    shades = heat([[0.0, 1.0], [0.1, 1e-12]])
    assert shades is not None
    assert [[shade for shade, _ in cells] for _, cells in shades["rows"]] == [[0, 8], [7, 1]]
    assert [row for row, _ in shades["rows"]] == shades["columns"] == ["0", "1"]
    long = heat([[1.0]] * 20)
    assert long is not None
    assert (long["across"], [column for column in long["columns"] if column]) == ("time step", ["0", "8", "16"])
    wide = heat([[0.0] * 255 + [1.0]])
    assert wide is not None
    assert (wide["across"], wide["share"], len(wide["columns"])) == ("unit", 4, 64)
    assert wide["rows"][0][1][-1] == (8, "1")
    assert heat([[0.0]]) is None


def test_a_starter_of_deviations_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    words = ["deviations", "--adapter", "tests.conformance.wrong:make", "--only", "recurrent/gru/grid/d0-in-t5*"]
    assert main([*words, "--init", str(path)]) == 0
    with pytest.raises(AdapterBroken, match="reason is empty"):
        read_deviations(path)
    path.write_text(path.read_text().replace('reason = ""', 'reason = "gates in another order"'))
    assert read_deviations(path)
    run_words = ["run", "--adapter", "tests.conformance.wrong:make", "--only", "recurrent/gru/grid/d0-in-t5*"]
    assert main([*run_words, "--deviations", str(path)]) == 0
    assert main([*words, "--init", str(path)]) == 2


def findings() -> list[str]:
    text = (ROOT / "docs" / "found-with-the-suite.md").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.startswith("    ncnn-assay")]


@pytest.mark.parametrize("command", [line for line in findings() if "--adapter wheel " in line])
def test_what_was_found_is_still_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ncnn")
    words = shlex.split(command)[1:]
    known = read_deviations(Path(adapters.__file__).parent / "wheel.toml")
    if ncnn_assay(words) == 0:
        assert any(entry.depends_on for entry in known if entry.id in words), "found no more"
        pytest.skip("not on this machine")
    assert "failed" in (printed := capsys.readouterr().out) or "errored" in printed
