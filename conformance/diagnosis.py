"""Why a recurrent case fails: the first time step that differs, its codes and gates, and what explains the rest.

A step's output is the next step's input, through int8 codes. So a difference in the last bits may stay one, until it
moves a hidden value across a rounding tie: then a code differs by one, and everything after it differs visibly. To tell
that from a step that is wrong, every step is computed again from what the implementation itself gave for the step
before; and where that is wrong, again with each of the faults of `faults`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance.again import Layer, Rows, Rules, Step, away, chunks, initial, input_rows, read_layer, run_again, scaled
from conformance.case import Case
from conformance.faults import Fault, faults
from conformance.levels import place, text, ulp_distance
from conformance.tensor import Tensor

AGREES = 3e-5
"""How closely a step that is computed again in binary64 is the same."""

ROUNDINGS = (
    f"No number is off by more than {AGREES:g}, and no code flipped: exp, tanh, descale or sums round otherwise."
)

MUCH = 10.0
"""A fault explains a step if it comes this many times nearer than the rule."""

BESIDE = 1e-6
"""Scaled values this near to a tie are pointed out."""

SHOWN_TIES = 4
"""Ties that are printed."""

SHOWN_FAULTS = 3
"""Faults that are named where several give the same numbers."""

SHOWN = 12
"""Codes that are printed before an ellipsis."""


Tracer = Callable[[Case], list[Step]]


def codes_of(values: Sequence[float]) -> list[int]:
    """int8 codes under the dynamic scale of the values, halves away from zero.

    >>> codes_of([1.0, -0.5, 0.0])
    [127, -64, 0]
    """
    return [int(away(value)) for value in scaled(values)]


def diagnose(case: Case, steps: Sequence[Step], got: Mapping[str, Tensor]) -> list[str]:
    """Lines that explain how `got` departs from the trace; empty where there is nothing to compare."""
    output = got.get("out0")
    if output is None or not steps or len(output.values()) != sum(len(step.hidden) for step in steps):
        return []
    run = Run(case, read_layer(case), steps, _rows(output, steps), got)
    first = next((i for i, step in enumerate(steps) if not _same(step.hidden, run.rows[i])), None)
    return _final_lines(run) if first is None else [*_first_lines(run, first), *_explanation(run, first)]


@dataclass(frozen=True)
class Run:
    """What an implementation gave for a case, beside the trace of the reference."""

    case: Case
    layer: Layer
    steps: Sequence[Step]
    rows: Rows
    """Its output for each of the steps."""
    got: Mapping[str, Tensor]

    def distances(self, layer: Layer, rules: Rules) -> tuple[list[float], Rows]:
        """How far each of its steps is from what the rules make of its step before; and the cells."""
        outputs, cells = run_again(self.case, layer, self.steps, self.rows, rules)
        return [_distance(a, b) for a, b in zip(self.rows, outputs, strict=True)], cells

    def finals(self) -> Iterator[tuple[str, Tensor]]:
        """The final states that were asked for, the hidden one first."""
        for name in ("out1", "out2"):
            if name in self.got and name in self.case.expected:
                yield name, self.got[name]

    def ends(self) -> list[int]:
        """The index of the last step of each direction."""
        last = len(self.steps) - 1
        return [i for i, step in enumerate(self.steps) if i == last or self.steps[i + 1].direction != step.direction]

    def cells_agree(self, cells: Rows) -> bool:
        """Whether the final cells that were given are these."""
        given = self.got.get("out2")
        if given is None:
            return True
        values = chunks(given.values().tolist(), len(cells[-1]))
        return _close(values, [cells[index] for index in self.ends()])


def _first_lines(run: Run, first: int) -> list[str]:
    """Where it begins."""
    step, row = run.steps[first], run.rows[first]
    differing = [q for q, value in enumerate(row) if ulp_distance(value, step.hidden[q]) != 0]
    unit = differing[0]
    gates = ", ".join(f"{name} = {values[unit]:.9g}" for name, values in step.gates.items() if unit < len(values))
    lines = [
        f"First difference: direction {step.direction}, time {step.time}, unit {unit}: got {text(row[unit])},"
        f" expected {text(step.hidden[unit])}, {ulp_distance(row[unit], step.hidden[unit]):g} ulp apart.",
        f"Input codes there: {_short(step.input_codes)}, scale {text(step.input_scale)}.",
        f"Hidden codes before: {_short(step.hidden_codes)}, scale {text(step.hidden_scale)}.",
        "The unit is made by the projection." if run.layer.projection else f"Gates of unit {unit}: {gates}.",
    ]
    if 1 < len(row) != len(differing):
        lines.append(f"Of {len(row)} units {_ranges(differing)} differ there; the others are right.")
    return lines


def _final_lines(run: Run) -> list[str]:
    """The sequence is right; what of the final states is not."""
    for name, blob in run.finals():
        wanted = next(iter(run.case.expected[name].values()))
        if wanted.shape != blob.shape:
            continue
        places = [i for i, (a, b) in enumerate(zip(blob.values(), wanted.values())) if ulp_distance(a, b) != 0]
        if not places:
            continue
        got, right = blob.values()[places[0]], wanted.values()[places[0]]
        what = "hidden" if name == "out1" else "cell"
        begin = (
            f"The sequence is right; the final {what} state is not: {name}{place(blob.shape, places[0])}:"
            f" got {text(got)}, expected {text(right)}."
        )
        near = _distance(blob.values(), wanted.values()) <= AGREES
        return [begin, ROUNDINGS] if near else [begin, *_final_cause(run, name, blob, wanted)]
    return ["The sequence is right, and so are the final states."]


def _final_cause(run: Run, name: str, blob: Tensor, wanted: Tensor) -> list[str]:
    """Final states of the other direction, of another time, or of a cell that is computed in another way."""
    directions = len(run.ends())
    values = chunks(blob.values().tolist(), len(blob.values()) // directions)
    if directions > 1 and _close(values, chunks(wanted.values().tolist(), len(values[0]))[::-1]):
        return ["The final states of the two directions are exchanged."]
    of_last_time = [
        next(s for s in run.steps if (s.direction, s.time) == (d, _last_time(run))) for d in _directions(run)
    ]
    if _close(values, [step.hidden if name == "out1" else step.cell for step in of_last_time]):
        return ["The final states are those of the last time, not of the last step, which is the first time backwards."]
    words = []
    for fault in faults(run.case, run.layer) if name == "out2" else ():
        distances, cells = run.distances(fault.layer, fault.rules)
        if max(distances) <= AGREES and run.cells_agree(cells):
            words.append(fault.words)
    return [f"The cell is that of {_either(words)}."] if words else []


def _last_time(run: Run) -> int:
    return max(step.time for step in run.steps)


def _directions(run: Run) -> list[int]:
    return [run.steps[index].direction for index in run.ends()]


def _explanation(run: Run, first: int) -> list[str]:
    steps, rows = run.steps, run.rows
    if all(value == wanted for row, step in zip(rows, steps) for value, wanted in zip(row, step.hidden)):
        return ["Only the signs of zeros differ."]
    by_rule = run.distances(run.layer, Rules())[0]
    wrong = [index for index, distance in enumerate(by_rule) if not distance <= AGREES]
    if not wrong:
        return _roundings(run, first)
    structure = _structure(steps, rows) or _forward(run)
    if structure:
        return [structure]
    index = wrong[0]
    named = _named(run, index, by_rule)
    lines = [f"The step at time {steps[index].time} is wrong by itself, not by what came before it."]
    ties = _ties(run, index)
    if named:
        return [*lines, *ties, named]
    if not all(map(math.isfinite, rows[index])):
        return [*lines, _no_number(run, index)]
    worst = _worst(steps[index].hidden, rows[index])
    return [*lines, *_zeros(run, index), *ties, _others(run, wrong), *_gate_lines(run, index, worst)]


def _roundings(run: Run, first: int) -> list[str]:
    """Every step follows from the one before: the last bits differ, and codes may have flipped."""
    steps, rows = run.steps, run.rows
    flip = next((i for i in range(first + 1, len(steps)) if _flipped(steps, rows, i)), None)
    if flip is not None:
        return [
            _flip_line(steps, rows, flip),
            "Every step follows by the rule from what was given for the step before: that explains all that follows.",
        ]
    return [ROUNDINGS]


def _named(run: Run, index: int, by_rule: Sequence[float]) -> str:
    """The faults that give the numbers of a step, and those of the most other steps; empty if none does."""
    words: list[str] = []
    best, first_not = 0, -1
    for fault in faults(run.case, run.layer):
        if not _gives(run, fault, index, by_rule[index]):
            continue
        distances, cells = run.distances(fault.layer, fault.rules)
        agreeing = [distance <= AGREES for distance in distances]
        number = sum(agreeing) + (all(agreeing) and run.cells_agree(cells))
        if number > best:
            best, words = number, []
            first_not = next((i for i, agrees in enumerate(agreeing) if not agrees), -1)
        if number == best:
            words.append(fault.words)
    if not words:
        return ""
    where = "at every step" if first_not < 0 else f"but not at time {run.steps[first_not].time}"
    return f"The outputs are those of {_either(words)}, {where}."


def _either(words: Sequence[str]) -> str:
    """The first few that cannot be told apart, without those that are a part of another."""
    plain = [word for word in words if not any(word != other and word.startswith(other) for other in words)]
    return ", or of ".join(plain[:SHOWN_FAULTS]) + (", or of others" if len(plain) > SHOWN_FAULTS else "")


def _gives(run: Run, fault: Fault, index: int, by_rule: float) -> bool:
    """Whether a fault gives the numbers of one step, much better than the rule does."""
    begin = next(i for i in range(index, -1, -1) if i == 0 or run.steps[i - 1].direction != run.steps[i].direction)
    begin = 0 if fault.rules.carried else begin
    part = slice(begin, index + 1)
    outputs, _ = run_again(run.case, fault.layer, run.steps[part], run.rows[part], fault.rules)
    distance = _distance(outputs[-1], run.rows[index])
    return distance <= AGREES and distance * MUCH <= by_rule


def _zeros(run: Run, index: int) -> list[str]:
    """A reminder where codes are all zero."""
    step = run.steps[index]
    kinds = (("The row of the input", step.input_codes), ("The hidden state before it", step.hidden_codes))
    return [f"{what} is zero, and contributes exactly nothing." for what, codes in kinds if not any(codes)]


def _no_number(run: Run, index: int) -> str:
    """NaN and infinities."""
    step = run.steps[index]
    row = input_rows(run.case, len(step.input_codes))[step.time]
    if not any(row):
        return "The row of the input is zero, and the output is no number: zeros were divided by their absmax?"
    if not any(step.hidden_codes):
        return "The hidden state is zero, and the output is no number: zeros were divided by their absmax?"
    return "The output is no number."


def _others(run: Run, wrong: Sequence[int]) -> str:
    """How many steps are wrong by themselves; what an LSTM's cell makes of it cannot be told."""
    if run.layer.kind == "LSTM":
        return "No fault that is known gives these numbers."
    if len(wrong) == 1:
        return "No fault that is known gives these numbers. All other steps follow from it by the rule."
    return (
        f"No fault that is known gives these numbers. {len(wrong)} of {len(run.steps)} steps are wrong by themselves."
    )


