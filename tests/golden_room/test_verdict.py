"""The judges notice what they are there to notice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastpath.commands import golden as golden_command
from fastpath.commands.main import main
from fastpath.commands.verdicts.inference import Output, Reference, Run, compare
from fastpath.commands.verdicts.judge import judge
from fastpath.commands.verdicts.verdict import Verdict, outcome_of
from golden import deviations, vectors
from golden.contents import encode
from golden.deviations import Deviation
from golden.vectors import Case

ENTRY = Deviation("name", "reason", frozenset({"exit"}), ("int8/x",))


def tampered(case_id: str, name: str, data: bytes) -> Case:
    """The case, with other bytes in one of its files."""
    case = vectors.case(case_id)
    expected, _ = case._contents[name]
    return replace(case, _contents={**case._contents, name: (expected, encode(data))})


@pytest.mark.parametrize("engine", deviations.ENGINES)
@pytest.mark.parametrize(
    ("case_id", "name", "place", "what"),
    [
        ("int8/args-fp16-bin", "o.bin", 100, "bin"),
        ("int8/args-fp16-bin", "o.param", 30, "param"),
        ("optimize/conv-relu", "opt0.bin", 40, "bin"),
        ("layers-int8/conv-k3-nopad-nobias-act4", "out.out.npy", 131, "output"),
        ("layers-int8/mix-quantize-conv", "out.in0_q.npy", 140, "output"),
        ("by-hand/v10-quantize", "out.npy", 130, "output"),
        ("tables/static-gru", "net.table", 30, "rows"),
        ("formats/mem-base", "net.id.h", 90, "h"),
        ("formats/bin-fp32", "out.out.npy", 131, "output"),
    ],
)
def test_a_changed_record_is_noticed(case_id: str, name: str, place: int, what: str, engine: str) -> None:
    data = bytearray(vectors.case(case_id).data(name))
    data[place] ^= 1
    assert set(judge(tampered(case_id, name, bytes(data)), engine).differs) == {what}


def test_one_code_too_many_is_noticed() -> None:
    output = Output("y", 1, "y.npy", portable=True)
    wanted, got = np.array([5, -7], np.int8), np.array([5, -6], np.int8)
    reference = Reference(Run(Path(), "spec", "p", "b", {}), [output])
    assert compare(output, wanted, wanted, (0.0, 0.0), reference) == ("equal", "")
    assert compare(output, wanted, got, (9.0, 9.0), reference)[0] == ""


def test_tolerances_are_kept() -> None:
    output = Output("y", 0, "y.npy", portable=True)
    wanted = np.array([1.0, np.inf, np.nan, -2.0], np.float32)
    got = np.array([1.00001, np.inf, np.nan, -2.0], np.float32)
    reference = Reference(Run(Path(), "spec", "p", "b", {}), [output])
    assert compare(output, wanted, got, (0.0, 1e-5), reference)[0] == "close"
    assert compare(output, wanted, got, (0.0, 1e-6), reference)[0] == ""
    assert compare(output, wanted, -got, (0.0, 1.0), reference)[0] == ""
    assert compare(output, wanted, got.reshape(2, 2), (1.0, 1.0), reference)[0] == ""


def test_outcomes() -> None:
    verdict = Verdict()
    assert outcome_of(verdict, None)[0] == "passed"
    assert outcome_of(verdict, ENTRY) == ("failed", "name says that exit differ, but found: no difference")
    verdict.differ("exit", "status 1")
    assert outcome_of(verdict, None) == ("failed", "exit: status 1")
    assert outcome_of(verdict, ENTRY) == ("explained", "name: reason")
    assert outcome_of(verdict, replace(ENTRY, says="not this"))[0] == "failed"
    verdict.differ("files", "none")
    assert outcome_of(verdict, ENTRY)[0] == "failed"


def test_a_mask_explains_only_what_it_covers() -> None:
    entry = replace(ENTRY, differs=frozenset({"param"}), mask=r" 6=\S+")
    verdict = Verdict()
    verdict.compare_texts("param", "a 6=1 7=1\n", "a 6=2 7=1\n")
    assert outcome_of(verdict, entry)[0] == "explained"
    verdict.compare_texts("param", "a 6=1 7=1\n", "a 6=1 7=2\n")
    assert outcome_of(verdict, entry)[0] == "failed"


def test_every_deviation_has_a_case() -> None:
    assert golden_command.unmatched() == []
    names = [entry.name for entry in deviations.deviations()]
    assert len(set(names)) == len(names)


def test_no_case_has_two_explanations() -> None:
    for case in vectors.cases():
        for engine in deviations.ENGINES:
            assert sum(entry.matches(case.id, engine) for entry in deviations.deviations()) <= 1, case.id


def test_a_deviation_with_a_wrong_word(tmp_path: Path) -> None:
    path = tmp_path / "deviations.toml"
    path.write_text('[[deviation]]\nname = "a"\nreason = "b"\ndiffers = []\ncase = []\n')
    with pytest.raises(ValueError, match=r"missing \['cases'\], unknown \['case'\]"):
        deviations.read(path)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["golden", "int8/args-null-bin", "int8/text-tab", "--engine", "spec"]) == 0
    out = capsys.readouterr().out
    assert "int8          spec                1          1          0" in out
    assert "crash-no-scales: the real tool crashes" in out
    assert main(["golden", "int8/nothing"]) == 1
    assert "neither a case nor one of the groups" in capsys.readouterr().err


def test_the_command_fails_where_a_case_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden_command, "chosen", lambda _: [tampered("int8/args-null-bin", "o.bin", b"other")])
    assert main(["golden"]) == 1
    assert "FAILED int8/args-null-bin on spec: bin:" in capsys.readouterr().err
