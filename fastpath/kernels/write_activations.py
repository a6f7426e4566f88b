"""Write source/activations.py: exp, tanh and the gates of LSTM, whose loops hold the same few formulas several times.

`fastpath.kernels.write_source` calls this.
"""

from __future__ import annotations

import math
from fractions import Fraction

Polynomial = list[Fraction]
"""Coefficients, that of the constant first."""

EXP_SQUARINGS = 11
GATE_SQUARINGS = 9
TANH_DOUBLINGS = 5

EXP_LIMIT = 87
GATE_LIMIT = 20

TANH_EXTENT = Fraction(2, 5)
"""Where the polynomial of tanh is best; beyond, its errors vanish in a result near 1."""

HEAD = '''"""exp and tanh of many numbers, and the gates of LSTM, in loops that become vector code.

Written by fastpath/kernels/write_activations.py; change it there.

exp is a power of a short polynomial: as often as it is squared its argument was halved. tanh is exp(2 x) - 1, divided
by 2 more than itself; doubling the argument of exp(x) - 1 = e makes e to e * (e + 2). What is computed for exp is too
small by 2**-40 in `exp` and 2**-41 elsewhere, give or take less than as much, so that it is the lower end of the range
in which the result lies; for tanh it is within 2**-43. Both ends are rounded: their difference is the doubt, which is 0
where the result is certain.

Loops are short, and so are chains of operations: a CPU has only so many that wait for others. Results must not
overwrite their arguments.
"""

# fmt: off
# ruff: noqa
import math
from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from fastpath.kernels.source.capacity import CHUNK, NUMBERS, STATES
from fastpath.kernels.source.functions import EXP_LIMIT, SPLIT, TANH_LIMIT

EXP_ABOVE: Final = 1.000000000001819
"""1 + 2**-39."""

GATE_ABOVE: Final = 1.0000000000009095
"""1 + 2**-40."""

TANH_BELOW: Final = 0.9999999999997726
"""1 - 2**-42."""

TANH_ABOVE: Final = 1.0000000000002274
"""1 + 2**-42."""

MANY: Final = 1e300
"""Times this, every doubt is larger than any number it is taken off."""

GATE_LIMIT: Final = 20.0
"""Where a gate is so large its exponential is too small to change 1."""

SMALL: Final = 8.673617379884035e-19
"""2**-60."""
'''


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    """The product of two polynomials."""
    product = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return product


def lowered(polynomial: Polynomial, low: Fraction, high: Fraction) -> Polynomial:
    """One degree less: the highest power is taken off as a multiple of Chebyshev's polynomial between low and high."""
    argument = [-(high + low) / (high - low), 2 / (high - low)]
    before, chebyshev = [Fraction(1)], argument
    for _ in range(len(polynomial) - 2):
        following = times([2 * value for value in argument], chebyshev)
        for power, value in enumerate(before):
            following[power] -= value
        before, chebyshev = chebyshev, following
    factor = polynomial[-1] / chebyshev[-1]
    return [value - factor * other for value, other in zip(polynomial[:-1], chebyshev, strict=False)]


def exp_coefficients(degree: int, limit: int, squarings: int, sign: int, bias: int) -> list[float]:
    """Of exp(sign * x / 2**squarings) for x up to the limit, a little too small: by 2**-bias after all squarings."""
    extent = Fraction(limit, 2**squarings)
    taylor = [Fraction(1, math.factorial(power)) for power in range(degree + 2)]
    found = lowered(taylor, -extent, extent)
    found[0] -= Fraction(1, 2 ** (bias + squarings))
    return [float(value * Fraction(sign, 2**squarings) ** power) for power, value in enumerate(found)]


def tanh_coefficients(degree: int) -> list[float]:
    """Of (exp(y) - 1) / a for y = 2 * a / 2**doublings."""
    taylor = [Fraction(1, math.factorial(power + 1)) for power in range(degree + 2)]
    found = lowered(taylor, Fraction(0), TANH_EXTENT)
    return [float(value * Fraction(2, 2**TANH_DOUBLINGS) ** (power + 1)) for power, value in enumerate(found)]


def polynomial(x: str, result: str, coefficients: list[float]) -> list[str]:
    """Statements for a polynomial of degree 6 or 7, in pairs of terms, which do not wait for each other."""
    pairs = [f"{a!r} + {x} * {b!r}" for a, b in zip(coefficients[0::2], coefficients[1::2], strict=False)]
    last = pairs[3] if len(pairs) > 3 else repr(coefficients[6])
    return [
        f"z = {x} * {x}",
        f"{result} = ({pairs[0]}) + z * ({pairs[1]}) + (z * z) * (({pairs[2]}) + z * ({last}))",
    ]


