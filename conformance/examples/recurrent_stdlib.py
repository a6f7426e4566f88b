"""An implementation of int8 RNN, LSTM and GRU that knows nothing of this package: a program for the subprocess adapter.

python -m conformance run --suite recurrent --adapter subprocess -- python conformance/examples/recurrent_stdlib.py
"""

import json
import math
import operator
import sys
from array import array
from itertools import chain
from typing import Any

GATES, BIAS_ROWS = {"RNN": 1, "LSTM": 4, "GRU": 3}, {"RNN": 1, "LSTM": 4, "GRU": 4}
IDENTITY = {
    "name": "recurrent-stdlib",
    "version": "1.0",
    "language": "Python, standard library only",
    "rounding": "reference",
    "layers": list(GATES),
}
Floats = list[float]


def f32(value: float) -> float:
    """Round to binary32."""
    return array("f", [value])[0]


def sigmoid(v: float) -> float:
    """1 / (1 + exp(-v)), every step rounded."""
    return f32(1 / f32(1 + (f32(math.exp(-v)) if -v < 700 else math.inf)))


def tanh(v: float) -> float:
    """The hyperbolic tangent, rounded once."""
    return f32(math.tanh(v))


def quantize(values: Floats) -> tuple[list[int], float]:
    """int8 codes and 1 / scale, with scale = 127 / absmax."""
    largest = max(map(abs, values))
    scale = f32(127 / largest) if largest else math.inf
    if scale == math.inf:
        return [0] * len(values), 0.0
    scaled = array("f", [v * scale for v in values])
    return [int(v + 0.5) if v >= 0 else -int(0.5 - v) for v in scaled], f32(1 / scale)


def product(values: Floats, rows: list[list[int]], scales: Floats) -> Floats:
    """A matrix product through int8: exact sums times (1 / scale of the values * 1 / scale of the row)."""
    codes, descale = quantize(values)
    return [f32(f32(sum(map(operator.mul, codes, row))) * f32(descale * scale)) for row, scale in zip(rows, scales)]


def chunks(values: Any, size: int) -> list[Any]:
    """Pieces of one size."""
    return [values[i : i + size] for i in range(0, len(values), size)]


def step(kind: str, ax: Floats, ah: Floats, bias: list[Floats], hidden: Floats, cell: Floats) -> tuple[Floats, Floats]:
    """The new hidden state and cell, from the two products."""
    n = len(bias[0])
    sums = [f32(f32(b + x) + h) for b, x, h in zip(chain(*bias), ax, ah)]
    if kind == "RNN":
        return list(map(tanh, sums)), cell
    if kind == "GRU":
        reset, update = chunks(list(map(sigmoid, sums[: 2 * n])), n)
        inner = [f32(r * f32(b + h)) for r, b, h in zip(reset, bias[3], ah[2 * n :])]
        new = [tanh(f32(f32(b + v) + x)) for b, v, x in zip(bias[2], inner, ax[2 * n :])]
        return [f32(f32(f32(1 - u) * v) + f32(u * h)) for u, v, h in zip(update, new, hidden)], cell
    i, f, o = chunks(list(map(sigmoid, sums[: 3 * n])), n)
    cell = [f32(f32(b * c) + f32(a * tanh(g))) for a, b, c, g in zip(i, f, cell, sums[3 * n :])]
    return [f32(gate * tanh(c)) for gate, c in zip(o, cell)], cell


def project(values: Floats, rows: list[Floats]) -> Floats:
    """Sums from the first to the last; without rows, the values."""
    totals = [0.0] * len(rows)
    for k, row in enumerate(rows):
        for weight, value in zip(row, values):
            totals[k] = f32(totals[k] + f32(value * weight))
    return totals or values


def records(data: bytes, *wanted: tuple[bool, str, int]) -> list[list[Any]]:
    """The records of a .bin file: (tagged, type code, count) each, padded to four bytes."""
    found, at = [], 0
    for tagged, code, count in wanted:
        at += 4 * tagged
        values = array(code)
        values.frombytes(data[at : at + count * values.itemsize])
        at += count * values.itemsize + -count * values.itemsize % 4
        found.append(values.tolist())
    return found


def run(message: dict[str, Any]) -> dict[str, Any]:
    """The outputs of a network of Inputs and one recurrent layer, the last line of the .param text."""
    kind, _, ins, outs, *rest = message["param"].splitlines()[-1].split()
    bottoms, tops, rest = rest[: int(ins)], rest[int(ins) :][: int(outs)], rest[int(ins) + int(outs) :]
    params = {int(key): int(value) for key, value in (word.split("=") for word in rest)}
    n, direction = params[0], params.get(2, 0)
    units = params.get(3, n) if kind == "LSTM" else n
    count, rows = 2 if direction == 2 else 1, GATES[kind] * units
    size = params[1] // (count * rows)
    projected = count * n * units if n != units else 0
    wx, bias, wh, wr, sx, sh = records(
        bytes.fromhex(message["bin"]),
        (True, "b", count * rows * size),
        (True, "f", count * BIAS_ROWS[kind] * units),
        (True, "b", count * rows * n),
        (projected > 0, "f", projected),
        (False, "f", count * rows),
        (False, "f", count * rows),
    )
    wx, wh = chunks(chunks(wx, size), rows), chunks(chunks(wh, n), rows)
    bias, wr = chunks(chunks(bias, units), BIAS_ROWS[kind]), chunks(chunks(wr, units), n) or [[], []]
    sx, sh = (chunks([f32(1 / scale) for scale in scales], rows) for scales in (sx, sh))
    given = [array("f", bytes.fromhex(message["inputs"][name]["hex"])).tolist() for name in bottoms]
    x, states = chunks(given[0], size), [chunks(values, len(values) // count) for values in given[1:]]
    outputs: list[list[Floats]] = [[[]] * count for _ in x]
    finals = []
    for d in range(count):
        hidden = states[0][d] if states else [0.0] * n
        cell = states[1][d] if len(states) > 1 else [0.0] * units
        times = range(len(x))
        for t in reversed(times) if direction == 1 or d == 1 else times:
            ax, ah = product(x[t], wx[d], sx[d]), product(hidden, wh[d], sh[d])
            hidden, cell = step(kind, ax, ah, bias[d], hidden, cell)
            outputs[t][d] = hidden = project(hidden, wr[d])
        finals.append((hidden, cell))
    values = [[v for time in outputs for part in time for v in part], *(chain(*part) for part in zip(*finals))]
    shapes = [[len(x), count * n]]
    shapes += [message["inputs"][name]["shape"] for name in bottoms[1:]] or [[count, n], [count, units]]
    return {
        name: {"shape": shape, "dtype": "float32", "hex": array("f", content).tobytes().hex()}
        for name, shape, content in zip(tops, shapes, values)
    }


for line in sys.stdin:
    request = json.loads(line)
    if request["cmd"] == "stop":
        break
    started = request["cmd"] == "start"
    answer = {"protocol": 1, "identity": IDENTITY} if started else {"seq": request["seq"], "outputs": run(request)}
    print(json.dumps(answer), flush=True)
