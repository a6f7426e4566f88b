"""The recurrent vectors: what cases there are, and where their expected values come from.

    python -m conformance.suites.recurrent_cases check     compare the stored files with what would be written
    python -m conformance.suites.recurrent_cases regen     write them

Everything follows from case ids and `SEED`, so an added case changes no other. Derived values come from the spec,
observed ones from the ncnn wheel; those by hand stand here with their working.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from conformance.adapter import Adapter
from conformance.adapters import open_adapter
from conformance.case import Case
from conformance.runner import SMOKE_FLAG
from conformance.suites.recipe import Fill
from conformance.suites.recurrent import (
    BIAS_ROWS,
    FILES,
    FOLDER,
    GATES,
    REFERENCE,
    Sizes,
    build,
)
from conformance.tensor import tensor

SEED = 20261020
SCHEMA = "ncnn-assay-recurrent-vectors-1"
GLIBC = "glibc expf and tanhf"
SEEN = "ncnn wheel"
WHEEL = "ncnn wheel 1.0.20261020, x86-64 with AVX-512 VNNI, num_threads=1, default packing, binary16 off"
STRICT = "ncnn a4d2ea1d, portable C++ layers, -O2 without fast-math and FMA, glibc 2.36; printed with nine digits"
SPEC = "python -m conformance.suites.recurrent_cases, spec, reference profile, seed 20261020"

FLAGS = {
    "smoke": "one of the few cases that tell whether an adapter works",
    "reverse": "time runs backwards; outputs stay at their own time",
    "both-directions": "forward half first, then the reverse half; each starts from its own state",
    "initial-state": "hidden (and cell) state come as blobs",
    "final-state": "the states after the last step go out as blobs",
    "vector": "one row comes as a 1-D blob, or a state of one direction does",
    "projection": "hidden_size differs from num_output: the projected state is what the next step quantizes",
    "zero-row": "an input row of zeros contributes exactly nothing; 127 / absmax would be infinite",
    "zero-state": "a hidden state of zeros contributes exactly nothing",
    "tiny": "magnitudes near the smallest normal number; below 3.74e-37 the scale overflows: a row of zeros",
    "huge": "magnitudes up to the largest binary32 number",
    "saturated": "gates are driven to 0 or 1",
    "swap": "two gates, or two bias rows, differ in sign while the others are neutral",
    "zero-weights": "weight rows of zeros",
    "scales": "weight scales differ by orders of magnitude from row to row",
    "tie": "scaled values lie exactly between two codes, or one step beside: halves go away from zero",
    "extreme-codes": "weights of -128 and 127 meet codes of plus and minus 127",
    "uniform": "all units are the same, so all outputs are: tails of vectors must agree with their bodies",
    "length": "sequence lengths 1 to 64",
    "width": "hidden widths 1 to 256",
    "inputs": "input widths 1 to 256",
    "observed": "seen in a real ncnn",
}

KINDS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM", "lstm-projection": "LSTM"}
GATE_NAMES = {"RNN": ("H",), "GRU": ("R", "U", "N"), "LSTM": ("I", "F", "O", "G")}
BIAS_NAMES = {"RNN": ("H",), "GRU": ("R", "U", "WN", "BN"), "LSTM": ("I", "F", "O", "G")}
DIRECTIONS = (0, 1, 2)
STATES = ((0, 0), (1, 1), (1, 0), (0, 1))
STATE_NAMES = {(0, 0): "none", (1, 1): "in-out", (1, 0): "in", (0, 1): "out"}

GRID = ((1, 1, 1), (2, 1, 1), (3, 3, 2), (4, 2, 3), (5, 4, 4), (6, 5, 3), (4, 7, 5), (9, 3, 4), (12, 2, 6), (7, 8, 8))
"""(steps, size, num_output)."""

WIDTHS = (*range(1, 18), 23, 31, 32, 33, 48, 63, 64, 65, 127, 128, 129, 255, 256)
INPUTS = (*range(1, 10), 15, 16, 17, 24, 31, 32, 33, 64, 100, 255, 256)
WIDE = 65
"""Wider layers are large, and come in fewer forms."""

LENGTHS = (*range(1, 34), 40, 47, 48, 63, 64)
MAGNITUDES = {
    "subnormal": "0x1p-140",
    "scale-overflows": "0x1p-124",
    "scale-just-finite": "0x1.8p-121",
    "tiny": "0x1p-60",
    "small": "0x1p-10",
    "large": "0x1p10",
    "huge": "0x1p60",
    "largest": "0x1.8p126",
}


@dataclass
class Draft:
    """A case before its expected values are known."""

    id: str
    note: str
    sizes: Sizes
    flags: list[str] = field(default_factory=list)
    fill: dict[str, Fill] = field(default_factory=dict)
    source: str = "derived"
    expected: dict[str, list[float]] = field(default_factory=dict)
    working: str = ""

    @property
    def file(self) -> str:
        """The vector file that holds the case."""
        return self.id.split("/")[1]


def sizes_of(
    kind: str,
    steps: int,
    size: int,
    num_output: int,
    direction: int = 0,
    states: tuple[int, int] = (0, 0),
    flat: int = 0,
) -> Sizes:
    """Sizes of a layer; with projection the hidden size is another than num_output."""
    hidden = num_output + 1 + num_output // 2 if kind == "lstm-projection" else 0
    return Sizes(KINDS[kind], size, num_output, steps, hidden, direction, *states, flat)


def coprime(rng: random.Random, modulus: int) -> int:
    """A factor that makes a pattern visit every residue."""
    while True:
        a = rng.randrange(2, modulus)
        if math.gcd(a, modulus) == 1:
            return a


def random_fill(case_id: str, sizes: Sizes) -> dict[str, Fill]:
    """Patterns of a case's own, with scales that keep gates out of saturation."""
    rng = random.Random(f"{SEED}/{case_id}")

    def draw(modulus: int, divisor: int) -> list[int]:
        return [coprime(rng, modulus), rng.randrange(modulus), modulus, divisor]

    fill: dict[str, Fill] = {"x": draw(4099, 1024), "wx": draw(255, 1), "wh": draw(255, 1), "b": draw(127, 64)}
    if sizes.states_in:
        fill |= {"h0": draw(2053, 1100), "c0": draw(2053, 700)} if sizes.type == "LSTM" else {"h0": draw(2053, 1100)}
    if sizes.hidden != sizes.num_output:
        fill["wr"] = draw(61, max(16, round(8 * math.sqrt(sizes.hidden))))
    for name, width in (("sx", sizes.size), ("sh", sizes.num_output)):
        fill[name] = {"p": draw(97, 1), "plus": 60 + round(80 * math.sqrt(width / 2))}
    return fill


