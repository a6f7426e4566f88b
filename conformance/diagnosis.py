"""Why a recurrent case fails: the first time step that differs, its codes and gates, and what explains the rest.

A step's output is the next step's input, through int8 codes. So a difference in the last bits may stay one, until it
moves a hidden value across a rounding tie: then a code differs by one, and everything after it differs visibly.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from conformance.again import Step, read_layer
from conformance.case import Case
from conformance.levels import text, ulp_distance
from conformance.tensor import Tensor

SMALL = 1e-5
"""Differences up to this are the last bits of exp and tanh; larger ones need another explanation."""

RECONSTRUCTED = 1e-4
"""How closely outputs that are reconstructed from activated gates can agree."""

BESIDE = 1e-6
"""Scaled values this near to a tie are pointed out."""

SHOWN_TIES = 4
"""Ties that are printed."""

SHOWN = 12
"""Codes that are printed before an ellipsis."""


Tracer = Callable[[Case], list[Step]]


def f32(value: float) -> float:
    """Rounded to binary32."""
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return rounded


def scaled(values: Sequence[float]) -> list[float]:
    """Values times 127 / absmax, just before they are rounded to codes."""
    largest = max(map(abs, values), default=0.0)
    scale = f32(127.0 / largest) if largest > 0.0 else 0.0
    return [f32(value * scale) if math.isfinite(scale) else 0.0 for value in values]


def codes_of(values: Sequence[float]) -> list[int]:
    """int8 codes under the dynamic scale of the values, halves away from zero.

    >>> codes_of([1.0, -0.5, 0.0])
    [127, -64, 0]
    """
    return [int(math.copysign(math.floor(abs(value) + 0.5), value)) for value in scaled(values)]


def diagnose(case: Case, steps: Sequence[Step], got: Mapping[str, Tensor]) -> list[str]:
    """Lines that explain how `got` departs from the trace; empty where the sequence itself is right."""
    output = got.get("out0")
    if output is None or not steps or len(output.values()) != sum(len(step.hidden) for step in steps):
        return []
    rows = _rows(output, steps)
    first = next((i for i, step in enumerate(steps) if not _same(step.hidden, rows[i])), None)
    if first is None:
        return ["The sequence is right; only final states differ."]
    step, row = steps[first], rows[first]
    unit = next(q for q, value in enumerate(row) if ulp_distance(value, step.hidden[q]) != 0)
    lines = [
        f"First difference: direction {step.direction}, time {step.time}, unit {unit}: got {text(row[unit])},"
        f" expected {text(step.hidden[unit])}, {ulp_distance(row[unit], step.hidden[unit]):g} ulp apart.",
        f"Input codes there: {_short(step.input_codes)}, scale {text(step.input_scale)}.",
        f"Hidden codes before: {_short(step.hidden_codes)}, scale {text(step.hidden_scale)}.",
        f"Gates of unit {unit}: {', '.join(f'{name} = {values[unit]:.9g}' for name, values in step.gates.items())}."
        if unit < len(next(iter(step.gates.values())))
        else "The unit is made by the projection.",
    ]
    lines += _explanation(case, steps, rows, first, unit)
    return lines


def _explanation(case: Case, steps: Sequence[Step], rows: Sequence[list[float]], first: int, unit: int) -> list[str]:
    large = next((i for i in range(first, len(steps)) if _distance(steps[i].hidden, rows[i]) > SMALL), None)
    if large is None:
        return [f"No value is off by more than {SMALL:g}: other roundings of exp or tanh, and no code flipped."]
    flip = next((i for i in range(first + 1, len(steps)) if _flipped(steps, rows, i)), None)
    if flip is not None and flip <= large and _distance(steps[first].hidden, rows[first]) <= SMALL:
        return [_flip_line(steps, rows, flip)]
    structure = _structure(steps, rows) or _forward(case, steps, rows)
    if structure:
        return [structure]
    step = steps[large]
    lines = [f"The step at time {step.time} is wrong by itself: its hidden codes are those of the reference."]
    lines += _ties(case, steps, large)
    exchanged = _exchanged(case, steps, large, rows[large])
    if exchanged:
        return [*lines, exchanged]
    worst = unit if large == first else _worst(step.hidden, rows[large])
    return lines + _gate_lines(case, steps, large, rows[large], worst)


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


def _forward(case: Case, steps: Sequence[Step], rows: Sequence[list[float]]) -> str:
    """Whether a direction that runs backwards begins at time 0: its output there is that of a first step."""
    length = len(steps) // (steps[-1].direction + 1)
    for begin in range(0, len(steps), length):
        first, last = steps[begin], steps[begin + length - 1]
        if first.time == 0 or length < 2:
            continue
        hidden, cell = _state_before(case, steps, begin)
        plain = {name: name for name in first.gates}
        start = replace(last, hidden_codes=first.hidden_codes, hidden_scale=first.hidden_scale)
        if _close([rows[begin + length - 1]], [read_layer(case).step(start, hidden, cell, plain, plain)]):
            return f"Direction {first.direction} runs forward: at time 0 it has the output of a first step."
    return ""


def _exchanged(case: Case, steps: Sequence[Step], index: int, row: Sequence[float]) -> str:
    """Whether two gates, or the sides of a GRU's update, are exchanged: the step is computed again with each."""
    step = steps[index]
    hidden, cell = _state_before(case, steps, index)
    if set(step.gates) == set("RUN"):
        sides = zip(step.gates["U"], step.gates["N"], hidden)
        inverted = [u * n + (1.0 - u) * h for u, n, h in sides]
        if _close([row], [inverted]):
            return "The update gate works the other way round: u·n + (1 - u)·h."
    layer = read_layer(case)
    plain = {name: name for name in step.gates}
    if "N" in plain and _close([row], [layer.step(step, hidden, cell, plain, {**plain, "N": "BN", "BN": "N"})]):
        return "The outputs are those of the two biases of gate N exchanged."
    for a, b in combinations(step.gates, 2):
        for what, weights, biases in EXCHANGES:
            order = {**plain, a: b, b: a}
            again = layer.step(step, hidden, cell, order if weights else plain, order if biases else plain)
            if _close([row], [again]):
                return f"The outputs are those of gates {a} and {b} exchanged{what}."
    return ""


