"""Generated recurrent cases: properties that hold for every net, and the smallest net for which one does not.

Hypothesis draws nets from a few small numbers. Most properties hold the spec and the implementation together; the last
ones hold the implementation against itself (a sequence in two pieces, backwards, with its units permuted), and need no
spec to be believed. A net that fails is made smaller until every number in it matters, printed, and saved as a case.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from conformance.adapter import Adapter, AdapterBroken
from conformance.adapters import open_adapter
from conformance.adapters.spec_adapter import SpecAdapter
from conformance.case import Case
from conformance.case_file import write_case
from conformance.diagnosis import Tracer, diagnose
from conformance.runner import BAD, Result, run_case
from conformance.suites import recurrent_nets
from conformance.suites.recipe import Fill, expand
from conformance.suites.recurrent import BIAS_ROWS, DEFAULT_FILLS, GATES, REFERENCE, Sizes, build
from conformance.tensor import Tensor

GROUP = {
    "source": {"kind": "derived", "detail": "generated, spec, reference profile"},
    "level": "exact",
    "tolerance": "generated",
}

Fills = dict[str, Fill]
Run = Callable[[Case], dict[str, Tensor]]
Relation = Callable[["Net", Run], str]

KINDS = ("RNN", "GRU", "LSTM")
PATTERN = {"x": (4099, 1024), "h0": (2053, 1100), "c0": (2053, 700), "wx": (255, 1), "wh": (255, 1), "b": (127, 64)}
"""Modulus and divisor of each fill."""

SHOWN_LINES = 24


@dataclass(frozen=True)
class Net:
    """A drawn recurrent layer."""

    sizes: Sizes
    fills: Fills

    def case(self, name: str, note: str) -> Case:
        """The case, without expected values."""
        entry = {"id": f"generated/{name}", "note": note, "flags": [], "net": asdict(self.sizes), "fill": self.fills}
        return build(entry, GROUP)

    def values(self, name: str) -> list[float]:
        """The numbers of a fill."""
        s = self.sizes
        counts = {
            "x": (s.steps * s.size, s.size),
            "h0": (s.directions * s.num_output, s.num_output),
            "c0": (s.directions * s.hidden, s.hidden),
            "wx": (s.rows * s.size, s.size),
            "wh": (s.rows * s.num_output, s.num_output),
            "b": (s.directions * BIAS_ROWS[s.type] * s.hidden, s.hidden),
            "wr": (s.directions * s.num_output * s.hidden, s.hidden),
            "sx": (s.rows, 1),
            "sh": (s.rows, 1),
        }
        return expand({**DEFAULT_FILLS, **self.fills}[name], *counts[name])

    def with_values(self, sizes: Sizes, **values: Sequence[float]) -> Net:
        """The net with other sizes and other numbers."""
        return Net(sizes, {**self.fills, **{name: {"v": list(v)} for name, v in values.items()}})


@dataclass(frozen=True)
class Property:
    """What holds for every net that is drawn."""

    name: str
    note: str
    nets: st.SearchStrategy[Net] | st.SearchStrategy[Case]
    relation: Relation | None = None
    """Empty where the implementation agrees with itself, else how it does not; None: with the spec."""


def pattern(name: str) -> st.SearchStrategy[list[int]]:
    """A fill of a few small numbers; the smallest is constant."""
    modulus, divisor = PATTERN[name]
    return st.tuples(st.integers(0, modulus - 1), st.integers(0, modulus - 1)).map(lambda p: [*p, modulus, divisor])


@st.composite
def nets(
    draw: st.DrawFn,
    /,
    kinds: Sequence[str] = KINDS,
    *,
    steps: tuple[int, int] = (1, 6),
    size: tuple[int, int] = (1, 6),
    num_output: tuple[int, int] = (1, 6),
    directions: Sequence[int] = (0, 1, 2),
    states: Sequence[tuple[int, int]] = ((0, 0), (1, 1), (1, 0), (0, 1)),
    projection: bool | None = None,
    **fills: st.SearchStrategy[Fill],
) -> Net:
    """A layer with patterns for numbers, of which `fills` replaces some."""
    kind = draw(st.sampled_from(kinds))
    outputs = draw(st.integers(*num_output))
    projected = kind == "LSTM" and (draw(st.booleans()) if projection is None else projection)
    hidden = outputs + draw(st.integers(1, 4)) if projected else 0
    given_states, final_states = draw(st.sampled_from(states))
    sizes = Sizes(
        kind,
        draw(st.integers(*size)),
        outputs,
        draw(st.integers(*steps)),
        hidden,
        draw(st.sampled_from(directions)),
        given_states,
        final_states,
    )
    drawn: Fills = {name: draw(fills.get(name, pattern(name))) for name in PATTERN}
    for name, width in (("sx", sizes.size), ("sh", outputs)):
        spread = draw(fills.get(name, st.integers(0, 96)))
        plain = {"p": [37, spread, 97, 1], "plus": 60 + round(80 * math.sqrt(width / 2))}
        drawn[name] = plain if isinstance(spread, int) else spread
    return Net(sizes, {**drawn, "wr": [3, 1, 7, 8]})


def tie_rows(beside: int = 0) -> st.SearchStrategy[list[float]]:
    """Five numbers of absmax 127, so that the scale is 1: halves, or numbers `beside` steps of binary32 beside them."""
    halves = st.integers(-127, 126).map(lambda code: stepped(code + 0.5, beside))
    return st.lists(halves, min_size=4, max_size=4).map(lambda values: [127.0, *values])


def stepped(value: float, steps: int) -> float:
    """A binary32 number some steps away from zero (or towards it)."""
    bits = struct.unpack("<i", struct.pack("<f", value))[0] + steps
    moved: float = struct.unpack("<f", struct.pack("<i", bits))[0]
    return moved


@st.composite
def tied(draw: st.DrawFn, where: str, beside: int) -> Net:
    """A net whose input rows, or initial states, lie on rounding ties, times a power of two."""
    power = 2.0 ** draw(st.integers(-8, 4))
    scales: Fill = {"p": [37, 11, 97, 1], "plus": round(6000 * power) + 60}
    kind = draw(st.sampled_from(KINDS))
    if where == "x":
        net = draw(nets((kind,), steps=(1, 3), size=(5, 5), projection=False))
        rows = [[value * power for value in draw(tie_rows(beside))] for _ in range(net.sizes.steps)]
        return Net(net.sizes, {**net.fills, "x": {"v": list(chain(*rows))}, "sx": scales})
    net = draw(nets((kind,), steps=(1, 2), num_output=(5, 5), states=((1, 1),), projection=False))
    rows = [[value * power for value in draw(tie_rows(beside))] for _ in range(net.sizes.directions)]
    return Net(net.sizes, {**net.fills, "h0": {"v": list(chain(*rows))}, "sh": scales})


@st.composite
def with_zero_rows(draw: st.DrawFn) -> Net:
    """Some rows of the input are zero, and perhaps the state."""
    net = draw(nets(steps=(1, 8)))
    chosen = draw(st.sets(st.integers(0, net.sizes.steps - 1), min_size=1))
    fills = {**net.fills, "x": {"p": net.fills["x"], "rows": {str(row): 0 for row in sorted(chosen)}}}
    if draw(st.booleans()):
        fills["h0"] = [0, 0, 1, 1]
    return Net(net.sizes, fills)


@st.composite
def saturated(draw: st.DrawFn) -> Net:
    """Biases far to one side."""
    net = draw(nets())
    rows = net.sizes.directions * BIAS_ROWS[net.sizes.type]
    levels = st.sampled_from([-300.0, -89.0, -20.0, 0.0, 20.0, 89.0, 300.0])
    chosen = draw(st.dictionaries(st.integers(0, rows - 1), levels, min_size=1))
    bias = {"p": net.fills["b"], "rows": {str(row): value for row, value in sorted(chosen.items())}}
    return Net(net.sizes, {**net.fills, "b": bias})


@st.composite
def of_all_sizes(draw: st.DrawFn, name: str, rows_of: str, powers: tuple[int, int]) -> Net:
    """Rows times powers of two."""
    net = draw(nets(states=((1, 1),) if name == "h0" else ((0, 0), (1, 1))))
    count = {"steps": net.sizes.steps, "directions": net.sizes.directions}[rows_of]
    factors = draw(st.lists(st.integers(*powers), min_size=count, max_size=count))
    fill = {"p": net.fills[name], "rowtimes": {str(row): 2.0**power for row, power in enumerate(factors)}}
    return Net(net.sizes, {**net.fills, name: fill})


@st.composite
def spread_scales(draw: st.DrawFn) -> Net:
    """Weight scales that differ by powers of two from row to row."""
    net = draw(nets())
    powers = st.lists(st.integers(3, 14), min_size=net.sizes.rows, max_size=net.sizes.rows)
    scales = {name: {"v": [2.0**power for power in draw(powers)]} for name in ("sx", "sh")}
    return Net(net.sizes, {**net.fills, **scales})


@st.composite
def zero_weights(draw: st.DrawFn) -> Net:
    """Some rows of the weights are zero."""
    net = draw(nets())
    rows = st.sets(st.integers(0, net.sizes.rows - 1), min_size=1)
    fills = {name: {"p": net.fills[name], "rows": {str(row): 0 for row in sorted(draw(rows))}} for name in ("wx", "wh")}
    return Net(net.sizes, {**net.fills, **fills})


@st.composite
def extreme(draw: st.DrawFn) -> Net:
    """Codes of -128 and 127 only, and inputs of one magnitude."""
    net = draw(nets(size=(1, 16), steps=(1, 3)))
    codes = st.sampled_from([-128, 127])
    weights = draw(st.lists(codes, min_size=net.sizes.size, max_size=net.sizes.size))
    signs = draw(st.lists(st.sampled_from([-1.5, 1.5]), min_size=net.sizes.size, max_size=net.sizes.size))
    return net.with_values(net.sizes, wx=weights * net.sizes.rows, x=signs * net.sizes.steps)


@st.composite
def flat(draw: st.DrawFn) -> Net:
    """A single row, and states, as vectors."""
    net = draw(nets(steps=(1, 1), directions=(0, 1), states=((0, 0), (1, 1))))
    return Net(replace(net.sizes, flat=1), net.fills)


@st.composite
def chains(draw: st.DrawFn, *, mixed: bool) -> Case:
    """Two or three recurrent layers, with other layers between them where `mixed`."""
    size, steps = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    parts: list[recurrent_nets.Part] = []
    width = size
    for index in range(draw(st.integers(2, 3))):
        if mixed and index:
            width = draw(st.integers(1, 4))
            fill = {"wx": draw(pattern("wx")), "b": [7, 3, 11, 16]}
            parts.append({"product": width, "fill": fill})
            parts.append({"activation": draw(st.sampled_from(["ReLU", "TanH", "Sigmoid"]))})
        net = draw(nets(size=(width, width), num_output=(1, 4), states=((0, 0),)))
        shape = {"type": net.sizes.type, "num_output": net.sizes.num_output, "direction": net.sizes.direction}
        parts.append({"net": {**shape, "hidden_size": net.sizes.hidden_size}, "fill": net.fills})
        width = net.sizes.directions * net.sizes.num_output
    entry = {"id": "generated/chain", "note": "", "flags": [], "parts": parts, "steps": steps, "size": size}
    return recurrent_nets.build({**entry, "x": draw(pattern("x"))}, {**GROUP, "tolerance": "nets"})


def first_rows(net: Net, run: Run) -> str:
    """What comes later does not change what came before."""
    whole = run(net.case("causal", ""))["out0"]
    kept = (net.sizes.steps + 1) // 2
    sizes = replace(net.sizes, steps=kept)
    part = run(net.with_values(sizes, x=net.values("x")[: kept * sizes.size]).case("causal", ""))["out0"]
    return _unequal(_rows(whole)[:kept], _rows(part), "cut after half of the steps")


def turned(net: Net, run: Run) -> str:
    """Backwards on turned rows is forwards, turned."""
    forward = run(net.case("reversed", ""))["out0"]
    size = net.sizes.size
    x = net.values("x")
    rows = [x[at : at + size] for at in range(0, len(x), size)][::-1]
    backward = run(net.with_values(replace(net.sizes, direction=1), x=list(chain(*rows))).case("reversed", ""))["out0"]
    return _unequal(_rows(forward), _rows(backward)[::-1], "run backwards on the turned sequence")


def halves(net: Net, run: Run) -> str:
    """Both directions are the two single ones, side by side."""
    both = _rows(run(net.case("halves", ""))["out0"])
    width = net.sizes.num_output
    for direction in (0, 1):
        sizes = replace(net.sizes, direction=direction)
        parts: dict[str, list[float]] = {}
        for name in ("wx", "wh", "b", "wr", "sx", "sh", *(("h0", "c0") if net.sizes.states_in else ())):
            values = net.values(name)
            parts[name] = values[direction * len(values) // 2 : (direction + 1) * len(values) // 2]
        single = _rows(run(net.with_values(sizes, **parts).case("halves", ""))["out0"])
        cut = [row[direction * width : (direction + 1) * width] for row in both]
        message = _unequal(cut, single, f"direction {direction} alone")
        if message:
            return message
    return ""


def continued(net: Net, run: Run) -> str:
    """A sequence in two pieces, with the states handed over, is the sequence."""
    whole = run(net.case("continued", ""))
    cut = net.sizes.steps // 2
    x = net.values("x")
    first = replace(net.sizes, steps=cut, states_in=0, states_out=1)
    one = run(net.with_values(first, x=x[: cut * first.size]).case("continued", ""))
    second = replace(net.sizes, steps=net.sizes.steps - cut, states_in=1, states_out=1)
    states = {name: one[blob].values().tolist() for name, blob in (("h0", "out1"), ("c0", "out2")) if blob in one}
    two = run(net.with_values(second, x=x[cut * first.size :], **states).case("continued", ""))
    return _unequal(_rows(whole["out0"]), _rows(one["out0"]) + _rows(two["out0"]), "in two pieces")


def moved_power(net: Net, run: Run) -> str:
    """A power of two moves from the input into the weight scales."""
    plain = run(net.case("power", ""))["out0"]
    moved = net.with_values(net.sizes, x=[8.0 * v for v in net.values("x")], sx=[8.0 * v for v in net.values("sx")])
    return _unequal(_rows(plain), _rows(run(moved.case("power", ""))["out0"]), "with inputs and scales times 8")


def permuted(net: Net, run: Run) -> str:
    """Units in another order have their outputs in that order."""
    plain = _rows(run(net.case("permuted", ""))["out0"])
    n, gates = net.sizes.num_output, GATES[net.sizes.type]
    order = [*range(1, n), 0]
    shuffled = {
        "wx": _by_unit(net.values("wx"), gates, n, net.sizes.size, order),
        "wh": [row[unit] for row in _chunks(_by_unit(net.values("wh"), gates, n, n, order), n) for unit in order],
        "b": _by_unit(net.values("b"), BIAS_ROWS[net.sizes.type], n, 1, order),
        "sx": _by_unit(net.values("sx"), gates, n, 1, order),
        "sh": _by_unit(net.values("sh"), gates, n, 1, order),
    }
    other = _rows(run(net.with_values(net.sizes, **shuffled).case("permuted", ""))["out0"])
    return _unequal([[row[unit] for unit in order] for row in plain], other, "with its units in another order")


def repeated(net: Net, run: Run) -> str:
    """The same question has the same answer."""
    case = net.case("repeated", "")
    first, second = run(case), run(case)
    return "" if first == second else "the second run differs from the first"


def _by_unit(values: Sequence[float], blocks: int, units: int, width: int, order: Sequence[int]) -> list[float]:
    rows = _chunks(values, width)
    return [value for block in range(blocks) for unit in order for value in rows[block * units + unit]]


def _chunks(values: Sequence[float], size: int) -> list[list[float]]:
    return [list(values[at : at + size]) for at in range(0, len(values), size)]


def _rows(blob: Tensor) -> list[list[float]]:
    return _chunks(blob.values().tolist(), blob.shape[-1])


def _unequal(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]], what: str) -> str:
    """Empty, or where two sequences differ in a bit."""
    for time, (row, other) in enumerate(zip(a, b, strict=True)):
        for unit, (value, second) in enumerate(zip(row, other, strict=True)):
            if struct.pack("<f", value) != struct.pack("<f", second):
                return f"time {time}, unit {unit}: {value!r}, but {second!r} {what}"
    return ""


FORWARD = (0,)
NO_STATES = ((0, 0),)

PROPERTIES = (
    Property("rnn", "RNN, any direction and states.", nets(("RNN",))),
    Property("gru", "GRU, any direction and states.", nets(("GRU",))),
    Property("lstm", "LSTM, any direction and states.", nets(("LSTM",), projection=False)),
    Property("lstm-projection", "LSTM with projection.", nets(("LSTM",), projection=True)),
    Property("long", "Long sequences.", nets(steps=(16, 64), size=(1, 3), num_output=(1, 3))),
    Property("wide", "Many outputs.", nets(num_output=(7, 80), steps=(1, 2), size=(1, 3))),
    Property("wide-inputs", "Wide rows.", nets(size=(7, 256), steps=(1, 3), num_output=(1, 3))),
    Property("zero-rows", "Rows of zeros, and states.", with_zero_rows()),
    Property("input-ties", "Scaled inputs on ties.", tied("x", 0)),
    Property("state-ties", "Scaled states on ties.", tied("h0", 0)),
    Property("above-input-ties", "Scaled inputs one step above ties.", tied("x", 1)),
    Property("below-input-ties", "Scaled inputs one step below ties.", tied("x", -1)),
    Property("below-state-ties", "Scaled states one step below ties.", tied("h0", -1)),
    Property("saturated", "Biases that drive gates to 0 and 1.", saturated()),
    Property("input-sizes", "Rows from subnormal to huge.", of_all_sizes("x", "steps", (-149, 110))),
    Property("state-sizes", "States from subnormal to large.", of_all_sizes("h0", "directions", (-149, 12))),
    Property("scales", "Weight scales of all sizes.", spread_scales()),
    Property("zero-weights", "Rows of weights that are zero.", zero_weights()),
    Property("extreme-codes", "Weights of -128 and 127.", extreme()),
    Property("vectors", "A single row and states as vectors.", flat()),
    Property("stacked", "Two or three recurrent layers.", chains(mixed=False)),
    Property("mixed", "Recurrent layers, int8 products and activations.", chains(mixed=True)),
    Property("causal", "Later rows change nothing before.", nets(directions=FORWARD), first_rows),
    Property("reversed", "Backwards on turned rows is forwards, turned.", nets(directions=FORWARD), turned),
    Property("halves", "Both directions are the two single ones.", nets(directions=(2,)), halves),
    Property(
        "continued", "Two pieces are the whole.", nets(directions=FORWARD, steps=(2, 6), states=NO_STATES), continued
    ),
    Property("power", "Powers of two move into the scales.", nets(states=NO_STATES), moved_power),
    Property(
        "permuted",
        "Units in another order.",
        nets(directions=FORWARD, num_output=(2, 6), states=NO_STATES, projection=False),
        permuted,
    ),
    Property("repeated", "Twice the same.", nets(), repeated),
)


class _Falsified(Exception):
    """A net for which a property does not hold."""


def run_generated(
    adapter: Adapter, examples: int, start: int = 0, folder: Path | None = None, patterns: Sequence[str] = ()
) -> Iterator[Result]:
    """A result for each property; nets that fail are saved in `folder`. The same `start` draws the same nets."""
    spec = open_adapter("spec")
    tracer = SpecAdapter().trace
    for chosen in PROPERTIES:
        case_id = f"generated/{chosen.name}"
        if not patterns or any(fnmatchcase(case_id, glob) for glob in patterns):
            yield run_property(chosen, adapter, spec, examples, start, folder, tracer)


def run_property(
    chosen: Property,
    adapter: Adapter,
    spec: Adapter,
    examples: int,
    start: int = 0,
    folder: Path | None = None,
    tracer: Tracer | None = None,
) -> Result:
    """Draw `examples` nets; where one fails, the smallest that does."""
    if adapter.identity.tightest == "stat":
        reason = "statistics of small nets say nothing"
        return Result(f"generated/{chosen.name}", "not-applicable", "stat", message=reason)
    failures: list[tuple[Case, Result]] = []
    unclaimed: set[str] = set()
    judged = 0

    @seed(start)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(chosen.nets)
    def check(drawn: Any) -> None:
        nonlocal judged
        case = drawn if isinstance(drawn, Case) else drawn.case(chosen.name, chosen.note)
        lacking = adapter.identity.lacks(case)
        if lacking:
            unclaimed.add(lacking)
            return
        judged += 1
        case = replace(case, expected={name: {REFERENCE: value} for name, value in spec.run(case).items()})
        result = _judge(chosen, case, drawn, adapter)
        if result.outcome in BAD:
            failures.append((case, result))
            raise _Falsified

    try:
        check()
    except _Falsified:
        return _failed(chosen, *failures[-1], folder, adapter, tracer)
    if not judged:
        return Result(f"generated/{chosen.name}", "not-applicable", "exact", message="; ".join(sorted(unclaimed)))
    return Result(f"generated/{chosen.name}", "passed", "exact", message=f"{judged} nets", source="derived")


def _judge(chosen: Property, case: Case, drawn: Any, adapter: Adapter) -> Result:
    if chosen.relation is None:
        return run_case(adapter, case)
    if adapter.identity.tightest != "exact":
        return run_case(adapter, case)
    try:
        message = chosen.relation(drawn, adapter.run)
    except AdapterBroken:
        raise
    except Exception as error:
        return Result(case.id, "errored", case.level, message=f"{type(error).__name__}: {error}")
    return Result(case.id, "failed" if message else "passed", case.level, message=message)


def _failed(
    chosen: Property, case: Case, result: Result, folder: Path | None, adapter: Adapter, tracer: Tracer | None
) -> Result:
    """The result with the smallest net in words, and where it is saved."""
    note = f"{chosen.note} The smallest net that {adapter.identity.name} fails."
    saved = replace(case, id=f"generated/{chosen.name}", note=note)
    lines = ["The smallest net that fails:", *case.param.splitlines()[2:]]
    for name, blob in case.inputs.items():
        lines.append(f"{name} = {_short(blob)}")
    for name, results in case.expected.items():
        lines.append(f"{name} = {_short(results[REFERENCE])} by the spec")
    if tracer is not None and case.details and result.outcome == "failed" and chosen.relation is None:
        lines += diagnose(case, tracer(case), adapter.run(case))
    message = result.message
    if folder is not None:
        path = folder / f"{chosen.name}.json"
        write_case(saved, path)
        message += f"; saved as {path}"
    return replace(result, id=saved.id, message=message, diagnosis=tuple(lines[:SHOWN_LINES]), source="derived")


def _short(blob: Tensor) -> str:
    values = [f"{value:.9g}" for value in blob.values()]
    rest = f", … ({len(values)} numbers)" if len(values) > 12 else ""
    return f"{blob.shape}: {', '.join(values[:12])}{rest}"