def draft(
    kind: str, topic: str, name: str, note: str, sizes: Sizes, flags: tuple[str, ...] = (), **fill: Fill
) -> Draft:
    """A derived case: random patterns, some of them replaced."""
    case_id = f"recurrent/{kind}/{topic}/{name}"
    marks = [
        *flags,
        *(["reverse"] if sizes.direction == 1 else []),
        *(["both-directions"] if sizes.direction == 2 else []),
        *(["initial-state"] if sizes.states_in else []),
        *(["final-state"] if sizes.states_out else []),
        *(["projection"] if sizes.hidden != sizes.num_output else []),
    ]
    return Draft(case_id, note, sizes, marks, {**random_fill(case_id, sizes), **fill})


def grid() -> Iterator[Draft]:
    """Every layer in every direction with every combination of states."""
    for kind in KINDS:
        for direction in DIRECTIONS:
            for states in STATES:
                for steps, size, num_output in GRID:
                    sizes = sizes_of(kind, steps, size, num_output, direction, states)
                    name = f"d{direction}-{STATE_NAMES[states]}-t{steps}-i{size}-n{num_output}"
                    smoke = (SMOKE_FLAG,) if (steps, states) == (3, (1, 1)) else ()
                    yield draft(kind, "grid", name, "Plain sizes.", sizes, smoke)


def shapes() -> Iterator[Draft]:
    """Lengths, widths, input widths, and blobs that come as vectors."""
    for kind in KINDS:
        for steps in LENGTHS:
            sizes = sizes_of(kind, steps, 2, 2, steps % 3, (1, 1) if steps % 2 else (0, 0))
            yield draft(kind, "length", f"t{steps}", f"A sequence of {steps}.", sizes, ("length",))
        for width in WIDTHS:
            sizes = sizes_of(kind, 2, 2, width, 0, (1, 1) if width < 65 else (0, 0))
            yield draft(kind, "width", f"n{width}", f"{width} outputs a step.", sizes, ("width",))
        yield from crossed(kind)
        for size in INPUTS:
            sizes = sizes_of(kind, 2, size, 2, size % 3)
            yield draft(kind, "inputs", f"i{size}", f"Rows of {size}.", sizes, ("inputs",))
        for direction in (0, 1):
            for steps in (1, 3):
                sizes = sizes_of(kind, steps, 3, 2, direction, (1, 1), 1)
                note = "States of one direction are vectors" + (", and so is the only row." if steps == 1 else ".")
                yield draft(kind, "vector", f"d{direction}-t{steps}", note, sizes, ("vector",))
        sizes = sizes_of(kind, 1, 3, 2, 2, (0, 0), 1)
        yield draft(kind, "vector", "d2-t1", "The only row is a vector.", sizes, ("vector",))


def crossed(kind: str) -> Iterator[Draft]:
    """Every length and every width in every direction, with states and without; the widest with states only."""
    for direction in DIRECTIONS:
        for states in ((0, 0), (1, 1)):
            begin = f"d{direction}-{STATE_NAMES[states]}"
            for steps in LENGTHS:
                sizes = sizes_of(kind, steps, 2, 2, direction, states)
                yield draft(kind, "length", f"{begin}-t{steps}", f"A sequence of {steps}.", sizes, ("length",))
            for width in WIDTHS:
                if width <= WIDE or states == (1, 1):
                    sizes = sizes_of(kind, 2, 2, width, direction, states)
                    yield draft(kind, "width", f"{begin}-n{width}", f"{width} outputs a step.", sizes, ("width",))


