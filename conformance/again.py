"""A recurrent layer computed again in binary64, by the rule or by something else that an implementation may do.

It is near enough to tell explanations apart, and nothing is judged by it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import mul
from typing import TypeVar

from conformance.case import Case

BIASES = {"RNN": ("H",), "GRU": ("R", "U", "N", "BN"), "LSTM": ("I", "F", "O", "G")}
"""Bias rows in file order; N is the one outside the reset gate, BN the one inside."""

GATES = {"RNN": ("H",), "GRU": ("R", "U", "N"), "LSTM": ("I", "F", "O", "G")}

CODE_MAX = 127.0


@dataclass(frozen=True)
class Step:
    """One time step of the reference; codes and scale of the hidden state are those before the step."""

    direction: int
    time: int
    input_codes: list[int]
    input_scale: float
    hidden_codes: list[int]
    hidden_scale: float
    gates: dict[str, list[float]]
    hidden: list[float]
    cell: list[float]


Value = TypeVar("Value")

Numbers = Sequence[float]
Rows = list[list[float]]
Codes = Callable[[Numbers], tuple[list[float], float]]
"""Codes of a vector, and 1 / scale; codes that are all zero add nothing."""
Product = Callable[[Numbers, Numbers], float]
"""The sum over a row of weights and the codes."""


def f32(value: float) -> float:
    """Rounded to binary32."""
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return rounded


def scaled(values: Numbers, limit: float = CODE_MAX) -> list[float]:
    """Values times limit / absmax, just before they are rounded to codes; zeros where the scale overflows."""
    scale = scale_of(values, limit)
    return [f32(value * scale) if math.isfinite(scale) else 0.0 for value in values]


def scale_of(values: Numbers, limit: float = CODE_MAX) -> float:
    """Limit / absmax; infinite for zeros."""
    largest = max(map(abs, values), default=0.0)
    return f32(limit / largest) if largest > 0.0 else math.inf


def away(value: float) -> float:
    """Rounded, halves away from zero: the rule."""
    return float(math.copysign(math.floor(abs(value) + 0.5), value))


def by_absmax(rounding: Callable[[float], float], limit: float = CODE_MAX) -> Codes:
    """Codes under the scale limit / absmax."""

    def codes(values: Numbers) -> tuple[list[float], float]:
        scale = scale_of(values, limit)
        if not math.isfinite(scale) or math.isnan(sum(values)):
            return [0.0] * len(values), 0.0
        return [_clamped(rounding(value), limit) for value in scaled(values, limit)], 1.0 / scale

    return codes


def by_scale(scale: float) -> Codes:
    """Codes under a fixed scale."""

    def codes(values: Numbers) -> tuple[list[float], float]:
        if not math.isfinite(scale) or not all(map(math.isfinite, values)):
            return [0.0] * len(values), 0.0
        return [_clamped(away(f32(value * scale)), CODE_MAX) for value in values], 1.0 / scale

    return codes


def _clamped(code: float, limit: float) -> float:
    return max(-limit, min(CODE_MAX, code))


def exact(weights: Numbers, codes: Numbers) -> float:
    """The sum of the products."""
    return float(sum(map(mul, weights, codes)))


RULE = by_absmax(away)


@dataclass(frozen=True)
class Rules:
    """How a layer computes. What is not said is the rule."""

    weights: Mapping[str, str] = field(default_factory=dict)
    """Gate to the gate whose rows it takes, of the weights and of the scales."""
    biases: Mapping[str, str] = field(default_factory=dict)
    input_codes: Codes = RULE
    hidden_codes: Codes = RULE
    input_product: Product = exact
    hidden_product: Product = exact
    update: str = ""
    """Of a GRU: `inverted`, `by-codes`, or `bias-outside` the reset gate."""
    bare_cell: bool = False
    """The output of an LSTM is O·c."""
    scale_from_cell: bool = False
    """The scale of an LSTM's hidden state is that of the cell."""
    scale_once: bool = False
    """The scale of the first hidden state that is not zero serves a direction to its end."""
    ignored: tuple[str, ...] = ()
    """Initial states that are taken for zeros, by blob name."""
    carried: bool = False
    """The reverse direction starts from the last state of the forward one."""


@dataclass(frozen=True)
class Layer:
    """The weights of a layer, one entry a direction."""

    kind: str
    units: int
    outputs: int
    input_weights: list[Rows]
    hidden_weights: list[Rows]
    input_scales: Rows
    hidden_scales: Rows
    biases: list[dict[str, list[float]]]
    projection: list[Rows]

    def step(
        self, direction: int, row: Numbers, hidden: Numbers, cell: Numbers, rules: Rules
    ) -> tuple[list[float], list[float]]:
        """The output and the cell after one row."""
        d = direction
        hidden_codes = by_scale(scale_of(cell)) if rules.scale_from_cell else rules.hidden_codes
        codes, factor = hidden_codes(hidden)
        x = self._sums(rules, rules.input_product, self.input_weights[d], self.input_scales[d], *rules.input_codes(row))
        h = self._sums(rules, rules.hidden_product, self.hidden_weights[d], self.hidden_scales[d], codes, factor)
        bias = {**self.biases[d], **{name: self.biases[d][other] for name, other in rules.biases.items()}}
        plain = {name: [sum(parts) for parts in zip(bias[name], x[name], h[name])] for name in x}
        if self.kind == "RNN":
            return [math.tanh(value) for value in plain["H"]], []
        if self.kind == "GRU":
            before = [code * factor for code in codes] if rules.update == "by-codes" else hidden
            return _gru(plain, bias, x["N"], h["N"], before, rules.update), []
        i, f, o = (list(map(_sigmoid, plain[name])) for name in ("I", "F", "O"))
        cells = [b * c + a * math.tanh(g) for a, b, c, g in zip(i, f, cell, plain["G"])]
        shown = [gate * (c if rules.bare_cell else math.tanh(c)) for gate, c in zip(o, cells)]
        if self.projection:
            shown = [sum(map(mul, weights, shown)) for weights in self.projection[d]]
        return [shown[q % len(shown)] for q in range(self.outputs)], cells

    def _sums(
        self, rules: Rules, product: Product, rows: Rows, scales: Numbers, codes: Numbers, factor: float
    ) -> dict[str, list[float]]:
        """The descaled sums by gate."""
        names = GATES[self.kind]
        values = [product(row, codes) * factor / scale if any(codes) else 0.0 for row, scale in zip(rows, scales)]
        sums = dict(zip(names, chunks(values, self.units), strict=True))
        return {name: sums[rules.weights.get(name, name)] for name in names}