def rounded(value: str) -> list[str]:
    """Statements that round a value to 24 bits."""
    return [f"t = {value} * SPLIT", f"{value} = t - (t - {value})"]


def doubt(value: str, low: str, high: str, result: str) -> list[str]:
    """Statements that round a value to 24 bits, from the range between low and high, and tell their difference."""
    return [
        f"t = {value} * SPLIT",
        f"u = t - {low}",
        f"{result} = u - (t - {high})",
        f"{value} = t - u",
    ]


def squared(value: str, squarings: int, above: str) -> list[str]:
    """Statements from the polynomial of exp to exp, rounded, and its doubt d."""
    return [*[f"{value} = {value} * {value}"] * squarings, *doubt(value, value, f"{value} * {above}", "d")]


def tangent(x: str, place: str) -> list[list[str]]:
    """Two loops from numbers to their tanh, not yet rounded, at some place; the sign is left out."""
    return [
        [
            f"a = abs({x})",
            "if a > TANH_LIMIT:",
            "    a = TANH_LIMIT",
            *polynomial("a", "e", tanh_coefficients(7)),
            f"{place} = e * a",
        ],
        [
            f"e = {place}",
            *["e = e * (e + 2.0)"] * TANH_DOUBLINGS,
            "d = e + 2.0",
            "if d == 0.0:",
            "    # It never is, but who divides without asking makes no vector code.",
            "    d = 1.0",
            f"{place} = e / d",
        ],
    ]


def signed(place: str, x: str) -> list[str]:
    """Statements that round what `tangent` left, with its doubt d, and give it the sign of its argument."""
    return [
        f"r = {place}",
        *doubt("r", "r * TANH_BELOW", "r * TANH_ABOVE", "d"),
        f"r = math.copysign(r, {x})",
    ]


def function(
    head: str, doc: list[str], checks: list[str], loops: list[list[str]], *, counts: bool = False, times: int = 1
) -> str:
    """The text of a function with loops over i, for n or several times n numbers; some count doubts."""
    count = "n" if times == 1 else f"{times} * n"
    lines = [
        head,
        *(f"    {line}" for line in doc),
        *(f"    {line}" for line in checks),
        "    i: i64 = 0",
        *(["    doubts: i64 = 0"] if counts else []),
    ]
    for body in loops:
        lines += [f"    for i in range({count}):", *(f"        {line}" for line in body)]
    lines += ["    return doubts"] if counts else []
    return "\n".join(line.rstrip() for line in lines) + "\n"


def refuse(condition: str, message: str) -> list[str]:
    """Statements that raise an error."""
    return [f"if {condition}:", f'    raise ValueError("{message}")']


PART = refuse("first < 0 or n < 0 or first > NUMBERS // 2 or n > NUMBERS // 2", "part out of range")
"""Checks of a part of a buffer."""

COUNT = ["if d != 0.0:", "    doubts += 1"]


def buffers(*names: str) -> list[str]:
    """The check of the lengths of buffers."""
    return refuse(" or ".join(f"len({name}) < NUMBERS" for name in names), "buffer too small")


def exp() -> str:
    """The function `exp`."""
    coefficients = exp_coefficients(7, EXP_LIMIT, EXP_SQUARINGS, 1, 40)
    return function(
        "def exp(x: vec[float], first: i64, n: i64, sign: float, out: vec[float], doubt: vec[float]) -> i64:",
        [
            '"""E to the sign * x for n numbers from `first` on, to the same places of `out`.',
            "",
            "Returns how many are in doubt.",
            '"""',
        ],
        [*buffers("x", "out", "doubt"), *PART],
        [
            ["v = x[first + i] * sign", *polynomial("v", "p", coefficients), "out[first + i] = p"],
            [
                "p = out[first + i]",
                *squared("p", EXP_SQUARINGS, "EXP_ABOVE"),
                "if abs(x[first + i]) > EXP_LIMIT:",
                "    d = 1.0",
                "out[first + i] = p",
                "doubt[first + i] = d",
                *COUNT,
            ],
        ],
        counts=True,
    )


def tanh() -> str:
    """The function `tanh`."""
    return function(
        "def tanh(x: vec[float], first: i64, n: i64, out: vec[float], doubt: vec[float]) -> i64:",
        ['"""Tanh of n numbers from `first` on, to the same places of `out`; returns how many are in doubt."""'],
        [*buffers("x", "out", "doubt"), *PART],
        [
            *tangent("x[first + i]", "out[first + i]"),
            [*signed("out[first + i]", "x[first + i]"), "out[first + i] = r", "doubt[first + i] = d", *COUNT],
        ],
        counts=True,
    )


LSTM_PART = [
    *refuse("len(inputs) < CHUNK + STATES", "buffer too small"),
    *refuse("n < 0 or n > STATES // 4 or at < 0 or at > CHUNK", "part out of range"),
]
"""Checks of a step's part of a chunk."""


