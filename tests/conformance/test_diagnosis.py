"""What a failing recurrent case is told."""

from __future__ import annotations

import math

import numpy as np
import pytest

from conformance.adapters.arrays import from_array, to_array
from conformance.adapters.spec_adapter import SpecAdapter
from conformance.again import read_layer
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


@pytest.mark.parametrize("pair", ["I-F", "I-O", "I-G", "F-O", "F-G", "O-G"])
def test_exchanged_gates_are_named(pair: str, cases: dict[str, Case]) -> None:
    text = by_mutant(f"swap-{pair}", cases["recurrent/lstm/grid/d1-in-out-t5-i4-n4"])
    assert f"those of gates {pair[0]} and {pair[2]} exchanged" in text


@pytest.mark.parametrize("pair", ["R-U", "R-N", "U-N"])
def test_exchanged_gates_of_a_gru_are_named(pair: str, cases: dict[str, Case]) -> None:
    text = by_mutant(f"swap-{pair}", cases["recurrent/gru/grid/d1-in-out-t5-i4-n4"])
    assert f"those of gates {pair[0]} and {pair[2]} exchanged in the weights" in text


@pytest.mark.parametrize("pair", ["I-F", "I-O", "I-G", "F-O", "F-G", "O-G"])
def test_exchanged_gates_before_a_projection_are_named(pair: str, cases: dict[str, Case]) -> None:
    text = by_mutant(f"swap-{pair}", cases["recurrent/lstm-projection/grid/d2-in-out-t5-i4-n4"])
    assert f"those of gates {pair[0]} and {pair[2]} exchanged" in text


def test_exchanged_biases_are_named(cases: dict[str, Case]) -> None:
    assert "gates O and G exchanged in the biases" in by_mutant(
        "bias-order-lstm", cases["recurrent/lstm/grid/d1-in-out-t5-i4-n4"]
    )
    assert "the two biases of gate N exchanged" in by_mutant(
        "bias-order-gru", cases["recurrent/gru/grid/d1-in-out-t5-i4-n4"]
    )


def test_the_step_computed_again_is_the_reference(cases: dict[str, Case]) -> None:
    """Binary64 from the same codes: the outputs of every step, nearly."""
    for kind in ("rnn", "gru", "lstm", "lstm-projection"):
        case = cases[f"recurrent/{kind}/grid/d2-in-out-t5-i4-n4"]
        layer = read_layer(case)
        steps = SPEC.trace(case)
        width = len(steps[0].hidden)
        hidden, cell = [0.0] * width, [0.0] * len(steps[0].cell)
        for step in steps:
            if step.time == (0 if step.direction == 0 else 4):
                hidden = case.inputs["in1"].values().tolist()[step.direction * width :][:width]
                count = len(step.cell)
                cell = case.inputs["in2"].values().tolist()[step.direction * count :][:count] if count else []
            plain = {name: name for name in step.gates}
            assert layer.step(step, hidden, cell, plain, plain) == pytest.approx(step.hidden, abs=1e-6)
            hidden, cell = step.hidden, step.cell


def test_a_gate_that_would_explain_it(cases: dict[str, Case]) -> None:
    case = cases["recurrent/gru/grid/d0-in-t5-i4-n4"]
    values = to_array(SPEC.run(case)["out0"])
    values[2, 1] += np.float32(0.01)
    assert "Gate N = " in explained(case, {"out0": from_array(values)})
    assert "other way round" in by_mutant("update-inverted", cases["recurrent/gru/grid/d0-in-t5-i4-n4"])


def test_numbers_in_wrong_places(cases: dict[str, Case]) -> None:
    case = cases["recurrent/gru/grid/d2-in-out-t3-i3-n2"]
    assert by_mutant("halves-exchanged", case).endswith("The halves are right and exchanged.")
    text = by_mutant("reverse-outputs-in-order", case)
    assert text.endswith("Direction 1 has the right outputs in the opposite order of time.")
    text = by_mutant("reverse-not-reversed", case)
    assert text.endswith("Direction 1 runs forward: at time 0 it has the output of a first step.")


@pytest.mark.parametrize(
    ("mutant", "case_id", "message"),
    [
        ("ties-to-even", "recurrent/gru/ties/d0-input-2^0", "Input 1 scales to 0.5, on a rounding tie: its code is 1"),
        (
            "half-up",
            "recurrent/lstm/ties/d1-state0-2^-7",
            "Hidden value 2 scales to -0.5, on a rounding tie: its code is -1",
        ),
        ("signed-half-added", "recurrent/rnn/below-half/d0-state-2^0", "scales to 0.49999997, beside a rounding tie"),
    ],
)
def test_ties_are_pointed_out(mutant: str, case_id: str, message: str, cases: dict[str, Case]) -> None:
    assert message in by_mutant(mutant, cases[case_id])


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
