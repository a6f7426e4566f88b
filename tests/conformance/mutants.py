"""A zoo of wrong implementations: each differs from the right one in a single place, and the suite must see it.

python -m tests.conformance.mutants > docs/mutants.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapter import Identity
from conformance.adapters.arrays import from_array, to_array
from conformance.case import Case
from conformance.runner import run_case
from conformance.suites import recurrent
from conformance.tensor import Tensor

Floats = NDArray[Any]

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
BIAS_ROWS = {"RNN": 1, "LSTM": 4, "GRU": 4}
NAMES = {"RNN": "H", "LSTM": "IFOG", "GRU": "RUN"}
ONE = np.float32(1.0)

MUTANTS = {
    "swap-I-F": "LSTM: input and forget gate exchanged",
    "swap-I-O": "LSTM: input and output gate exchanged",
    "swap-I-G": "LSTM: input and cell gate exchanged",
    "swap-F-O": "LSTM: forget and output gate exchanged",
    "swap-F-G": "LSTM: forget and cell gate exchanged",
    "swap-O-G": "LSTM: output and cell gate exchanged",
    "swap-R-U": "GRU: reset and update gate exchanged",
    "swap-R-N": "GRU: reset and new gate exchanged",
    "swap-U-N": "GRU: update and new gate exchanged",
    "bias-order-lstm": "LSTM: bias rows read in the order I, F, G, O",
    "bias-order-gru": "GRU: bias rows WN and BN exchanged",
    "bias-missing": "the bias is left out",
    "recurrent-bias-outside-reset": "GRU: the reset gate does not multiply the recurrent bias",
    "update-inverted": "GRU: h = u·n + (1 - u)·h",
    "update-uses-codes": "GRU: u multiplies the dequantized codes of the hidden state",
    "hidden-not-quantized": "the recurrent product uses the float hidden state",
    "hidden-static-scale": "the hidden state has the fixed scale 127, as if it were never larger than 1",
    "hidden-scale-once": "the hidden state's scale of the first step is used for all",
    "hidden-scale-cell": "LSTM with equal widths: the scale is taken from the cell state",
    "input-scale-per-sequence": "one scale for the whole input instead of one for each row",
    "weight-scale-per-tensor": "the first weight scale is used for all rows",
    "weight-scales-exchanged": "the scales of the two matrices are exchanged",
    "direction-scales-shared": "the reverse direction uses the scales of the forward one",
    "zero-row-unguarded": "a row of zeros is divided by its absmax",
    "zero-row-as-last": "a row of zeros keeps the scale and the codes of the row before",
    "zero-state-unguarded": "a hidden state of zeros is divided by its absmax",
    "ties-to-even": "halves go to the even code",
    "half-up": "halves go up",
    "truncate": "codes are truncated",
    "signed-half-added": "a signed half is added in binary32 and truncated, so 0.49999997 becomes 1",
    "scale-128": "the scale is 128 / absmax and codes are clamped to [-128, 127]",
    "weights-clamped": "weights of -128 become -127",
    "descale-divides": "the descale is absmax / 127 instead of 1 / (127 / absmax)",
    "descale-combined": "the descale is 1 / (scale · weight scale)",
    "fused": "sum · descale + bias is rounded once",
    "binary64": "everything is computed in binary64 and rounded at the end of the step",
    "reverse-not-reversed": "the reverse direction runs forward",
    "reverse-outputs-in-order": "the reverse direction stores its outputs in the order in which it makes them",
    "halves-exchanged": "the reverse half comes first",
    "state-carried-over": "the reverse direction starts from the final state of the forward one",
    "initial-state-ignored": "initial states are ignored",
    "initial-cell-ignored": "LSTM: the initial cell state is ignored",
    "final-states-exchanged": "final states of the directions are exchanged",
    "final-state-of-last-time": "the final reverse state is the one of the last time, not of the first",
    "projection-skipped": "LSTM: the first num_output values are taken instead of the projection",
    "projection-transposed": "LSTM: the projection is read as (hidden_size, num_output)",
    "projection-not-fed-back": "LSTM: the unprojected state, cut to num_output, is what the next step quantizes",
    "tanh-of-cell-missing": "LSTM: the output is O·c",
}
"""Name and fault."""


class Mutant:
    """An adapter for a wrong implementation; an empty name is the right one."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    @property
    def identity(self) -> Identity:
        return Identity(f"mutant {self.name}", "1", "Python", "reference", tuple(GATES))

    def run(self, case: Case) -> dict[str, Tensor]:
        with np.errstate(all="ignore"):
            return {name: from_array(array) for name, array in Run(case, self.name).outputs().items()}

    def close(self) -> None:
        pass