def zeros() -> Iterator[Draft]:
    """Rows, states and weights of zeros."""
    rows = {"first": ["0"], "last": ["5"], "middle": ["2-3"], "all": ["0-5"], "alternate": ["0", "2", "4"]}
    for kind in KINDS:
        for direction in DIRECTIONS:
            for name, places in rows.items():
                for states in ((0, 0), (1, 1)):
                    case_id = f"d{direction}-{name}-{STATE_NAMES[states]}"
                    sizes = sizes_of(kind, 6, 3, 3, direction, states)
                    x = {"p": [1789, 402 + len(name), 4099, 1024], "rows": dict.fromkeys(places, 0)}
                    smoke = (SMOKE_FLAG,) if name == "first" and states == (0, 0) else ()
                    yield draft(kind, "zero-rows", case_id, "Rows of zeros.", sizes, ("zero-row", *smoke), x=x)
            sizes = sizes_of(kind, 4, 3, 3, direction, (1, 1))
            h0: Fill = {"v": [0] * 3 * sizes.directions}
            yield draft(
                kind, "zero-state", f"d{direction}", "The state is given, and zero.", sizes, ("zero-state",), h0=h0
            )
            x = {"p": [1, 0, 3, 1], "rows": {"0-3": 0}}
            note = "Nothing but the bias, and a state of zeros for a start."
            yield draft(kind, "zero-state", f"d{direction}-zero-x", note, sizes, ("zero-state", "zero-row"), h0=h0, x=x)
            negative: Fill = {"v": ["-0x0p+0"] * 3 * sizes.directions}
            note = "Zeros with a sign are zeros."
            yield draft(kind, "zero-state", f"d{direction}-negative", note, sizes, ("zero-state",), h0=negative)
        for gate, gate_name in enumerate(GATE_NAMES[KINDS[kind]]):
            for matrix in ("wx", "wh"):
                for direction in (0, 2):
                    sizes = sizes_of(kind, 4, 3, 3, direction, (1, 1))
                    span = f"{gate * sizes.hidden}-{(gate + 1) * sizes.hidden - 1}"
                    case_id = f"d{direction}-{matrix}-{gate_name}"
                    weights = {"p": [37, 11, 255, 1], "rows": {span: 0}}
                    note = f"{matrix} of gate {gate_name} is zero in the first direction."
                    yield draft(kind, "zero-weights", case_id, note, sizes, ("zero-weights",), **{matrix: weights})
        for direction in DIRECTIONS:
            sizes = sizes_of(kind, 3, 2, 2, direction, (1, 1))
            silent: Fill = [1, 0, 1, 1]
            yield draft(
                kind,
                "zero-weights",
                f"d{direction}-all",
                "Only biases.",
                sizes,
                ("zero-weights",),
                wx=silent,
                wh=silent,
            )


