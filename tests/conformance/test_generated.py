"""Properties of generated nets: they hold for the right implementation, and find and shrink wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.adapter import Identity
from conformance.adapters import open_adapter
from conformance.adapters.spec_adapter import SpecAdapter
from conformance.case_file import read_case
from conformance.command_line import main
from conformance.generated import PROPERTIES, Property, run_property
from conformance.runner import run_case
from tests.conformance.build import Toy, right
from tests.conformance.mutants import Mutant

SPEC = SpecAdapter()
BY_NAME = {chosen.name: chosen for chosen in PROPERTIES}
EXAMPLES = 4


def test_there_are_enough_of_them() -> None:
    assert len(BY_NAME) == len(PROPERTIES) >= 20
    assert sum(chosen.relation is not None for chosen in PROPERTIES) >= 5


@pytest.mark.parametrize("chosen", PROPERTIES, ids=lambda chosen: chosen.name)
def test_holds_for_the_fast_path(chosen: Property) -> None:
    result = run_property(chosen, open_adapter("fastpath"), SPEC, EXAMPLES, start=1)
    assert (result.outcome, result.message) == ("passed", f"{EXAMPLES} nets")


@pytest.mark.parametrize(
    ("mutant", "name"),
    [
        ("swap-R-U", "gru"),
        ("ties-to-even", "input-ties"),
        ("half-up", "state-ties"),
        ("zero-row-as-last", "zero-rows"),
        ("projection-transposed", "lstm-projection"),
        ("state-carried-over", "halves"),
        ("reverse-outputs-in-order", "reversed"),
        ("hidden-scale-once", "continued"),
        ("input-scale-per-sequence", "causal"),
        ("weight-scale-per-tensor", "scales"),
    ],
)
def test_finds_a_wrong_implementation(mutant: str, name: str) -> None:
    result = run_property(BY_NAME[name], Mutant(mutant), SPEC, 40, start=2)
    assert result.outcome in ("failed", "errored")
    assert "The smallest net that fails:" in result.diagnosis


def test_the_smallest_net_is_small_and_can_be_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_property(BY_NAME["gru"], Mutant("swap-R-U"), SPEC, 40, folder=tmp_path, tracer=SPEC.trace)
    path = tmp_path / "gru.json"
    assert f"saved as {path}" in result.message
    case = read_case(path)
    assert case.param.splitlines()[-1].startswith("GRU recurrent 1 1 in0 out0 0=1 1=3 ")
    assert case.inputs["in0"].shape == (1, 1)
    assert any("First difference" in line for line in result.diagnosis)
    assert run_case(Mutant("swap-R-U"), case).outcome == "failed"
    assert run_case(Mutant(), case).outcome == run_case(SPEC, case).outcome == "passed"
    assert main(["run", "--adapter", "fastpath", "--case", str(path)]) == 0
    assert main(["explain", str(path), "--trace"]) == 0
    assert "generated/gru" in capsys.readouterr().out
    assert main(["explain", str(tmp_path / "none.json")]) == 2


def test_the_same_seed_draws_the_same_nets(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        run_property(BY_NAME["rnn"], Mutant("half-up"), SPEC, 30, start=3, folder=tmp_path / name)
        run_property(BY_NAME["rnn"], Mutant("bias-missing"), SPEC, 30, start=3, folder=tmp_path / name)
        files.append((tmp_path / name / "rnn.json").read_text())
    assert files[0] == files[1]


def test_what_is_not_claimed_is_not_drawn_for() -> None:
    result = run_property(BY_NAME["stacked"], Mutant(), SPEC, 5)
    assert (result.outcome, result.message) == ("not-applicable", "the format nets is not claimed")


def test_statistics_are_not_asked_of_small_nets() -> None:
    identity = Identity("scheme", "1", "C", "other", ("RNN",), level="stat")
    assert run_property(BY_NAME["rnn"], Toy(right, identity), SPEC, 5).message == "statistics of small nets say nothing"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--only", "generated/[gr]*", "--generated", "3", "--failures", str(tmp_path)]
    assert main([*words, "--adapter", "fastpath"]) == 0
    assert "generated/gru       1/1" in capsys.readouterr().out
