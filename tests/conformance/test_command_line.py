"""The commands and their exit statuses."""

from __future__ import annotations

import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from conformance.command_line import main
from conformance.suites import all_cases

EXAMPLE = Path(__file__).resolve().parents[2] / "conformance" / "examples" / "recurrent_stdlib.py"


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--suite", "recurrent"]) == 0
    assert capsys.readouterr().out.splitlines() == [case.id for case in all_cases("recurrent")]
    assert main(["list", "--only", "*/gru/by-hand/*"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_smoke_is_quick() -> None:
    """Five seconds of a processor: the clock on the wall would measure what else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "conformance", "smoke", "--adapter", "spec"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=EXAMPLE.parents[2])
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5.0


def test_run_report_and_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.jsonl"
    only = ["--only", "recurrent/gru/ties/*"]
    assert main(["run", "--adapter", "fastpath", *only, "--report", str(report)]) == 0
    first = capsys.readouterr().out
    assert "recurrent/gru/ties  33/33" in first
    assert main(["summary", str(report)]) == 0
    assert capsys.readouterr().out == first
    assert main(["summary", str(report), "--format", "junit"]) == 0
    assert capsys.readouterr().out.count("<testcase") == 33
    report.write_text(report.read_text().splitlines()[0])
    assert main(["summary", str(report)]) == 2
    assert "footer" in capsys.readouterr().err


def test_deviations_that_are_not_true(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "list.toml"
    entry = '[[deviation]]\nid = "{}"\nreason = "r"\nobserved = "o"\n'
    run = ["run", "--adapter", "fastpath", "--only", "recurrent/rnn/by-hand/*", "--deviations", str(path)]
    path.write_text(entry.format("recurrent/rnn/by-hand/*"))
    assert main(run) == 1
    assert "unexpected-pass" in capsys.readouterr().out
    path.write_text(entry.format("nothing/*"))
    assert main(run) == 1
    assert "matches no case" in capsys.readouterr().err


def test_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    program = ["--", sys.executable, str(EXAMPLE)]
    assert main(["smoke", "--adapter", "subprocess", *program]) == 0
    assert "recurrent-stdlib 1.0" in capsys.readouterr().out


def test_what_is_broken_has_its_own_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smoke", "--adapter", "subprocess"]) == 2
    assert main(["smoke", "--adapter", "subprocess", "--", "/nonexistent/program"]) == 2
    assert main(["explain", "no/such/case"]) == 2
    assert "no case 'no/such/case'" in capsys.readouterr().err


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "recurrent/gru/by-hand/reset-scales-the-recurrent-bias"]) == 0
    text = capsys.readouterr().out
    assert "by-hand: r = u = 1/(1+exp(0)) = 1/2" in text
    assert "GRU recurrent 2 2 in0 in1 out0 out1" in text
    assert "out0 by reference = float32 (1, 1): 0x1.0000000000000p-1 (0.5)" in text


def test_explain_with_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "recurrent/rnn/by-hand/hidden-state-is-quantized", "--trace"]) == 0
    assert "hidden codes [127, 1], scale 0x1.0000000000000p+0 (1)" in capsys.readouterr().out


class Nothing:
    """No adapter."""


def test_an_adapter_of_somebody_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smoke", "--adapter", "tests.conformance.mutants:Mutant"]) == 0
    assert main(["smoke", "--adapter", "tests.conformance.test_command_line:Nothing"]) == 2
    assert "needs identity, run and close" in capsys.readouterr().err
    assert main(["smoke", "--adapter", "no.such.module:Adapter"]) == 2
    assert main(["smoke", "--adapter", "spce"]) == 2
    assert "there is no adapter 'spce'" in capsys.readouterr().err


def test_a_list_of_deviations_to_start_from(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ncnn")
    assert main(["deviations", "--adapter", "wheel", "--only", "recurrent/rnn/below-half/d0-*"]) == 0
    entries = tomllib.loads(capsys.readouterr().out)["deviation"]
    assert [entry["id"].rpartition("/")[2] for entry in entries] == [
        f"d0-{name}" for name in ("input-2^0", "input-2^-7", "input-2^3", "state-2^0", "state-2^-7")
    ]
    assert main(["deviations", "--adapter", "spec", "--only", "recurrent/rnn/below-half/*"]) == 0
    assert "nothing deviates" in capsys.readouterr().out


FILE_PROGRAM = """
import sys
import numpy as np
from fastpath.net import Net
param, data, *blobs = sys.argv[1:]
net = Net()
net.load_param(param)
net.load_model(data)
extractor = net.create_extractor()
for name, _, file in (blob.partition("=") for blob in blobs):
    if name.startswith("in"):
        extractor.input(name, np.load(file))
    else:
        np.save(file, np.array(extractor.extract(name)[1]))
"""


def test_a_program_that_reads_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text(FILE_PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE.parents[2]))
    claims = ["--rounding", "reference", "--layers", "GRU"]
    words = ["run", "--adapter", "file", "--only", "recurrent/*/by-hand/*", *claims]
    assert main([*words, "--", sys.executable, str(program)]) == 0


def test_the_deviations_of_a_foreign_adapter_lie_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_port.py").write_text("from tests.conformance.wrong import make\n")
    (tmp_path / "their_port.toml").write_text(
        '[[deviation]]\nid = "recurrent/gru/grid/*"\nreason = "gates in another order"\nobserved = "all"\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    words = ["run", "--adapter", "their_port:make", "--only"]
    assert main([*words, "recurrent/gru/grid/d0-in-t5*"]) == 0
    assert main([*words, "recurrent/gru/strict-build/d0"]) == 1


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    program = [sys.executable, str(EXAMPLE)]
    words = ["smoke", "--validate", "--suite", "recurrent", "--adapter", "subprocess"]
    assert main([*words, "--", *program]) == 2
    assert "comes with ncnn-assay[conformance]" in capsys.readouterr().err