EXCHANGES = (("", True, True), (" in the weights", True, False), (" in the biases", False, True))
"""What can be exchanged: words, weights, biases."""


def _close(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> bool:
    return all(_distance(x, y) <= RECONSTRUCTED for x, y in zip(a, b, strict=True))


def _flip_line(steps: Sequence[Step], rows: Sequence[list[float]], index: int) -> str:
    step = steps[index]
    before = scaled(steps[index - 1].hidden)
    theirs = scaled(rows[index - 1])
    codes = codes_of(rows[index - 1])
    unit = next(q for q, code in enumerate(codes) if code != step.hidden_codes[q])
    return (
        f"A code flipped: before time {step.time}, hidden unit {unit} scales to {before[unit]:.7g} in the reference, to"
        f" {theirs[unit]:.7g} here, so its code is {codes[unit]} instead of {step.hidden_codes[unit]}"
        f" ({abs(abs(before[unit]) % 1.0 - 0.5):.2g} from the tie). What follows comes from that."
    )


def _ties(case: Case, steps: Sequence[Step], index: int) -> list[str]:
    """Inputs and hidden values of the step that lie on a rounding tie, or right beside one."""
    step = steps[index]
    size = len(step.input_codes)
    row = case.inputs["in0"].values()[step.time * size : (step.time + 1) * size]
    kinds = (
        ("Input", row, step.input_codes),
        ("Hidden value", _state_before(case, steps, index)[0], step.hidden_codes),
    )
    return [
        f"{kind} {i} scales to {value:.9g}, {'on' if abs(value) % 1.0 == 0.5 else 'beside'} a rounding tie: its code is"
        f" {codes[i]}, half away from zero."
        for kind, values, codes in kinds
        for i, value in enumerate(scaled(values))
        if abs(abs(value) % 1.0 - 0.5) <= BESIDE
    ][:SHOWN_TIES]


def _gate_lines(case: Case, steps: Sequence[Step], index: int, row: Sequence[float], unit: int) -> list[str]:
    """For each gate, the value that alone would explain the output, where it is a possible one."""
    step = steps[index]
    hidden_before, cell_before = _state_before(case, steps, index)
    candidates = {
        name: value
        for name, value in _solutions(step, row, unit, hidden_before, cell_before).items()
        if math.isfinite(value) and (0.0 if name in "IFORU" else -1.0) <= value <= 1.0
    }
    lines = []
    for name, value in candidates.items():
        twin = next((n for n, g in step.gates.items() if n != name and abs(g[unit] - value) < SMALL), "")
        known = f", which is the value of {twin}: swapped?" if twin else ""
        lines.append(f"Gate {name} = {value:.6g} instead of {step.gates[name][unit]:.6g} would explain it{known}")
    return lines


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


def _state_before(case: Case, steps: Sequence[Step], index: int) -> tuple[list[float], list[float]]:
    step = steps[index]
    if index and steps[index - 1].direction == step.direction:
        return steps[index - 1].hidden, steps[index - 1].cell
    return _initial(case, "in1", step.direction, len(step.hidden)), _initial(
        case, "in2", step.direction, len(step.cell)
    )


def _initial(case: Case, name: str, direction: int, width: int) -> list[float]:
    if name not in case.inputs:
        return [0.0] * width
    return case.inputs[name].values().tolist()[direction * width : (direction + 1) * width]


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