def _gru(
    plain: dict[str, list[float]], bias: dict[str, list[float]], x: Numbers, h: Numbers, before: Numbers, update: str
) -> list[float]:
    reset, mixed = (list(map(_sigmoid, plain[name])) for name in ("R", "U"))
    inner = [r * (b + s) for r, b, s in zip(reset, bias["BN"], h)]
    if update == "bias-outside":
        inner = [r * s + b for r, b, s in zip(reset, bias["BN"], h)]
    new = [math.tanh(b + a + s) for b, a, s in zip(bias["N"], x, inner)]
    if update == "inverted":
        mixed = [1.0 - u for u in mixed]
    return [(1.0 - u) * n + u * h for u, n, h in zip(mixed, new, before)]


def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value)) if value > -700.0 else 0.0


def initial(case: Case, name: str, direction: int, width: int) -> list[float]:
    """The part of an initial state that belongs to a direction; zeros where none is given."""
    if name not in case.inputs:
        return [0.0] * width
    values: list[float] = case.inputs[name].values().tolist()
    return values[direction * width : (direction + 1) * width]


def input_rows(case: Case, size: int) -> Rows:
    """The rows of the input sequence."""
    return chunks(case.inputs["in0"].values().tolist(), size)


def run_again(
    case: Case, layer: Layer, steps: Sequence[Step], rows: Sequence[Numbers], rules: Rules
) -> tuple[Rows, Rows]:
    """The outputs of all steps, each from the given output of the step before it, and the cells after the steps.

    `rows` are outputs of an implementation, a row for each of `steps`. So a step that is wrong by itself shows as one.
    """
    x = input_rows(case, len(steps[0].input_codes))
    outputs: Rows = []
    cells: Rows = []
    held = rules
    for index, step in enumerate(steps):
        begins = not index or steps[index - 1].direction != step.direction
        if begins and not (index and rules.carried):
            hidden, cell = start(case, layer, step.direction, rules)
        else:
            hidden, cell = list(rows[index - 1]), cells[-1]
        if rules.scale_once and (begins or held is rules):
            held = replace(rules, hidden_codes=by_scale(scale_of(hidden))) if any(hidden) else rules
        output, cell = layer.step(step.direction, x[step.time], hidden, cell, held)
        outputs.append(output)
        cells.append(list(cell))
    return outputs, cells


def start(case: Case, layer: Layer, direction: int, rules: Rules) -> tuple[list[float], list[float]]:
    """The states that a direction begins with."""
    widths = {"in1": layer.outputs, "in2": layer.units if layer.kind == "LSTM" else 0}
    hidden, cell = (
        [0.0] * width if name in rules.ignored else initial(case, name, direction, width)
        for name, width in widths.items()
    )
    return hidden, cell


def read_layer(case: Case) -> Layer:
    """The layer of a case with one int8 recurrent layer in its last line."""
    words = case.param.splitlines()[-1].split()
    kind, skip = words[0], 4 + int(words[2]) + int(words[3])
    params = {int(key): int(value) for key, _, value in (word.partition("=") for word in words[skip:])}
    n, directions = params[0], 2 if params.get(2) == 2 else 1
    units = params.get(3, n) if kind == "LSTM" else n
    rows = len(GATES[kind]) * units
    size = params[1] // (directions * rows)
    records = _Records(case.bin)
    wx = chunks(chunks(records.codes(directions * rows * size), size), rows)
    bias = chunks(chunks(records.floats(directions * len(BIASES[kind]) * units, 4), units), len(BIASES[kind]))
    wh = chunks(chunks(records.codes(directions * rows * n), n), rows)
    wr = chunks(chunks(records.floats(directions * n * units, 4), units), n) if units != n else []
    sx = chunks(records.floats(directions * rows, 0), rows)
    sh = chunks(records.floats(directions * rows, 0), rows)
    named = [dict(zip(BIASES[kind], part, strict=True)) for part in bias]
    return Layer(kind, units, n, wx, wh, sx, sh, named, wr)


class _Records:
    """The records of a .bin file, one after another."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def codes(self, count: int) -> list[float]:
        """A tagged record of int8, padded to four bytes."""
        values = struct.unpack_from(f"<{count}b", self.data, self.at + 4)
        self.at += 4 + count + -count % 4
        return [float(value) for value in values]

    def floats(self, count: int, tag: int) -> list[float]:
        """A record of binary32 behind `tag` bytes."""
        values = struct.unpack_from(f"<{count}f", self.data, self.at + tag)
        self.at += tag + 4 * count
        return list(values)


def chunks(values: list[Value], size: int) -> list[list[Value]]:
    """Pieces of one size."""
    return [values[at : at + size] for at in range(0, len(values), size)]
