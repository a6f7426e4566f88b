"""How closely a result must agree. The level stands with each case; there is no global tolerance.

- `exact`: the same bits. Zeros of either sign and NaNs count as what their bits are.
- `one-of`: the same bits as one of the listed results, each named by the behaviour that yields it, for all blobs alike.
- `ulp:N`: at most N representable binary32 numbers away.
- `lsb:N`: integers at most N apart.
- `stat:N`: the root mean square of the differences is at most N of that of the expected values: for single scales of a
  calibration a relative difference, for another quantization scheme its noise.
- `near:NAME`: a named tolerance below, for results that pass through exp and tanh of unknown quality.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from conformance.tensor import Tensor

Results = Mapping[str, Tensor]


@dataclass(frozen=True)
class Tolerance:
    """A limit for a sequence that may go astray once a code flips.

    `early` binds `share` of the values in the first `steps` rows, `overall` binds every value; both are relative to
    max(1, largest expected magnitude).
    """

    early: float
    overall: float
    why: str
    steps: int = 20
    share: float = 0.99
    noise: float = 0.05
    """What `stat` allows to an implementation that quantizes in another way."""


TOLERANCES = {
    "float-layers": Tolerance(1e-5, 1e-5, "float sums in any order", share=1.0, noise=1e-5),
    "float-recurrent": Tolerance(
        2e-6, 2e-6, "float sums in any order; expf and tanhf are up to 2 ulp off", share=1.0, noise=1e-5
    ),
    "models": Tolerance(
        1e-2, 1e-2, "float layers in any order; a code of an activation may flip between layers", share=1.0
    ),
    "generated": Tolerance(0.1, 0.1, "a code may flip anywhere in a small net of any scales", share=1.0),
    "nets": Tolerance(0.1, 0.1, "a code may flip in every layer, and the next one multiplies it", share=1.0),
    "rnn": Tolerance(1e-6, 1e-2, "tanhf of C libraries is up to 2 ulp off; later a hidden code may flip"),
    "gru": Tolerance(1e-6, 1e-2, "expf and tanhf of C libraries are up to 2 ulp off; later a hidden code may flip"),
    "lstm": Tolerance(5e-6, 1e-2, "vector sigmoid and tanh, fused gate sums; later a hidden code may flip"),
    "gemm": Tolerance(5e-7, 5e-7, "another form of the descale, fused C", share=1.0),
    "attention": Tolerance(2e-6, 1e-2, "vector exp; a probability's code may flip", share=0.9),
    "activation": Tolerance(2e-6, 2e-6, "polynomials for exp, tanh and log", share=1.0),
    "elementwise": Tolerance(2.0**-23, 2.0**-23, "fused multiply-add of descale and bias", share=1.0, noise=2.0**-23),
}
"""Named tolerances for float results, by layer."""


@dataclass(frozen=True)
class Verdict:
    """Whether a result agrees, by which behaviour, and else where it first does not."""

    agrees: bool
    behaviour: str = ""
    message: str = ""


def judge(
    level: str,
    expected: Mapping[str, Mapping[str, Tensor]],
    got: Results,
    levels: Mapping[str, str] = MappingProxyType({}),
) -> Verdict:
    """Compare all blobs; `expected` maps blob to behaviour to tensor, `levels` blobs to levels of their own.

    ValueError for a level that does not exist.
    """
    for blob, alternatives in expected.items():
        if blob not in got:
            return Verdict(False, message=f"{blob} is missing")
        model = next(iter(alternatives.values()))
        if (got[blob].shape, got[blob].dtype) != (model.shape, model.dtype):
            return Verdict(
                False,
                message=f"{blob} is {got[blob].dtype} {got[blob].shape}, expected {model.dtype} {model.shape}",
            )
    if not expected:
        return Verdict(True)
    behaviours = list(dict.fromkeys(name for alternatives in expected.values() for name in alternatives))
    first = ""
    for behaviour in behaviours:
        wanted = {blob: alternatives.get(behaviour) for blob, alternatives in expected.items()}
        complete = {blob: tensor or next(iter(expected[blob].values())) for blob, tensor in wanted.items()}
        message = _first_fault(level, complete, got, levels)
        if not message:
            return Verdict(True, behaviour)
        first = first or message
    return Verdict(False, message=first)


def _first_fault(level: str, expected: Results, got: Results, levels: Mapping[str, str]) -> str:
    for blob, tensor in expected.items():
        message = compare(levels.get(blob, level), tensor, got[blob])
        if message:
            return f"{blob}{message}"
    return ""


def compare(level: str, expected: Tensor, got: Tensor) -> str:
    """Empty where the tensors agree at this level, else the first place where they do not."""
    kind, _, argument = level.partition(":")
    if kind in ("exact", "one-of"):
        if expected.data == got.data:
            return ""
        return _difference(expected, got, 0 if expected.dtype == "float32" else 0.0, ulps=expected.dtype == "float32")
    if kind == "ulp":
        return _difference(expected, got, int(argument), ulps=True)
    if kind == "lsb":
        return _difference(expected, got, float(argument), ulps=False)
    if kind == "stat":
        return _statistic(expected, got, float(argument))
    if kind == "near":
        return _near(TOLERANCES[argument], argument, expected, got)
    raise ValueError(f"there is no level {level!r}")


def _difference(expected: Tensor, got: Tensor, limit: float, *, ulps: bool) -> str:
    for index, (wanted, value) in enumerate(zip(expected.values(), got.values(), strict=True)):
        distance = ulp_distance(wanted, value) if ulps else abs(value - wanted)
        if not distance <= limit:
            unit = " ulp" if ulps else ""
            return (
                f"{place(expected.shape, index)}: got {text(value)}, expected {text(wanted)}, {distance:g}{unit} apart"
            )
    return ""


def _statistic(expected: Tensor, got: Tensor, limit: float) -> str:
    wanted, values = expected.values(), got.values()
    size = math.sqrt(sum(value * value for value in wanted))
    noise = math.sqrt(sum((a - b) * (a - b) for a, b in zip(wanted, values, strict=True)))
    if noise <= limit * size:
        return ""
    share = noise / size if size else math.inf
    return f": the root mean square of the differences is {share:.2g} of the values', stat allows {limit:g}"


def _near(tolerance: Tolerance, name: str, expected: Tensor, got: Tensor) -> str:
    wanted, values = expected.values(), got.values()
    size = max([1.0, *(abs(value) for value in wanted if math.isfinite(value))])
    row = len(wanted) // expected.shape[0]
    distances = [_apart(value, other) / size for value, other in zip(values, wanted, strict=True)]
    early = distances[: tolerance.steps * row]
    strays = [index for index, distance in enumerate(early) if not distance <= tolerance.early]
    worst = max(range(len(distances)), key=lambda index: _order(distances[index]))
    if len(strays) > math.floor(len(early) * (1.0 - tolerance.share) + 1e-9):
        index, limit = strays[0], tolerance.early
    elif not distances[worst] <= tolerance.overall:
        index, limit = worst, tolerance.overall
    else:
        return ""
    return (
        f"{place(expected.shape, index)}: got {text(values[index])}, expected {text(wanted[index])},"
        f" {distances[index]:.2g} of the blob's maximum apart, near:{name} allows {limit:g}"
    )


def _apart(a: float, b: float) -> float:
    return 0.0 if a == b or (math.isnan(a) and math.isnan(b)) else abs(a - b)


def _order(distance: float) -> float:
    return math.inf if math.isnan(distance) else distance


def ulp_distance(a: float, b: float) -> float:
    """How many steps lie between two binary32 numbers; +0 and -0 are one step apart; infinity if one is NaN.

    >>> ulp_distance(1.0, 1.0000001192092896), ulp_distance(0.0, -0.0)
    (1, 1)
    """
    if math.isnan(a) or math.isnan(b):
        return 0 if struct.pack("<f", a) == struct.pack("<f", b) else math.inf
    return abs(_ordinal(a) - _ordinal(b))


def _ordinal(value: float) -> int:
    bits: int = struct.unpack("<i", struct.pack("<f", value))[0]
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF) - 1


def place(shape: Sequence[int], index: int) -> str:
    """An element's position: `[2, 5]`.

    >>> place((3, 4), 7)
    '[1, 3]'
    """
    position = []
    for extent in reversed(shape):
        index, rest = divmod(index, extent)
        position.append(rest)
    return str(position[::-1])


def text(value: float) -> str:
    """A number in full: hexadecimal and short decimal for floats."""
    return str(value) if isinstance(value, int) else f"{float(value).hex()} ({value:.9g})"