def lstm_powers() -> str:
    """The function `lstm_powers`."""
    coefficients = exp_coefficients(6, GATE_LIMIT, GATE_SQUARINGS, -1, 41)
    return function(
        "def lstm_powers(\n"
        "    gates: vec[float], inputs: vec[float], at: i64, work: vec[float], doubt: vec[float], n: i64\n"
        ") -> None:",
        ['"""The gates I, F and O, of which each gets its input part; 1 + exp(-x) of them, and the doubts of that."""'],
        [*buffers("gates", "work", "doubt"), *LSTM_PART],
        [
            [
                "x = gates[i] + inputs[at + i]",
                *rounded("x"),
                "gates[i] = x",
                "if x > GATE_LIMIT:",
                "    x = GATE_LIMIT",
                *polynomial("x", "p", coefficients),
                "work[i] = p",
            ],
            [
                "p = work[i]",
                *squared("p", GATE_SQUARINGS, "GATE_ABOVE"),
                "p = p + 1.0",
                *rounded("p"),
                "work[i] = p",
                "doubt[i] = d",
            ],
        ],
        times=3,
    )


def lstm_cell() -> str:
    """The function `lstm_cell`."""
    return function(
        "def lstm_cell(\n"
        "    gates: vec[float],\n"
        "    inputs: vec[float],\n"
        "    at: i64,\n"
        "    work: vec[float],\n"
        "    cell: vec[float],\n"
        "    doubt: vec[float],\n"
        "    n: i64,\n"
        ") -> None:",
        [
            '"""C = F * C + I * G, from what `lstm_powers` left in `work`; the former C and the gate O stay there.',
            "",
            "One division serves three: the quotients 1 / v are off by up to 5 roundings of binary64, 2**-50.7,",
            "before they are rounded to 24 bits. As v has 24 bits, 1 / v never comes nearer to a tie than 2**-49.",
            "A product too small for 24 bits changes no cell state of at least `SMALL`; smaller ones are in doubt,",
            "and so are those with a gate below minus `GATE_LIMIT`: `doubt` is negative there.",
            '"""',
        ],
        [*buffers("gates", "work", "cell", "doubt"), *LSTM_PART],
        [
            [
                "x = gates[3 * n + i] + inputs[at + 3 * n + i]",
                *rounded("x"),
                "gates[3 * n + i] = x",
                *(first := tangent("x", "work[3 * n + i]"))[0],
            ],
            first[1],
            [
                *signed("work[3 * n + i]", "gates[3 * n + i]"),
                "d = doubt[i] + doubt[n + i] + (doubt[2 * n + i] + d)",
                "m = gates[i]",
                "if gates[n + i] < m:",
                "    m = gates[n + i]",
                "if gates[2 * n + i] < m:",
                "    m = gates[2 * n + i]",
                "m = (m + GATE_LIMIT) - d * MANY",
                "a = work[i]",
                "b = work[n + i]",
                "c = work[2 * n + i]",
                "ab = a * b",
                "d = ab * c",
                "if d == 0.0:",
                "    d = 1.0",
                "q = 1.0 / d",
                "v = q * ab",
                *rounded("v"),
                "work[2 * n + i] = v",
                "q = q * c",
                "v = q * b",
                *rounded("v"),
                "v = v * r",
                *rounded("v"),
                "w = q * a",
                *rounded("w"),
                "c = cell[i]",
                "work[n + i] = c",
                "w = w * c",
                *rounded("w"),
                "v = w + v",
                *rounded("v"),
                "cell[i] = v",
                "s = abs(v) - SMALL",
                "if m < s:",
                "    s = m",
                "doubt[i] = s",
            ],
        ],
    )


def lstm_output() -> str:
    """The function `lstm_output`."""
    return function(
        "def lstm_output(work: vec[float], cell: vec[float], hidden: vec[float], doubt: vec[float], n: i64) -> i64:",
        ['"""Tanh of the cell, times O; returns how many states are in doubt."""'],
        [*buffers("work", "cell", "hidden", "doubt"), *refuse("n < 0 or n > STATES // 4", "part out of range")],
        [
            *tangent("cell[i]", "hidden[i]"),
            [
                *signed("hidden[i]", "cell[i]"),
                "r = r * work[2 * n + i]",
                *rounded("r"),
                "hidden[i] = r",
                "s = doubt[i] - d * MANY",
                "doubt[i] = s",
                "if not s >= 0.0:",
                "    doubts += 1",
            ],
        ],
        counts=True,
    )


def activations_module() -> str:
    """The text of source/activations.py."""
    return "\n\n".join([HEAD, exp(), tanh(), lstm_powers(), lstm_cell(), lstm_output()])
