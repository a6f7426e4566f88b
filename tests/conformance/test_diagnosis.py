"""What a failing recurrent case is told."""

from __future__ import annotations

import math

import numpy as np
import pytest

from conformance.adapters.arrays import from_array, to_array
from conformance.adapters.spec_adapter import SpecAdapter
from conformance.again import Rules, Step, f32, read_layer, run_again
from conformance.case import Case
from conformance.diagnosis import AGREES, codes_of, diagnose
from conformance.runner import run_case
from conformance.suites import all_cases, recurrent
from conformance.tensor import Tensor
from tests.conformance.mutants import MUTANTS, Mutant

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


NAMED = {
    "bias-missing": "a missing bias",
    "recurrent-bias-outside-reset": "a recurrent bias outside the reset gate",
    "update-inverted": "an update gate that works the other way round",
    "update-uses-codes": "an update that takes the codes of the hidden state",
    "hidden-not-quantized": "a hidden state that is not quantized",
    "hidden-static-scale": "the fixed scale 127 for the hidden state",
    "hidden-scale-once": "the scale of the first hidden state for all",
    "hidden-scale-cell": "a hidden state whose scale is that of the cell",
    "input-scale-per-sequence": "one scale for all rows of the input",
    "weight-scale-per-tensor": "the first weight scale for all rows",
    "weight-scales-exchanged": "the scales of the two matrices exchanged",
    "direction-scales-shared": "the scales of the forward direction in both",
    "truncate": "codes that are truncated",
    "scale-128": "the scale 128 / absmax",
    "state-carried-over": "a reverse direction that starts from the last state of the forward one",
    "initial-state-ignored": "initial states that are ignored",
    "initial-cell-ignored": "an initial cell state that is ignored",
    "projection-skipped": "the unprojected output",
    "projection-transposed": "a projection that is read as (hidden_size, num_output)",
    "tanh-of-cell-missing": "an output without the tanh of the cell",
}


@pytest.mark.parametrize("mutant", NAMED)
def test_faults_are_named(mutant: str, cases: dict[str, Case]) -> None:
    words = MUTANTS[mutant]
    kind = "lstm-projection" if "projection" in words else "lstm" if "LSTM" in words else "gru"
    text = by_mutant(mutant, cases[f"recurrent/{kind}/grid/d2-in-out-t5-i4-n4"])
    assert text.splitlines()[-1].startswith(f"The outputs are those of {NAMED[mutant]}")
    assert text.endswith(", at every step.")


@pytest.mark.parametrize(
    ("mutant", "case_id", "words"),
    [
        ("ties-to-even", "recurrent/gru/ties/d0-input-2^0", "halves that go to the even code"),
        ("half-up", "recurrent/gru/ties/d2-input-2^0", "halves that go up"),
        ("signed-half-added", "recurrent/lstm/below-half/d0-input-2^0", "a signed half that is added in binary32"),
        ("weights-clamped", "recurrent/rnn/extreme-codes/d0", "weights of -128 that became -127"),
    ],
)
def test_codes_are_named(mutant: str, case_id: str, words: str, cases: dict[str, Case]) -> None:
    assert by_mutant(mutant, cases[case_id]).splitlines()[-1].startswith(f"The outputs are those of {words}")


def test_what_cannot_be_told_apart_is_said(cases: dict[str, Case]) -> None:
    """One product of one number: there is nothing to tell ties to even from truncation."""
    text = by_mutant("ties-to-even", cases["recurrent/rnn/by-hand/tie-half"])
    assert "halves that go to the even code, or of codes that are truncated" in text


def test_zeros_divided_by_their_absmax(cases: dict[str, Case]) -> None:
    assert "The row of the input is zero, and the output is no number" in by_mutant(
        "zero-row-unguarded", cases["recurrent/rnn/by-hand/zero-row"]
    )
    assert "The hidden state is zero, and the output is no number" in by_mutant(
        "zero-state-unguarded", cases["recurrent/rnn/by-hand/sum-cancels-bias"]
    )


