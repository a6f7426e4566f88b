"""What a failing recurrent case is told."""

from __future__ import annotations

import math

import numpy as np
import pytest

from conformance.adapters.arrays import from_array, to_array
from conformance.adapters.spec_adapter import SpecAdapter
from conformance.case import Case
from conformance.diagnosis import codes_of, diagnose, f32
from conformance.runner import run_case
from conformance.suites import all_cases
from conformance.tensor import Tensor
from tests.conformance.mutants import Mutant

SPEC = SpecAdapter()


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {case.id: case for case in all_cases("recurrent")}


def explained(case: Case, got: dict[str, Tensor]) -> str:
    return "\n".join(diagnose(case, SPEC.trace(case), got))


def by_mutant(name: str, case: Case) -> str:
    return "\n".join(run_case(Mutant(name), case, tracer=SPEC.trace).diagnosis)


def test_the_first_step_with_its_codes_and_gates(cases: dict[str, Case]) -> None:
    case = cases["recurrent/lstm/grid/d1-in-out-t5-i4-n4"]
    text = by_mutant("swap-F-O", case)
    assert "First difference: direction 0, time 4, unit 0" in text
    assert "Input codes there: [" in text
    assert "Hidden codes before: [" in text
    assert all(f"{gate} = " in text for gate in "IFOG")
    assert "wrong by itself" in text


def test_a_swapped_output_gate_is_named(cases: dict[str, Case]) -> None:
    text = by_mutant("swap-I-O", cases["recurrent/lstm/swapped-bias/d0-F-O"])
    assert "wrong by itself" in text
    text = by_mutant("swap-U-N", cases["recurrent/gru/grid/d0-in-t5-i4-n4"])
    assert "would explain it" in text


def test_a_tie_of_the_input_is_pointed_out(cases: dict[str, Case]) -> None:
    text = by_mutant("ties-to-even", cases["recurrent/gru/ties/d0-input-2^0"])
    assert "a rounding tie: half away from zero gives 1" in text


def test_only_last_bits_differ(cases: dict[str, Case]) -> None:
    case = cases["recurrent/gru/grid/d0-none-t1-i1-n1"]
    values = to_array(SPEC.run(case)["out0"])
    moved = np.nextafter(values, np.float32(2.0))
    assert "no code flipped" in explained(case, {"out0": from_array(moved)})


def test_a_flipped_code_explains_what_follows(cases: dict[str, Case]) -> None:
    """A hidden value beside a tie moves by a hair, as another tanh would move it; the rest is computed from there."""
    case, index, unit, moved = beside_a_tie(cases)
    steps = SPEC.trace(case)
    rows = np.array([step.hidden for step in steps], np.float32)
    rows[index, unit] = moved
    rows[index + 1] += np.float32(0.003)
    times = [step.time for step in steps]
    output = np.empty_like(rows)
    output[times] = rows
    text = explained(case, {"out0": from_array(output)})
    assert f"A code flipped: before time {times[index + 1]}, hidden unit {unit} scales to" in text
    assert "What follows comes from that." in text


def beside_a_tie(cases: dict[str, Case]) -> tuple[Case, int, int, float]:
    """A case of one direction, a step and a unit whose hidden value is within 5e-6 of a tie, and a value beyond it."""
    for case in cases.values():
        if case.layers != ("RNN",) or case.details["direction"] == 2 or case.details["steps"] < 2:
            continue
        for index, step in enumerate(SPEC.trace(case)[:-1]):
            largest = max(map(abs, step.hidden)) or 1.0
            for unit, value in enumerate(step.hidden):
                tie = (math.floor(abs(value) * 127 / largest) + 0.5) * largest / 127
                if 1e-7 < abs(abs(value) - tie) < 5e-6 and abs(value) < largest:
                    beyond = tie + (tie - abs(value)) * 0.5
                    return case, index, unit, math.copysign(beyond, value)
    raise AssertionError("no case comes near a tie")


def test_right_sequences_and_missing_ones(cases: dict[str, Case]) -> None:
    case = cases["recurrent/rnn/grid/d2-in-out-t3-i3-n2"]
    assert explained(case, SPEC.run(case)) == "The sequence is right; only final states differ."
    assert explained(case, {}) == ""


def test_codes() -> None:
    assert codes_of([127.0, 0.5, -2.5]) == [127, 1, -3]
    assert codes_of([0.0, 0.0]) == [0, 0]
    assert codes_of([1e-44, 0.0]) == [0, 0]
    assert f32(1e39) == float("inf")
    assert f32(-1e39) == -float("inf")
