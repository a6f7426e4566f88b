"""The stored recurrent cases, and the implementations that must pass them."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from conformance.adapters import open_adapter
from conformance.adapters.spec_adapter import SpecAdapter
from conformance.adapters.subprocess_adapter import SubprocessAdapter
from conformance.case import Case
from conformance.deviations import read_deviations
from conformance.runner import Result, run, select
from conformance.suites import all_cases, recurrent, recurrent_cases, smoke_cases
from conformance.suites.recipe import expand, pattern
from conformance.tensor import Tensor

EXAMPLE = Path(recurrent.__file__).parents[1] / "examples" / "recurrent_stdlib.py"
SIZE_LIMIT = 4 * 2**20
PLAIN = ("recurrent/*/below-half/*", "recurrent/*/observed/*", "recurrent/nets/*", "recurrent/*/float/*")


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return list(all_cases("recurrent"))


class Remembering(SpecAdapter):
    """The spec, which computes nothing twice."""

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], dict[str, Tensor]] = {}

    def run(self, case: Case) -> dict[str, Tensor]:
        if case.operation != "infer":
            return super().run(case)
        key = (case.param, case.bin, *case.inputs.items(), *case.outputs)
        if key not in self.known:
            self.known[key] = super().run(case)
        return self.known[key]


@pytest.fixture(scope="module")
def spec() -> SpecAdapter:
    return Remembering()


def failures(results: list[Result]) -> list[str]:
    fine = ("passed", "not-applicable")
    return [f"{result.outcome} {result.id}: {result.message}" for result in results if result.outcome not in fine]


@pytest.fixture(scope="module")
def single(cases: list[Case]) -> list[Case]:
    """The stored cases of one int8 layer each."""
    return list(recurrent.cases())


def test_there_are_enough_cases_with_ids_of_their_own(cases: list[Case]) -> None:
    assert len(cases) >= 3500
    assert max(Counter(case.id for case in cases).values()) == 1
    kinds = Counter(case.source.kind for case in cases)
    assert kinds["observed"] >= 150
    assert kinds["by-hand"] >= 12


def test_sizes_are_crossed(single: list[Case]) -> None:
    """Every layer has every length and every width in every direction, with states and without up to a width of 65."""
    for kind in ("rnn", "gru", "lstm", "lstm-projection"):
        chosen = [case for case in single if case.id.split("/")[1] == kind]
        for direction in (0, 1, 2):
            for states in (False, True):
                found = [
                    c.details for c in chosen if (c.details["direction"], "in1" in c.inputs) == (direction, states)
                ]
                assert {details["steps"] for details in found} >= {*range(1, 34), 40, 47, 48, 63, 64}
                widths = {details["num_output"] for details in found}
                assert widths >= {*range(1, 18), 23, 31, 32, 33, 48, 63, 64, 65}
                assert widths >= {127, 128, 129, 255, 256} or not states


def test_every_flag_is_explained(single: list[Case]) -> None:
    assert {flag for case in single for flag in case.flags} == set(recurrent_cases.FLAGS)


def test_the_vectors_are_small() -> None:
    assert sum(path.stat().st_size for path in recurrent.FOLDER.glob("*.json")) < SIZE_LIMIT


@pytest.mark.parametrize("name", ["spec", "fastpath"])
def test_passes_every_case_exactly(name: str, cases: list[Case], spec: SpecAdapter) -> None:
    results = list(run(spec if name == "spec" else open_adapter(name), cases))
    assert not failures(results)
    assert {result.id for result in results if result.outcome == "not-applicable"} <= {
        case.id for case in cases if "threads" in case.formats
    }
    derived = [result for result in results if result.source != "observed" and "/float/" not in result.id]
    assert len(derived) >= 1500
    assert {result.level for result in derived} == {"exact"}


def test_the_example_in_plain_python_passes_every_case(cases: list[Case]) -> None:
    adapter = SubprocessAdapter([sys.executable, str(EXAMPLE)])
    try:
        assert adapter.identity.name == "recurrent-stdlib"
        results = list(run(adapter, cases))
        assert not failures(results)
        assert sum(result.outcome == "passed" for result in results) >= 1500
    finally:
        adapter.close()


def test_the_example_is_short_and_stands_alone() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    imported = {
        line.split()[1].partition(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))
    }
    assert imported <= sys.stdlib_module_names


def test_what_the_generator_would_write_is_what_is_stored(spec: SpecAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent_cases, "_adapter", {"spec": spec}.__getitem__)
    assert recurrent_cases.differences(recurrent_cases.contents(), recurrent.FOLDER) == []


@pytest.mark.parametrize("name", ["wheel", "wheel-plain"])
def test_the_wheel_deviates_only_as_it_is_listed(name: str, cases: list[Case]) -> None:
    """Every case with default options; without packing those that packing could matter to."""
    pytest.importorskip("ncnn")
    adapter = open_adapter(name)
    chosen = cases if name == "wheel" else [*smoke_cases("recurrent"), *select(cases, PLAIN)]
    deviations = read_deviations(Path(recurrent.__file__).parents[1] / "adapters" / "wheel.toml")
    outcomes = {result.id: result.outcome for result in run(adapter, chosen, deviations)}
    wrong = {
        case_id: outcome
        for case_id, outcome in outcomes.items()
        if outcome not in ("not-applicable", "deviating" if "/below-half/" in case_id else "passed")
    }
    assert not wrong
    assert sum(outcome == "not-applicable" for outcome in outcomes.values()) <= 70


def test_observed_rnn_and_gru_values_are_the_wheels_bits(single: list[Case]) -> None:
    """Where they differ from the reference, the case lists both, and no third result is right."""
    chosen = [case for case in single if case.level == "one-of"]
    assert {case.layers[0] for case in chosen} == {"RNN", "GRU"}
    counts = Counter(len(results) for case in chosen for results in case.expected.values())
    assert set(counts) == {1, 2}


def test_a_case_holds_a_whole_network(cases: list[Case]) -> None:
    (case,) = [case for case in cases if case.id == "recurrent/lstm-projection/by-hand/projected"]
    assert case.param.splitlines()[-1] == ("LSTM recurrent 3 3 in0 in1 in2 out0 out1 out2 0=1 1=8 2=0 3=2 8=2")
    assert case.param.splitlines()[1] == "4 6"
    records = [4 + 8, 4 + 4 * 8, 4 + 8, 4 + 4 * 2, 4 * 8, 4 * 8]
    assert len(case.bin) == sum(records)
    assert case.bin[:4] == bytes.fromhex("384b0d00")


def test_patterns() -> None:
    assert pattern(4, 37, 11, 255) == [-116, -79, -42, -5]
    assert expand([5, 2, 13, 4], 3, 1) == [-1.0, 0.25, 1.5]
    assert expand({"v": ["0x1p-3", 2]}, 2, 1) == [0.125, 2]
    fill = {"p": [1, 0, 3, 1], "plus": 1, "times": 2, "rowtimes": {"1": 10}, "rows": {"2-3": 0.5, "4": [7, 8]}}
    assert expand(fill, 10, 2) == [0, 2, 40, 0, 0.5, 0.5, 0.5, 0.5, 7, 8]
    with pytest.raises(ValueError, match="3 numbers where 4"):
        expand({"v": [1, 2, 3]}, 4, 1)