def _structure(steps: Sequence[Step], rows: Sequence[list[float]]) -> str:
    """Whether the right numbers stand in wrong places."""
    length = len(steps) // (steps[-1].direction + 1)
    for begin in range(0, len(steps), length):
        expected = [step.hidden for step in steps[begin : begin + length]]
        if length > 1 and _close(rows[begin : begin + length], expected[::-1]):
            return f"Direction {steps[begin].direction} has the right outputs in the opposite order of time."
    places = {(step.direction, step.time): step.hidden for step in steps}
    exchanged = [places[1 - step.direction, step.time] for step in steps] if len(steps) > length else []
    return "The halves are right and exchanged." if exchanged and _close(rows, exchanged) else ""


def _forward(run: Run) -> str:
    """Whether a direction that runs backwards begins at time 0: its output there is that of a first step."""
    steps, rows = run.steps, run.rows
    length = len(steps) // (steps[-1].direction + 1)
    for begin in range(0, len(steps), length):
        first, last = steps[begin], begin + length - 1
        if first.time == 0 or length < 2:
            continue
        output, _ = run_again(run.case, run.layer, steps[last : last + 1], rows[last : last + 1], Rules())
        if _close([rows[last]], output):
            return f"Direction {first.direction} runs forward: at time 0 it has the output of a first step."
    return ""