class Run:
    """One case, with a fault."""

    def __init__(self, case: Case, fault: str) -> None:
        self.fault = fault
        words = case.param.splitlines()[-1].split()
        self.kind, inputs, outputs = words[0], int(words[2]), int(words[3])
        self.bottoms, self.tops = words[4 : 4 + inputs], words[4 + inputs : 4 + inputs + outputs]
        params = {int(key): int(value) for key, value in (word.split("=") for word in words[4 + inputs + outputs :])}
        self.n, self.direction = params[0], params[2]
        self.units = params.get(3, self.n)
        self.count = 2 if self.direction == 2 else 1
        self.blobs = [to_array(case.inputs[name]) for name in self.bottoms]
        self._read(case.bin, params[1])

    def _read(self, data: bytes, weight_count: int) -> None:
        rows = GATES[self.kind] * self.units
        at = 0

        def take(dtype: str, *shape: int, tagged: bool = True) -> Floats:
            nonlocal at
            at += 4 * tagged
            values = np.frombuffer(data, dtype, int(np.prod(shape)), at).reshape(shape)
            at += values.nbytes + -values.nbytes % 4
            return values.astype(np.int64) if dtype == "i1" else values

        size = weight_count // (self.count * rows)
        self.wx = take("i1", self.count, rows, size)
        self.bias = take("<f4", self.count, BIAS_ROWS[self.kind], self.units)
        self.wh = take("i1", self.count, rows, self.n)
        self.wr = take("<f4", self.count, self.n, self.units) if self.units != self.n else None
        self.sx = take("<f4", self.count, rows, tagged=False)
        self.sh = take("<f4", self.count, rows, tagged=False)
        if self.fault == "weights-clamped":
            self.wx, self.wh = np.maximum(self.wx, -127), np.maximum(self.wh, -127)
        if self.fault == "weight-scale-per-tensor":
            self.sx, self.sh = (np.broadcast_to(s[:, :1], s.shape) for s in (self.sx, self.sh))
        if self.fault == "weight-scales-exchanged":
            self.sx, self.sh = self.sh, self.sx
        if self.fault == "direction-scales-shared":
            self.sx, self.sh = (np.broadcast_to(s[:1], s.shape) for s in (self.sx, self.sh))
        if self.fault == "bias-order-lstm" and self.kind == "LSTM":
            self.bias = self.bias[:, [0, 1, 3, 2]]
        if self.fault == "bias-order-gru" and self.kind == "GRU":
            self.bias = self.bias[:, [0, 1, 3, 2]]
        if self.fault == "bias-missing":
            self.bias = np.zeros_like(self.bias)
        if self.fault == "projection-transposed" and self.wr is not None:
            self.wr = self.wr.reshape(self.count, self.units, self.n).transpose(0, 2, 1)

    def outputs(self) -> dict[str, Floats]:
        x = self.blobs[0].reshape(-1, self.wx.shape[2])
        halves, finals = [], []
        state = self._initial(0)
        for d in range(self.count):
            if self.fault != "state-carried-over" or d == 0:
                state = self._initial(d)
            backward = (self.direction == 1 or d == 1) and self.fault != "reverse-not-reversed"
            order = list(reversed(range(len(x)))) if backward else list(range(len(x)))
            half = np.zeros((len(x), self.n), np.float32)
            first = state
            self.static: np.float32 | None = None
            self.last: tuple[Floats, Any] = (np.zeros(x.shape[1]), np.float32(0))
            for index, t in enumerate(order):
                state = self.step(d, x, t, *state)
                place = index if self.fault == "reverse-outputs-in-order" else t
                half[place] = state[2]
                first = state if index == 0 else first
            halves.append(half)
            finals.append(first if self.fault == "final-state-of-last-time" and backward else state)
        if self.fault == "halves-exchanged":
            halves.reverse()
        if self.fault == "final-states-exchanged":
            finals.reverse()
        results = {self.tops[0]: np.concatenate(halves, axis=1)}
        for index, name in enumerate(self.tops[1:]):
            values = np.stack([final[2] if index == 0 else final[1] for final in finals]).astype(np.float32)
            results[name] = values.reshape(self.blobs[index + 1].shape) if len(self.blobs) > 1 else values
        return results

    def _initial(self, d: int) -> tuple[Floats, Floats, Floats]:
        hidden, cell = np.zeros(self.n, np.float32), np.zeros(self.units, np.float32)
        if len(self.blobs) > 1 and self.fault != "initial-state-ignored":
            hidden = self.blobs[1].reshape(self.count, -1)[d]
            if len(self.blobs) > 2 and self.fault != "initial-cell-ignored":
                cell = self.blobs[2].reshape(self.count, -1)[d]
        return hidden, cell, hidden

    def codes(self, values: Floats, largest: Any, scale: Any = None) -> tuple[Floats, Any]:
        """Codes and 1 / scale."""
        limit = np.float32(128.0 if self.fault == "scale-128" else 127.0)
        scale = limit / np.float32(largest) if scale is None else scale
        scaled = (values * scale).astype(np.float32).astype(np.float64)
        if self.fault == "ties-to-even":
            codes = np.rint(scaled)
        elif self.fault == "half-up":
            codes = np.floor(scaled + 0.5)
        elif self.fault == "truncate":
            codes = np.trunc(scaled)
        elif self.fault == "signed-half-added":
            single = scaled.astype(np.float32)
            codes = np.trunc(single + np.copysign(np.float32(0.5), single)).astype(np.float64)
        else:
            codes = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
        codes = np.clip(codes, -limit, 127)
        reciprocal = np.float32(largest) / limit if self.fault == "descale-divides" else ONE / scale
        return codes, reciprocal

    def input_codes(self, x: Floats, t: int) -> tuple[Floats, Any]:
        largest = np.abs(x if self.fault == "input-scale-per-sequence" else x[t]).max()
        if self.fault == "zero-row-unguarded" and largest == 0:
            return self.codes(x[t], largest)
        if self.fault == "zero-row-as-last" and largest == 0:
            return self.last
        if np.isinf(np.float32(127.0) / largest):
            return np.zeros(x.shape[1]), np.float32(0.0)
        self.last = self.codes(x[t], largest)
        return self.last

    def hidden_codes(self, hidden: Floats, cell: Floats) -> tuple[Floats, Any]:
        if self.fault == "hidden-not-quantized":
            return hidden.astype(np.float64), ONE
        if self.fault == "hidden-static-scale":
            return self.codes(hidden, 1.0, np.float32(127.0))
        largest = np.abs(cell if self.fault == "hidden-scale-cell" and self.kind == "LSTM" else hidden).max()
        if self.fault == "zero-state-unguarded":
            return self.codes(hidden, largest)
        if np.isinf(np.float32(127.0) / largest):
            return np.zeros(len(hidden)), np.float32(0.0)
        if self.fault == "hidden-scale-once":
            self.static = np.float32(127.0) / largest if self.static is None else self.static
            return self.codes(hidden, largest, self.static)
        return self.codes(hidden, largest)

    def descaled(self, weights: Floats, codes: Floats, descale: Any, scales: Floats) -> tuple[Floats, Floats]:
        """The sums, and what they are multiplied with."""
        sums = (weights @ codes).astype(np.float32)
        if self.fault == "descale-combined":
            return sums, np.where(descale == 0, 0, ONE / ((ONE / descale) * scales)).astype(np.float32)
        return sums, descale * (ONE / scales)

    def add(self, base: Floats, sums: Floats, factors: Floats) -> Floats:
        if self.fault == "fused":
            return (base.astype(np.longdouble) + sums.astype(np.longdouble) * factors).astype(np.float32)
        if self.fault == "binary64":
            return np.asarray(base.astype(np.float64) + sums.astype(np.float64) * factors)
        return np.asarray(base + sums * factors)

    def step(self, d: int, x: Floats, t: int, hidden: Floats, cell: Floats, _: Floats) -> tuple[Floats, Floats, Floats]:
        """The state for the next step's product, the cell, and the output."""
        ax, dx = self.descaled(self.wx[d], *self.input_codes(x, t), self.sx[d])
        codes, descale = self.hidden_codes(hidden, cell)
        ah, dh = self.descaled(self.wh[d], codes, descale, self.sh[d])
        bias, u = self.bias[d], self.units
        if self.kind == "RNN":
            new = tanh(self.add(self.add(bias[0], ax, dx), ah, dh))
            return new, cell, new
        if self.kind == "GRU":
            new = self.gru(bias, ax, dx, ah, dh, codes * descale if self.fault == "update-uses-codes" else hidden)
            return new, cell, new
        gates = self.add(self.add(bias.reshape(-1), ax, dx), ah, dh).reshape(4, u)
        i, f, o, g = gates[self._order()]
        i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), tanh(g)
        cell = (f * cell + i * g).astype(np.float32)
        output = (o * (cell if self.fault == "tanh-of-cell-missing" else tanh(cell))).astype(np.float32)
        projected = self.project(d, output)
        fed_back = output[: self.n] if self.fault == "projection-not-fed-back" and u >= self.n else projected
        return fed_back, cell, projected

    def gru(self, bias: Floats, ax: Floats, dx: Floats, ah: Floats, dh: Floats, hidden: Floats) -> Floats:
        n = self.n
        parts = [slice(k * n, (k + 1) * n) for k in range(3)]
        reset, update, new = (parts[k] for k in self._order())
        r = sigmoid(self.add(self.add(bias[0], ax[reset], dx[reset]), ah[reset], dh[reset]))
        z = sigmoid(self.add(self.add(bias[1], ax[update], dx[update]), ah[update], dh[update]))
        if self.fault == "recurrent-bias-outside-reset":
            inner = bias[2] + r * (ah[new] * dh[new]) + bias[3]
        else:
            inner = bias[2] + r * self.add(bias[3], ah[new], dh[new])
        value = tanh(self.add(inner, ax[new], dx[new]))
        if self.fault == "update-inverted":
            return np.asarray(z * value + (ONE - z) * hidden, np.float32)
        return np.asarray((ONE - z) * value + z * hidden, np.float32)

    def project(self, d: int, output: Floats) -> Floats:
        if self.wr is None:
            return output
        if self.fault == "projection-skipped":
            return np.resize(output, self.n)
        total = np.zeros(self.n, np.float32)
        for index, value in enumerate(output):
            total = np.asarray(total + self.wr[d][:, index] * value)
        return total

    def _order(self) -> list[int]:
        names = NAMES[self.kind]
        order = list(range(len(names)))
        parts = self.fault.split("-")
        if parts[0] == "swap" and parts[1] in names and parts[2] in names and len(set(parts[1:])) == 2:
            a, b = names.index(parts[1]), names.index(parts[2])
            order[a], order[b] = b, a
        return order


def tanh(values: Floats) -> Floats:
    return np.tanh(values.astype(np.float64)).astype(np.float32)


def sigmoid(values: Floats) -> Floats:
    return ONE / (ONE + np.exp(-values.astype(np.float64)).astype(np.float32))


def first_catch(name: str, cases: Iterable[Case]) -> str:
    """The id of the first case that the mutant fails; empty if it passes all."""
    mutant = Mutant(name)
    return next((case.id for case in cases if run_case(mutant, case).outcome != "passed"), "")


def table() -> str:
    """The page docs/mutants.md."""
    cases = list(recurrent.cases())
    lines = [
        "# Mutants",
        "",
        "Wrong implementations of the int8 recurrent layers, each with one fault, and the first stored case that each",
        "fails. Generated by `python -m tests.conformance.mutants > docs/mutants.md`; a test holds it true.",
        "",
        "| mutant | fault | caught first by | caught by |",
        "|---|---|---|---|",
    ]
    for name, fault in MUTANTS.items():
        failed = [case.id for case in cases if run_case(Mutant(name), case).outcome != "passed"]
        lines.append(f"| `{name}` | {fault} | `{failed[0] if failed else '-'}` | {len(failed)} of {len(cases)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
