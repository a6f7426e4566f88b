"""One value has one answer: at every position, in every length, with every number of threads."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from conformance.adapter import Identity
from conformance.adapters import open_adapter
from conformance.case import Case
from conformance.runner import run, run_case
from conformance.suites import consistency
from conformance.tensor import Tensor
from tests.conformance.build import Toy, right

IDENTITY = Identity("vector code", "1", "C", "other", ("GRU", "Embed"), formats=("param", "bin", "threads"))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [*consistency.recurrent_cases(), *consistency.layer_cases()]


def test_every_length_and_every_number_of_threads(cases: list[Case]) -> None:
    for group, count in Counter(case.group for case in cases).items():
        chosen = [case for case in cases if case.group == group]
        assert count == len(consistency.LENGTHS) + len(consistency.THREADS) == 37
        assert {case.options["threads"] for case in chosen if case.options} == {"1", "2", "3", "4"}
        assert all(len(set(case.inputs["in0"].values())) == 1 for case in chosen)


@pytest.mark.parametrize("name", ["spec", "fastpath", "wheel"])
def test_has_one_answer(name: str, cases: list[Case]) -> None:
    if name == "wheel":
        pytest.importorskip("ncnn")
    results = list(run(open_adapter(name), cases))
    assert not [(result.id, result.message) for result in results if result.outcome not in ("passed", "not-applicable")]


def moved_at(case: Case, places: slice) -> dict[str, Tensor]:
    """The right answer with the last bit of some numbers changed: within every tolerance."""
    blob = right(case)["out0"]
    values = bytearray(blob.data)
    for place in range(*places.indices(len(values) // 4)):
        values[4 * place] ^= 1
    return {"out0": replace(blob, data=bytes(values))}


def test_a_tail_that_differs_is_found(cases: list[Case]) -> None:
    """The last number of a row that is no multiple of four is another, as by a scalar tail."""
    chosen = [case for case in cases if case.group == "recurrent/gru/consistency"]

    def scalar_tail(case: Case) -> dict[str, Tensor]:
        return moved_at(case, slice(-1, None)) if case.inputs["in0"].shape[0] % 4 else right(case)

    tail = Toy(scalar_tail, IDENTITY)
    results = {result.id: result for result in run(tail, chosen)}
    assert results["recurrent/gru/consistency/t4"].outcome == "passed"
    assert results["recurrent/gru/consistency/t5"].outcome == "failed"
    assert results["recurrent/gru/consistency/t1"].message.startswith("[0, 1]: got")
    assert "at the first position" in results["recurrent/gru/consistency/t1"].message
    assert run_case(tail, chosen[6]).outcome == "passed", "within the tolerance, by itself"


def test_a_length_or_a_thread_that_differs_is_found(cases: list[Case]) -> None:
    chosen = [case for case in cases if case.group == "recurrent/gru/consistency"]
    long = Toy(lambda case: moved_at(case, slice(None)) if case.inputs["in0"].shape[0] >= 16 else right(case), IDENTITY)
    results = {result.id: result for result in run(long, chosen)}
    assert results["recurrent/gru/consistency/t15"].outcome == "passed"
    assert "in recurrent/gru/consistency/t1" in results["recurrent/gru/consistency/t16"].message
    threads = Toy(
        lambda case: moved_at(case, slice(None)) if case.options.get("threads") == "3" else right(case), IDENTITY
    )
    outcomes = Counter(result.outcome for result in run(threads, chosen))
    assert outcomes == {"passed": 36, "failed": 1}


def test_threads_are_not_asked_of_who_cannot_set_them(cases: list[Case]) -> None:
    case = next(case for case in cases if case.options)
    result = run_case(open_adapter("spec"), case)
    assert (result.outcome, result.message) == ("not-applicable", "the format threads is not claimed")