def magnitudes() -> Iterator[Draft]:
    """Rows of all sizes, states of all sizes, scales of all sizes."""
    for kind in KINDS:
        for direction in DIRECTIONS:
            for name, factor in MAGNITUDES.items():
                sizes = sizes_of(kind, 3, 3, 3, direction)
                flag = "huge" if name in ("large", "huge", "largest") else "tiny"
                x: Fill = {"p": [1789, 402 + direction, 4099, 2048], "times": factor}
                yield draft(kind, "magnitude", f"d{direction}-{name}", f"Inputs times {factor}.", sizes, (flag,), x=x)
            sizes = sizes_of(kind, 8, 3, 3, direction, (1, 1))
            x = {"p": [1789, 55, 4099, 2048], "rowtimes": {str(i): f for i, f in enumerate(MAGNITUDES.values())}}
            note = "Every row has a magnitude of its own, and so a scale."
            yield draft(kind, "magnitude", f"d{direction}-mixed", note, sizes, ("tiny", "huge"), x=x)
            for name, factor in (("tiny", "0x1p-110"), ("scale-overflows", "0x1p-124"), ("large", "0x1p12")):
                sizes = sizes_of(kind, 3, 3, 3, direction, (1, 1))
                h0: Fill = {"p": [1171, 77 + direction, 2053, 1100], "times": factor}
                flag = "huge" if name == "large" else "tiny"
                yield draft(kind, "magnitude", f"d{direction}-state-{name}", "The state too.", sizes, (flag,), h0=h0)
            for name, spread in (("spread", 4), ("wide", 9)):
                sizes = sizes_of(kind, 4, 3, 3, direction, (1, 1))
                scales = {"v": [f"0x1p{4 + (5 * i) % spread}" for i in range(sizes.rows)]}
                note = "Weight scales differ from row to row."
                yield draft(kind, "scales", f"d{direction}-{name}", note, sizes, ("scales",), sx=scales, sh=scales)
            sizes = sizes_of(kind, 4, 3, 3, direction, (1, 1))
            codes = {"v": [(-128, 127)[(i * i + i // 3) % 2] for i in range(sizes.rows * 3)]}
            signs = {"p": [1, 0, 2, 1], "plus": 0.5, "times": 3}
            note = "Weights of -128 and 127; all inputs have the largest magnitude."
            yield draft(kind, "extreme-codes", f"d{direction}", note, sizes, ("extreme-codes",), wx=codes, x=signs)


def saturated() -> Iterator[Draft]:
    """Each bias row far to one side, the others as they are."""
    for kind, layer in KINDS.items():
        for row, row_name in enumerate(BIAS_NAMES[layer]):
            for sign, bias in (("open", 200), ("closed", -200)):
                for direction in DIRECTIONS:
                    sizes = sizes_of(kind, 4, 2, 3, direction, (1, 1))
                    places = [str(d * BIAS_ROWS[layer] + row) for d in range(sizes.directions)]
                    b = {"p": [7, 3, 127, 64], "rows": dict.fromkeys(places, bias)}
                    name = f"d{direction}-{row_name}-{sign}"
                    yield draft(kind, "saturated", name, f"Bias row {row_name} is {bias}.", sizes, ("saturated",), b=b)


def swaps() -> Iterator[Draft]:
    """Two gates with opposite biases, or with weights of opposite sign, where everything else is neutral."""
    for kind, layer in KINDS.items():
        if layer == "RNN":
            continue
        for topic, names in (("swapped-bias", BIAS_NAMES[layer]), ("swapped-weights", GATE_NAMES[layer])):
            for first in range(len(names)):
                for second in range(first + 1, len(names)):
                    for direction in DIRECTIONS:
                        yield swap(kind, topic, names, (first, second), direction)


def swap(kind: str, topic: str, names: tuple[str, ...], pair: tuple[int, int], direction: int) -> Draft:
    """One pair."""
    sizes = sizes_of(kind, 3, 2, 2, direction, (1, 1))
    fill: dict[str, Fill] = {}
    count = len(names)
    if topic == "swapped-bias":
        places = {str(d * count + i): 0.0 for d in range(sizes.directions) for i in range(count)}
        places |= {str(d * count + pair[0]): 2.0 for d in range(sizes.directions)}
        places |= {str(d * count + pair[1]): -1.0 for d in range(sizes.directions)}
        fill["b"] = {"p": [1, 0, 1, 1], "rows": places}
    else:
        hidden = sizes.hidden
        for matrix, width in (("wx", sizes.size), ("wh", sizes.num_output)):
            rows: dict[str, Any] = {f"0-{sizes.rows - 1}": 0}
            for d in range(sizes.directions):
                for gate, code in ((pair[0], 90), (pair[1], -50)):
                    start = (d * count + gate) * hidden
                    rows[f"{start}-{start + hidden - 1}"] = [code, code // 2][:width]
            fill[matrix] = {"p": [1, 0, 1, 1], "rows": rows}
        fill["x"] = {"p": [1789, 402, 4099, 1024], "plus": 1}
        fill["b"] = {"p": [1, 0, 1, 1], "plus": 0.25}
    name = f"d{direction}-{names[pair[0]]}-{names[pair[1]]}"
    note = f"{names[pair[0]]} is driven up, {names[pair[1]]} down."
    return draft(kind, topic, name, note, sizes, ("swap",), **fill)


Row = tuple[float | str, ...]
"""Scaled values: plain numbers, or hexadecimal floats in strings."""

TIE_ROWS: tuple[Row, ...] = (
    (127.0, 0.5, -0.5, 1.5, -2.5),
    (127.0, 126.5, -126.5, 3.5, -4.5),
    (-127.0, "0x1.000002p-1", 63.5, -31.5, 4.5),
    (127.0, "0x1.7ffffep+0", "0x1.800002p+0", "-0x1.3ffffep+1", 100.5),
)
"""With an absmax of 127 the scale is 1, and these are the scaled values."""

BELOW_HALF_ROWS: tuple[Row, ...] = (
    (-127.0, "0x1.fffffep-2", "-0x1.fffffep-2", 5.0, 63.0),
    (127.0, 0.25, "0x1.fffffep-2", 0.0, -8.0),
)
"""The largest binary32 below one half: a signed half added in binary32 makes it 1."""


def ties() -> Iterator[Draft]:
    """Inputs and states on rounding ties and right beside them."""
    beside = "k + 1/2, or one step beside"
    below = "0.49999997, which is less than a half"
    for kind in KINDS:
        for direction in DIRECTIONS:
            for power in (0, -7, 3):
                yield input_codes(kind, "ties", TIE_ROWS, direction, power, f"Scaled inputs are {beside}.")
                yield input_codes(kind, "below-half", BELOW_HALF_ROWS, direction, power, f"Scaled inputs are {below}.")
            for power in (0, -7):
                for index, row in enumerate(TIE_ROWS):
                    note = f"Scaled hidden states are {beside}."
                    yield state_codes(kind, "ties", f"state{index}", row, direction, power, note)
                note = f"Scaled hidden states are {below}."
                yield state_codes(kind, "below-half", "state", BELOW_HALF_ROWS[0], direction, power, note)


def input_codes(kind: str, topic: str, rows: tuple[Row, ...], direction: int, power: int, note: str) -> Draft:
    """Rows whose scaled values are given, times a power of two, which moves into the scale."""
    sizes = sizes_of(kind, len(rows), 5, 3, direction)
    content = {str(i): [(_plain(value) * 2.0**power).hex() for value in row] for i, row in enumerate(rows)}
    scales: Fill = {"p": [37, 11, 97, 1], "plus": round(6000 * 2.0**power) + 60}
    x: Fill = {"p": [1, 0, 1, 1], "rows": content}
    return draft(kind, topic, f"d{direction}-input-2^{power}", note, sizes, ("tie",), x=x, sx=scales)


def state_codes(kind: str, topic: str, name: str, row: Row, direction: int, power: int, note: str) -> Draft:
    """A hidden state whose scaled values are given."""
    sizes = sizes_of(kind, 1, 2, 5, direction, (1, 1))
    h0: Fill = {"v": [(_plain(value) * 2.0**power).hex() for value in row] * sizes.directions}
    scales: Fill = {"p": [37, 11, 97, 1], "plus": round(6000 * 2.0**power) + 60}
    return draft(kind, topic, f"d{direction}-{name}-2^{power}", note, sizes, ("tie",), h0=h0, sh=scales)


def _plain(value: float | str) -> float:
    return float.fromhex(value) if isinstance(value, str) else value


def uniform() -> Iterator[Draft]:
    """All units alike."""
    for kind, layer in KINDS.items():
        for width in (*range(1, 34), 64):
            hidden = width if kind != "lstm-projection" else width + 1 + width // 2
            sizes = sizes_of(kind, 2, 2, width, 0, (1, 1))
            gates = {f"{g * hidden}-{(g + 1) * hidden - 1}": [40 - 30 * g, 25 + 20 * g] for g in range(GATES[layer])}
            recurrent = {f"{g * hidden}-{(g + 1) * hidden - 1}": 37 - 21 * g for g in range(GATES[layer])}
            flat: dict[str, Fill] = {
                "wx": {"p": [1, 0, 1, 1], "rows": gates},
                "wh": {"p": [1, 0, 1, 1], "rows": recurrent},
                "b": {"p": [1, 0, 1, 1], "rows": {str(r): 0.5 - 0.25 * r for r in range(BIAS_ROWS[layer])}},
                "sx": {"p": [1, 0, 1, 1], "plus": 100},
                "sh": {"p": [1, 0, 1, 1], "plus": 100 + 20 * width},
                "h0": {"p": [1, 0, 1, 1], "plus": 0.375},
                "c0": {"p": [1, 0, 1, 1], "plus": -0.625},
            }
            if kind == "lstm-projection":
                flat["wr"] = {"p": [1, 0, 1, 1], "plus": 0.75}
            names = set(random_fill("", sizes))
            chosen = {name: fill for name, fill in flat.items() if name in names}
            note = f"{width} equal units have {width} equal outputs."
            yield draft(kind, "uniform", f"n{width}", note, sizes, ("uniform",), **chosen)


def observed() -> Iterator[Draft]:
    """Cases whose expected values a real ncnn gave."""
    for kind in KINDS:
        for direction in DIRECTIONS:
            for states in ((0, 0), (1, 1)):
                for steps, size, num_output in ((1, 3, 4), (3, 8, 5), (6, 4, 16), (10, 7, 3), (5, 16, 8), (14, 3, 19)):
                    sizes = sizes_of(kind, steps, size, num_output, direction, states)
                    name = f"d{direction}-{STATE_NAMES[states]}-t{steps}-i{size}-n{num_output}"
                    case = draft(kind, "observed", name, "As the ncnn wheel has it.", sizes, ("observed",))
                    case.source = "observed"
                    yield case
            sizes = sizes_of(kind, 6, 4, 4, direction, (1, 1))
            x: Fill = {"p": [1789, 402, 4099, 1024], "rows": {"0": 0, "3-4": 0}}
            h0: Fill = {"v": [0] * 4 * sizes.directions}
            note = "Zero rows and a zero state, as the ncnn wheel has them."
            case = draft(kind, "observed", f"d{direction}-zeros", note, sizes, ("observed", "zero-row"), x=x, h0=h0)
            case.source = "observed"
            yield case


STRICT_VALUES = (
    ("rnn", 2, 0, 0, "0.210430771 0.878964722 -0.768759489 -0.0398952365 0.0160827469 0.545804381"),
    (
        "rnn",
        2,
        0,
        2,
        "0.210430771 0.878964722 -0.97008425 0.188590974 -0.768759489 -0.0398952365 0.0202757474 -0.561798215"
        " 0.0160827469 0.545804381 -0.562612236 -0.383590251",
    ),
    ("lstm", 2, 0, 0, "0.0716802105 0.194090158 0.0352816395 0.140865535 -0.0245841015 0.0285716709"),
    ("lstm-projection", 2, 3, 1, "0.140629038 0.102645516 0.0181600321 0.0128823482 -0.0225910079 -0.0135217067"),
    ("gru", 2, 0, 0, "-0.77413851 0.19991833 -0.585983515 0.293859571 0.353968799 0.0874539837"),
    (
        "gru",
        2,
        0,
        2,
        "-0.77413851 0.19991833 0.210845947 -0.455082268 -0.585983515 0.293859571 0.0981084555 0.347191483"
        " 0.353968799 0.0874539837 0.0511188321 0.528583944",
    ),
)


def strict() -> Iterator[Draft]:
    """Six cases of the portable layers, strictly compiled."""
    for kind, num_output, hidden, direction, values in STRICT_VALUES:
        sizes = Sizes(KINDS[kind], 3, num_output, 3, hidden, direction)
        fill: dict[str, Fill] = {
            "x": {"p": [5, 2, 13, 4], "rows": {"1": 0}},
            "wx": [37, 11, 255, 1],
            "wh": [29, 5, 255, 1],
            "b": [7, 3, 11, 16],
            "sx": {"v": [100 + 10 * i for i in range(sizes.rows)]},
            "sh": {"v": [120 + 5 * i for i in range(sizes.rows)]},
        }
        if hidden:
            fill["wr"] = [3, 1, 7, 8]
        yield Draft(
            f"recurrent/{kind}/strict-build/d{direction}",
            "The portable layers, strictly compiled; the second row is zero.",
            sizes,
            ["observed", "zero-row", SMOKE_FLAG],
            fill,
            "strict",
            {"out0": [float(value) for value in values.split()]},
        )


def by_hand() -> Iterator[Draft]:
    """Cases small enough for paper: sums that are dyadic, gates that are 0, 1/2 or 1."""
    silent: Fill = [1, 0, 1, 1]

    def hand(
        kind: str, name: str, note: str, working: str, net: dict[str, int], expected: list[Any], **fill: Fill
    ) -> Draft:
        sizes = Sizes(type=KINDS[kind], **net)
        names = ("x", "wx", "wh", "b", "sx", "sh", *(["h0"] if sizes.states_in else []))
        names = (*names, "c0") if sizes.states_in and sizes.type == "LSTM" else names
        ones: dict[str, Fill] = {name: {"p": [1, 0, 1, 1], "plus": 128} for name in ("sx", "sh")}
        fills = {**dict.fromkeys(names, silent), **ones, **fill}
        outputs = dict(zip((blob for blob in sizes.shapes() if blob.startswith("out")), expected, strict=True))
        return Draft(f"recurrent/{kind}/by-hand/{name}", note, sizes, [SMOKE_FLAG], fills, "by-hand", outputs, working)

    one = {"size": 1, "num_output": 1, "steps": 1}
    yield hand(
        "rnn",
        "sum-cancels-bias",
        "Codes, descale and bias of one unit.",
        "absmax 127, scale 1, codes 127 and 64; sum 127*1 + 64*2 = 255; times 1 * 1/128 = 255/128; bias -255/128;"
        " tanh(0) = 0.",
        {"size": 2, "num_output": 1, "steps": 1},
        [[0.0]],
        x={"v": [127, 64]},
        wx={"v": [1, 2]},
        b={"v": [-255 / 128]},
    )
    for name, value, code in (("half", 0.5, 1), ("minus-half", -0.5, -1), ("two-and-a-half", 2.5, 3)):
        yield hand(
            "rnn",
            f"tie-{name}",
            f"{value} has the code {code}.",
            f"absmax 127, scale 1; {value} lies between two codes and goes away from zero: {code}; weights 0 and 64;"
            f" {code}*64/128 = {code / 2}; bias {-code / 2}; tanh(0) = 0.",
            {"size": 2, "num_output": 1, "steps": 1},
            [[0.0]],
            x={"v": [127, value]},
            wx={"v": [0, 64]},
            b={"v": [-code / 2]},
        )
    yield hand(
        "rnn",
        "zero-row",
        "A row of zeros leaves the bias alone.",
        "The row contributes 0, the hidden state 0; tanh(0 + 100) = 1 in binary32.",
        one,
        [[1.0]],
        x={"v": [0]},
        wx={"v": [127]},
        b={"v": [100]},
    )
    yield hand(
        "rnn",
        "hidden-state-is-quantized",
        "The recurrent product sees codes, not values.",
        "h = 127, 0.5: scale 1, codes 127 and 1; weights 0 and 64: 64/128 = 0.5 (0.25 without quantization); bias -0.5;"
        " tanh(0) = 0 for both units.",
        {"size": 1, "num_output": 2, "steps": 1, "states_in": 1, "states_out": 1},
        [[0.0, 0.0], [0.0, 0.0]],
        h0={"v": [127, 0.5]},
        wh={"v": [0, 64, 0, 64]},
        b={"v": [-0.5, -0.5]},
    )
    yield hand(
        "rnn",
        "reverse",
        "Time runs backwards; the last row comes first.",
        "Rows 127, 0, 0 and weight 127 with scale 1/1: only row 0 drives its unit to tanh(127*127/128) = 1."
        " Backwards it is the last step, so rows 2 and 1 stay 0.",
        {"size": 1, "num_output": 1, "steps": 3, "direction": 1, "states_in": 0, "states_out": 1},
        [[1.0, 0.0, 0.0], [1.0]],
        x={"v": [127, 0, 0]},
        wx={"v": [127]},
    )
    yield hand(
        "rnn",
        "both-directions",
        "The forward half comes first, and each direction starts from its own state.",
        "Biases 100 and -100, no weights: 1 forward, -1 backward at every time.",
        {"size": 1, "num_output": 1, "steps": 2, "direction": 2, "states_out": 1},
        [[1.0, -1.0, 1.0, -1.0], [1.0, -1.0]],
        x={"v": [1, 1]},
        b={"v": [100, -100]},
    )
    yield hand(
        "gru",
        "update-keeps-the-state",
        "An update gate of 1 keeps the float state, not its codes.",
        "u = 1/(1+exp(-200)) = 1; h = (1-1)*n + 1*h = h: 0.3 stays 0.3, though its code times its scale would not.",
        {"size": 1, "num_output": 2, "steps": 1, "states_in": 1, "states_out": 1},
        [[1.0, 0.3], [1.0, 0.3]],
        h0={"v": [1.0, 0.3]},
        b={"v": [0, 0, 200, 200, 0, 0, 0, 0]},
    )
    yield hand(
        "gru",
        "reset-scales-the-recurrent-bias",
        "The reset gate multiplies the recurrent bias too.",
        "r = u = 1/(1+exp(0)) = 1/2; n = tanh(-50 + 1/2*100 + 0) = 0; h = 1/2*0 + 1/2*1 = 1/2."
        " With the two biases exchanged n = tanh(100 - 25) = 1 and h = 1.",
        {**one, "states_in": 1, "states_out": 1},
        [[0.5], [0.5]],
        h0={"v": [1]},
        b={"v": [0, 0, -50, 100]},
    )
    yield hand(
        "gru",
        "update-mixes",
        "h = (1-u)*n + u*h, not the other way round.",
        "u = 1/(1+exp(200)): exp overflows to infinity, u = 0; n = tanh(100) = 1; h = 1*1 + 0*h0 = 1.",
        {**one, "states_in": 1},
        [[1.0]],
        h0={"v": [-0.25]},
        b={"v": [0, -200, 100, 0]},
    )
    yield hand(
        "lstm",
        "forget-keeps-the-cell",
        "The cell survives F = 1, I = 0.",
        "I = 0, F = 1, O = 0, G = tanh(200) = 1 by biases -200, 200, -200, 200; c = 1*3 + 0*1 = 3; h = 0*tanh(3) = 0.",
        {**one, "states_in": 1, "states_out": 1},
        [[0.0], [0.0], [3.0]],
        c0={"v": [3]},
        b={"v": [-200, 200, -200, 200]},
    )
    yield hand(
        "lstm",
        "input-writes-the-cell",
        "I = 1, F = 0 replaces the cell.",
        "I = 1, F = 0, O = 0, G = tanh(-200) = -1; c = 0*3 + 1*(-1) = -1; h = 0*tanh(-1) = -0.",
        {**one, "states_in": 1, "states_out": 1},
        [[-0.0], [-0.0], [-1.0]],
        c0={"v": [3]},
        b={"v": [200, -200, -200, -200]},
    )
    yield hand(
        "lstm",
        "halves",
        "Gates of one half.",
        "I = F = 1/2, O = 1, G = 1; c = 1/2*(-1) + 1/2*1 = 0; h = 1*tanh(0) = 0.",
        {**one, "states_in": 1, "states_out": 1},
        [[0.0], [0.0], [0.0]],
        c0={"v": [-1]},
        b={"v": [0, 0, 200, 200]},
    )
    yield hand(
        "lstm-projection",
        "projected",
        "The projection sums in order; the cell keeps hidden_size values.",
        "All gates open, G = 1, c0 = 199: c = 199 + 1 = 200, tanh(200) = 1, y = 1, 1; h = 1*0.25 + 1*0.5 = 0.75;"
        " the next cells are 201.",
        {"size": 1, "num_output": 1, "hidden_size": 2, "steps": 2, "states_in": 1, "states_out": 1},
        [[0.75, 0.75], [0.75], [201.0, 201.0]],
        c0={"v": [199, 199]},
        b={"v": [200] * 8},
        wr={"v": [0.25, 0.5]},
    )


def drafts() -> list[Draft]:
    """All cases."""
    makers = (by_hand, strict, grid, shapes, zeros, magnitudes, saturated, swaps, ties, uniform, observed)
    return [case for maker in makers for case in maker()]


GROUPS: dict[str, tuple[str, str]] = {
    "by-hand": ("by-hand", "worked out on paper"),
    "strict": ("observed", STRICT),
    "observed": ("observed", WHEEL),
    "derived": ("derived", SPEC),
}
"""Group of a file: provenance and detail."""


def level(file: str, group: str) -> str:
    """How closely a group's expected values bind an implementation with correctly rounded exp and tanh."""
    if group == "strict" or (group == "observed" and KINDS[file] == "LSTM"):
        return f"near:{KINDS[file].lower()}"
    return "one-of" if group == "observed" else "exact"


@cache
def _adapter(name: str) -> Adapter:
    return open_adapter(name)


def expected_values(case: Draft, entry: dict[str, Any], group: dict[str, Any], *, observe: bool) -> dict[str, Any]:
    """Blob to bytes in hexadecimal, or to several of them by behaviour."""
    if case.expected:
        return {blob: tensor((len(values),), values).data.hex() for blob, values in case.expected.items()}
    built = build(entry, group)
    seen = observed_values(case, built, observe=observe) if case.source == "observed" else {}
    if seen and case.sizes.type == "LSTM":
        return {blob: {SEEN: text} for blob, text in seen.items()}
    derived = {blob: value.data.hex() for blob, value in _adapter("spec").run(built).items()}
    if not seen or seen == derived:
        return derived
    return {blob: {REFERENCE: text, GLIBC: seen[blob]} for blob, text in derived.items()}


def observed_values(case: Draft, built: Case, *, observe: bool) -> dict[str, str]:
    """Blob to bytes as the wheel gives them now, or as they were stored; a case that is not stored is observed."""
    stored = _stored(case.file).get(case.id)
    if observe or stored is None:
        return {blob: value.data.hex() for blob, value in _adapter("wheel").run(built).items()}
    results = stored["expected"].items()
    return {blob: text if isinstance(text, str) else text.get(SEEN) or text[GLIBC] for blob, text in results}


@cache
def _stored(file: str) -> dict[str, Any]:
    path = FOLDER / f"{file}.json"
    return _by_id(path.read_text(encoding="utf-8")) if path.exists() else {}


def entry_of(case: Draft) -> dict[str, Any]:
    """The stored form, without expected values."""
    defaults = asdict(Sizes("", 0, 0, 0))
    sizes = {name: value for name, value in asdict(case.sizes).items() if name == "type" or value != defaults[name]}
    if sizes.get("hidden_size") == case.sizes.num_output:
        del sizes["hidden_size"]
    entry: dict[str, Any] = {"id": case.id, "note": case.note, "flags": case.flags, "net": sizes, "fill": case.fill}
    if case.working:
        entry["working"] = case.working
    return entry


def contents(*, observe: bool = False) -> dict[str, str]:
    """File name to text. Observed values stay as they are stored, unless `observe` asks the wheel again."""
    chosen = drafts()
    texts = {}
    for file in FILES:
        groups = []
        for name, (provenance, detail) in GROUPS.items():
            group = {
                "source": {"kind": provenance, "detail": detail},
                "level": level(file, name),
                "tolerance": KINDS[file].lower(),
            }
            entries = []
            for case in chosen:
                if (case.file, case.source) == (file, name):
                    entry = entry_of(case)
                    entries.append({**entry, "expected": expected_values(case, entry, group, observe=observe)})
            groups.append({**group, "cases": entries})
        texts[f"{file}.json"] = _text(file, groups)
    return texts


def _text(file: str, groups: list[dict[str, Any]]) -> str:
    """JSON with one line a case, so that differences can be read."""
    count = sum(len(group["cases"]) for group in groups)
    header = {"schema": SCHEMA, "suite": "recurrent", "family": file, "count": count, "notes": FLAGS}
    lines = [json.dumps(header, indent=1)[:-2] + ',\n "groups": [']
    for index, group in enumerate(groups):
        head = {name: value for name, value in group.items() if name != "cases"}
        lines.append(" " + json.dumps(head, ensure_ascii=False)[:-1] + ', "cases": [')
        body = [json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in group["cases"]]
        lines.append(",\n".join(body))
        lines.append(" ]}" + ("," if index < len(groups) - 1 else ""))
    lines.append("]}")
    return "\n".join(lines) + "\n"


def differences(texts: dict[str, str], folder: Path) -> list[str]:
    """What a regeneration would change, case by case."""
    found = []
    for name, text in texts.items():
        path = folder / name
        if not path.exists():
            found.append(f"{name} is missing")
            continue
        new, old = _by_id(text), _by_id(path.read_text(encoding="utf-8"))
        found += [f"{name}: {case_id} is new" for case_id in new if case_id not in old]
        found += [f"{name}: {case_id} would go" for case_id in old if case_id not in new]
        found += [f"{name}: {case_id} changes" for case_id in new if case_id in old and new[case_id] != old[case_id]]
        if not found and text != path.read_text(encoding="utf-8"):
            found.append(f"{name}: the header changes")
    return found


def _by_id(text: str) -> dict[str, Any]:
    return {case["id"]: case for group in json.loads(text)["groups"] for case in group["cases"]}


def main() -> int:
    """Exit status 1 where `check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["check", "regen"])
    parser.add_argument("--observe", action="store_true", help="ask the wheel again; its LSTM depends on the processor")
    options = parser.parse_args()
    texts = contents(observe=options.observe)
    found = differences(texts, FOLDER)
    print("\n".join(found) or "nothing differs")
    if options.command == "check":
        return 1 if found else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