def test_an_unknown_fault_shows_its_units(cases: dict[str, Case]) -> None:
    """The last units of each row stay zero, as by a loop that leaves out the tail."""
    case = cases["recurrent/gru/grid/d0-none-t4-i7-n5"]
    values = to_array(SPEC.run(case)["out0"])
    values[:, 4:] = 0
    text = explained(case, {"out0": from_array(values)})
    assert "Of 5 units 4 differ there; the others are right." in text
    assert "No fault that is known gives these numbers." in text


def test_final_states_that_are_nearly_right(cases: dict[str, Case]) -> None:
    case = cases["recurrent/gru/grid/d2-in-out-t5-i4-n4"]
    right = SPEC.run(case)
    near = np.nextafter(to_array(right["out1"]), np.float32(2))
    assert explained(case, {**right, "out1": from_array(near)}).endswith("exp, tanh, descale or sums round otherwise.")


def test_final_states(cases: dict[str, Case]) -> None:
    case = cases["recurrent/gru/grid/d2-in-out-t5-i4-n4"]
    assert by_mutant("final-states-exchanged", case).endswith("The final states of the two directions are exchanged.")
    assert "those of the last time" in by_mutant("final-state-of-last-time", case)
    text = by_mutant("swap-I-F", cases["recurrent/lstm/by-hand/forget-keeps-the-cell"])
    assert text.endswith("The cell is that of gates I and F exchanged.")
    assert "final cell state is not: out2[0, 0]" in text


def test_exchanged_biases_are_named(cases: dict[str, Case]) -> None:
    assert "gates O and G exchanged in the biases" in by_mutant(
        "bias-order-lstm", cases["recurrent/lstm/grid/d1-in-out-t5-i4-n4"]
    )
    assert "the two biases of gate N exchanged" in by_mutant(
        "bias-order-gru", cases["recurrent/gru/grid/d1-in-out-t5-i4-n4"]
    )


def test_what_is_computed_again_is_the_reference(cases: dict[str, Case]) -> None:
    """Binary64 from the outputs of the step before: the outputs of every step and the cells, nearly."""
    for case in list(recurrent.cases())[::11]:
        steps, layer = SPEC.trace(case), read_layer(case)
        rows = [step.hidden for step in steps]
        outputs, cells = run_again(case, layer, steps, rows, Rules())
        assert np.allclose(outputs, rows, rtol=0, atol=AGREES / 2), case.id
        assert np.allclose(cells, [step.cell for step in steps], rtol=1e-5, atol=AGREES / 2), case.id


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
    steps, layer = SPEC.trace(case), read_layer(case)
    rows = [list(step.hidden) for step in steps]
    rows[index][unit] = moved
    for later in range(index + 1, len(rows)):
        outputs, _ = run_again(case, layer, steps[: later + 1], rows[: later + 1], Rules())
        rows[later] = outputs[later]
    text = explained(case, {"out0": as_output(steps, rows)})
    assert f"A code flipped: before time {steps[index + 1].time}, hidden unit {unit} scales to" in text
    assert text.endswith("that explains all that follows.")
    rows[-1][0] += 0.003
    text = explained(case, {"out0": as_output(steps, rows)})
    assert f"The step at time {steps[-1].time} is wrong by itself, not by what came before it." in text
    assert "All other steps follow from it by the rule." in text


def as_output(steps: list[Step], rows: list[list[float]]) -> Tensor:
    output = np.empty((len(rows), len(rows[0])), np.float32)
    output[[step.time for step in steps]] = rows
    return from_array(output)


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
    right = SPEC.run(case)
    assert explained(case, right) == "The sequence is right, and so are the final states."
    wrong = {**right, "out1": from_array(to_array(right["out1"]) + np.float32(1))}
    assert explained(case, wrong).startswith("The sequence is right; the final hidden state is not: out1[0, 0]: got ")
    assert explained(case, {}) == ""


def test_codes() -> None:
    assert codes_of([127.0, 0.5, -2.5]) == [127, 1, -3]
    assert codes_of([0.0, 0.0]) == [0, 0]
    assert codes_of([1e-44, 0.0]) == [0, 0]
    assert f32(1e39) == float("inf")
    assert f32(-1e39) == -float("inf")
