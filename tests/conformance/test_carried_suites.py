"""Suites made of the golden data: model files, calibration, quantizing, whole networks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from conformance import adapters
from conformance.adapter import Refused
from conformance.adapters import open_adapter
from conformance.case import Case
from conformance.deviations import read_deviations
from conformance.runner import Result, run, run_case
from conformance.suites import SUITES, all_cases
from conformance.tensor import Tensor, tensor
from golden import vectors

SLOW_FOR_THE_SPEC = 12
"""Calibrations in pure Python that a test can wait for."""


def bad(results: list[Result]) -> list[str]:
    fine = ("passed", "not-applicable")
    return [f"{result.outcome} {result.id}: {result.message}" for result in results if result.outcome not in fine]


def test_the_suites_have_the_names_that_are_promised() -> None:
    assert list(SUITES) == ["formats", "tables", "int8-layers", "recurrent", "models"]


def test_ids_are_of_their_suite_and_there_once() -> None:
    ids = [case.id for case in all_cases()]
    assert max(Counter(ids).values()) == 1
    assert {case_id.split("/")[0] for case_id in ids} == set(SUITES)
    assert all(len(case_id.split("/")) >= 3 for case_id in ids)


@pytest.mark.parametrize("suite", ["formats", "tables", "models"])
def test_the_fast_path_passes(suite: str) -> None:
    results = list(run(open_adapter("fastpath"), all_cases(suite)))
    assert not bad(results)
    assert sum(result.outcome == "passed" for result in results) >= 40


@pytest.mark.parametrize("suite", ["formats", "models"])
def test_the_spec_passes(suite: str) -> None:
    chosen = [case for case in all_cases(suite) if case.operation != "table"]
    assert not bad(list(run(open_adapter("spec"), chosen)))


def test_the_spec_calibrates() -> None:
    chosen = [case for case in all_cases("tables") if case.options.get("method") == "aciq" and "list" in case.options]
    assert not bad(list(run(open_adapter("spec"), chosen[:SLOW_FOR_THE_SPEC])))


def test_both_engines_quantize_as_the_real_tool() -> None:
    chosen = [
        case for suite in ("int8-layers", "recurrent") for case in all_cases(suite) if case.operation == "quantize"
    ]
    assert sum(case.refusal == "required" for case in chosen) >= 5
    assert len(chosen) >= 350
    for name in ("spec", "fastpath"):
        assert not bad(list(run(open_adapter(name), chosen[:: 4 if name == "spec" else 2])))


def test_the_wheel_loads_as_it_is_listed() -> None:
    pytest.importorskip("ncnn")
    deviations = read_deviations(Path(adapters.__file__).parent / "wheel.toml")
    results = list(run(open_adapter("wheel"), all_cases("formats"), deviations))
    counts = Counter(result.outcome for result in results)
    assert not counts["failed"] + counts["errored"] + counts["unexpected-pass"], bad(results)
    crashes = [result for result in results if result.outcome == "deviating"]
    assert len(crashes) == 2
    assert all("ended by signal 11" in result.message for result in crashes)


def case_of(case_id: str) -> Case:
    return next(case for case in all_cases(case_id.split("/")[0]) if case.id == case_id)


class Loader:
    """An implementation that takes every file, or none."""

    def __init__(self, answer: dict[str, Tensor] | None) -> None:
        self.answer = answer
        self.identity = replace(open_adapter("spec").identity, name="loader")

    def run(self, case: Case) -> dict[str, Tensor]:
        if self.answer is None:
            raise Refused("I take nothing")
        return self.answer

    def close(self) -> None:
        pass


def test_faulty_files_must_be_refused_and_others_must_not() -> None:
    taking, refusing = Loader({}), Loader(None)
    faulty = case_of("formats/parse/header/header-bad-magic")
    assert run_case(refusing, faulty).behaviour == "refused"
    result = run_case(taking, faulty)
    assert (result.outcome, result.message) == ("failed", "accepted, but the files are faulty")
    valid = case_of("formats/parse/syntax/syntax-plain")
    assert run_case(refusing, valid).message == "refused: I take nothing"
    assert run_case(taking, valid).message == "layers is missing"
    unclear = case_of("formats/parse/number/number-nan-word")
    assert run_case(refusing, unclear).outcome == run_case(taking, unclear).outcome == "passed"


def test_loaded_values_are_compared() -> None:
    case = case_of("formats/parse/syntax/syntax-plain")
    right = open_adapter("spec").run(case)
    name = next(name for name, value in right.items() if value.dtype == "float32" and len(value.data) > 4)
    wrong = {**right, name: replace(right[name], data=right[name].data[:-1] + b"\x00")}
    assert run_case(Loader(right), case).outcome == "passed"
    assert run_case(Loader(wrong), case).message.startswith(name)


def test_what_is_required_of_files_follows_the_real_loaders() -> None:
    """Required where the released runtime refuses too; wrong only where it takes the file."""
    for case in all_cases("formats"):
        if case.operation == "parse":
            observed = vectors.case(f"formats/{case.id.rpartition('/')[2]}").facts["observed"]["accepted"]
            assert (
                (case.refusal == "required" and not observed)
                or (case.refusal == "wrong" and observed)
                or (case.refusal == "allowed")
            )
    counts = Counter(case.refusal for case in all_cases("formats") if case.operation == "parse")
    assert counts["required"] >= 60
    assert counts["wrong"] >= 60


def test_a_scale_may_be_off_by_the_last_bits_only() -> None:
    case = case_of("tables/fc/fc-1d-kl")
    right = {name: next(iter(results.values())) for name, results in case.expected.items()}
    assert run_case(Loader(right), case).outcome == "passed"
    for name, factor, outcome in (
        ("bottom", 1 + 1e-6, "passed"),
        ("bottom", 1.001, "failed"),
        ("weight", 1.0001, "failed"),
    ):
        row = next(key for key in right if ("_param_" in key) == (name == "weight"))
        value = tensor(right[row].shape, [number * factor for number in right[row].values()])
        assert run_case(Loader({**right, row: value}), case).outcome == outcome