def _close(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> bool:
    return all(_distance(x, y) <= AGREES for x, y in zip(a, b, strict=True))


def _flip_line(steps: Sequence[Step], rows: Sequence[list[float]], index: int) -> str:
    step = steps[index]
    before = scaled(steps[index - 1].hidden)
    theirs = scaled(rows[index - 1])
    codes = codes_of(rows[index - 1])
    unit = next(q for q, code in enumerate(codes) if code != step.hidden_codes[q])
    return (
        f"A code flipped: before time {step.time}, hidden unit {unit} scales to {before[unit]:.7g} in the reference, to"
        f" {theirs[unit]:.7g} here, so its code is {codes[unit]} instead of {step.hidden_codes[unit]}"
        f" ({abs(abs(before[unit]) % 1.0 - 0.5):.2g} from the tie)."
    )


def _ties(run: Run, index: int) -> list[str]:
    """Inputs and hidden values of the step that lie on a rounding tie, or right beside one."""
    step = run.steps[index]
    row = input_rows(run.case, len(step.input_codes))[step.time]
    kinds = (("Input", row, step.input_codes), ("Hidden value", _before(run, index)[0], step.hidden_codes))
    return [
        f"{kind} {i} scales to {value:.9g}, {'on' if abs(value) % 1.0 == 0.5 else 'beside'} a rounding tie: its code is"
        f" {codes[i]}, half away from zero."
        for kind, values, codes in kinds
        for i, value in enumerate(scaled(values))
        if abs(abs(value) % 1.0 - 0.5) <= BESIDE
    ][:SHOWN_TIES]


def _gate_lines(run: Run, index: int, unit: int) -> list[str]:
    """For each gate, the value that alone would explain the output, where it is a possible one."""
    step = run.steps[index]
    candidates = {
        name: value
        for name, value in _solutions(step, run.rows[index], unit, *_before(run, index)).items()
        if math.isfinite(value) and (0.0 if name in "IFORU" else -1.0) <= value <= 1.0
    }
    return [
        f"Gate {name} = {value:.6g} instead of {step.gates[name][unit]:.6g} in unit {unit} would explain it"
        for name, value in candidates.items()
    ]


def _solutions(
    step: Step, row: Sequence[float], unit: int, hidden: Sequence[float], cell: Sequence[float]
) -> dict[str, float]:
    gates = {name: values[unit] for name, values in step.gates.items() if unit < len(values)}
    got = row[unit]
    if set(gates) == {"H"}:
        return {"H": got}
    if set(gates) == {"R", "U", "N"}:
        new, update, before = gates["N"], gates["U"], hidden[unit]
        return {"U": _quotient(got - new, before - new), "N": _quotient(got - update * before, 1.0 - update)}
    if set(gates) != {"I", "F", "O", "G"} or len(row) != len(cell):
        return {}
    squashed = _quotient(got, gates["O"])
    result = {"O": _quotient(got, math.tanh(step.cell[unit]))}
    if abs(squashed) < 1.0:
        total = math.atanh(squashed)
        result["I"] = _quotient(total - gates["F"] * cell[unit], gates["G"])
        result["F"] = _quotient(total - gates["I"] * gates["G"], cell[unit])
        result["G"] = _quotient(total - gates["F"] * cell[unit], gates["I"])
    return result


def _quotient(a: float, b: float) -> float:
    return a / b if b else math.nan


def _before(run: Run, index: int) -> tuple[list[float], list[float]]:
    """Hidden state and cell of the reference before a step."""
    steps = run.steps
    step = steps[index]
    if index and steps[index - 1].direction == step.direction:
        return steps[index - 1].hidden, steps[index - 1].cell
    states = (("in1", step.hidden), ("in2", step.cell))
    hidden, cell = (initial(run.case, name, step.direction, len(values)) for name, values in states)
    return hidden, cell


def _rows(output: Tensor, steps: Sequence[Step]) -> list[list[float]]:
    """What the implementation has for each step."""
    values = output.values().tolist()
    width = output.shape[-1]
    return [values[step.time * width + step.direction * len(step.hidden) :][: len(step.hidden)] for step in steps]


def _flipped(steps: Sequence[Step], rows: Sequence[list[float]], index: int) -> bool:
    same_direction = steps[index - 1].direction == steps[index].direction
    return same_direction and codes_of(rows[index - 1]) != steps[index].hidden_codes


def _same(a: Sequence[float], b: Sequence[float]) -> bool:
    return struct.pack(f"{len(a)}f", *a) == struct.pack(f"{len(b)}f", *b)


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        difference = abs(x - y)
        worst = math.inf if math.isnan(difference) else max(worst, difference)
    return worst


def _worst(a: Sequence[float], b: Sequence[float]) -> int:
    return max(range(len(a)), key=lambda q: abs(a[q] - b[q]))


def _short(codes: Sequence[int]) -> str:
    shown = " ".join(map(str, codes[:SHOWN]))
    return f"[{shown} …] ({len(codes)})" if len(codes) > SHOWN else f"[{shown}]"


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers in words: 0, 3-5."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)
