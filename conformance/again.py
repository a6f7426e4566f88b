"""One step of a recurrent layer computed again from its codes, in binary64: to try out what an implementation may do.

It is near enough to tell explanations apart, and nothing is judged by it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conformance.case import Case

BIASES = {"RNN": ("H",), "GRU": ("R", "U", "N", "BN"), "LSTM": ("I", "F", "O", "G")}
"""Bias rows in file order; N is the one outside the reset gate, BN the one inside."""

GATES = {"RNN": ("H",), "GRU": ("R", "U", "N"), "LSTM": ("I", "F", "O", "G")}


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


Rows = list[list[float]]


@dataclass(frozen=True)
class Layer:
    """The weights of a layer, one entry a direction."""

    kind: str
    units: int
    input_weights: list[Rows]
    hidden_weights: list[Rows]
    input_scales: Rows
    hidden_scales: Rows
    biases: list[dict[str, list[float]]]
    projection: list[Rows]

    def step(
        self,
        step: Step,
        hidden: Sequence[float],
        cell: Sequence[float],
        weights: Mapping[str, str],
        biases: Mapping[str, str],
    ) -> list[float]:
        """The output, where the rows of each gate are those of the gate that `weights` and `biases` name for it."""
        d = step.direction
        x = self._sums(self.input_weights[d], self.input_scales[d], step.input_codes, step.input_scale)
        h = self._sums(self.hidden_weights[d], self.hidden_scales[d], step.hidden_codes, step.hidden_scale)
        bias = {**self.biases[d], **{name: self.biases[d][other] for name, other in biases.items()}}
        x, h = ({name: sums[other] for name, other in weights.items()} for sums in (x, h))
        plain = {name: [sum(parts) for parts in zip(bias[name], x[name], h[name])] for name in weights}
        if self.kind == "RNN":
            return [math.tanh(value) for value in plain["H"]]
        if self.kind == "GRU":
            reset, update = (list(map(_sigmoid, plain[name])) for name in ("R", "U"))
            parts = zip(bias["N"], x["N"], reset, bias["BN"], h["N"])
            new = [math.tanh(b + a + r * (c + s)) for b, a, r, c, s in parts]
            return [(1.0 - u) * n + u * before for u, n, before in zip(update, new, hidden)]
        i, f, o = (list(map(_sigmoid, plain[name])) for name in ("I", "F", "O"))
        cells = [b * c + a * math.tanh(g) for a, b, c, g in zip(i, f, cell, plain["G"])]
        output = [gate * math.tanh(c) for gate, c in zip(o, cells)]
        rows = self.projection[d] if self.projection else []
        return [sum(w * v for w, v in zip(row, output)) for row in rows] or output

    def _sums(self, rows: Rows, scales: Sequence[float], codes: Sequence[int], scale: float) -> dict[str, list[float]]:
        """The descaled sums by gate; codes that are all zero add nothing."""
        sums = [sum(map(float.__mul__, row, map(float, codes))) / s for row, s in zip(rows, scales)]
        values = [value / scale for value in sums] if any(codes) else [0.0] * len(rows)
        return dict(zip(GATES[self.kind], _chunks(values, self.units), strict=True))


def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value)) if value > -700.0 else 0.0


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
    wx = _chunks(_chunks(records.codes(directions * rows * size), size), rows)
    bias = _chunks(_chunks(records.floats(directions * len(BIASES[kind]) * units, 4), units), len(BIASES[kind]))
    wh = _chunks(_chunks(records.codes(directions * rows * n), n), rows)
    wr = _chunks(_chunks(records.floats(directions * n * units, 4), units), n) if units != n else []
    sx = _chunks(records.floats(directions * rows, 0), rows)
    sh = _chunks(records.floats(directions * rows, 0), rows)
    named = [dict(zip(BIASES[kind], part, strict=True)) for part in bias]
    return Layer(kind, units, wx, wh, sx, sh, named, wr)


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


def _chunks(values: list, size: int) -> list:  # type: ignore[type-arg]
    return [values[at : at + size] for at in range(0, len(values), size)]
