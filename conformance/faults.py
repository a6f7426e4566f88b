"""What implementations are seen to do wrong, each as a way to compute the layer: to name the one that was met."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations

from conformance.again import (
    CODE_MAX,
    GATES,
    Codes,
    Layer,
    Numbers,
    Rows,
    Rules,
    away,
    by_absmax,
    by_scale,
    chunks,
    f32,
    scale_of,
)
from conformance.case import Case

BYTES = 128
"""What is added to signed codes to make them unsigned."""

WORD_MAX = 32767.0


@dataclass(frozen=True)
class Fault:
    """A fault in words that follow "the outputs are those of", and the layer that has it."""

    words: str
    layer: Layer
    rules: Rules = field(default_factory=Rules)


def faults(case: Case, layer: Layer) -> Iterator[Fault]:
    """All that are tried, the plain ones first."""
    yield from _gates(layer)
    yield from _formulas(layer)
    yield from _codes(case, layer)
    yield from _records(layer)
    yield Fault("the scale of the first hidden state for all", layer, Rules(scale_once=True))
    if len(layer.biases) > 1:
        yield Fault(
            "a reverse direction that starts from the last state of the forward one", layer, Rules(carried=True)
        )
    if "in1" in case.inputs:
        yield Fault("initial states that are ignored", layer, Rules(ignored=("in1", "in2")))
    if "in2" in case.inputs:
        yield Fault("an initial cell state that is ignored", layer, Rules(ignored=("in2",)))


def _gates(layer: Layer) -> Iterator[Fault]:
    for a, b in combinations(GATES[layer.kind], 2):
        order = {a: b, b: a}
        yield Fault(f"gates {a} and {b} exchanged", layer, Rules(order, order))
        yield Fault(f"gates {a} and {b} exchanged in the weights", layer, Rules(weights=order))
        yield Fault(f"gates {a} and {b} exchanged in the biases", layer, Rules(biases=order))


def _formulas(layer: Layer) -> Iterator[Fault]:
    if layer.kind == "GRU":
        yield Fault("the two biases of gate N exchanged", layer, Rules(biases={"N": "BN", "BN": "N"}))
        yield Fault("an update gate that works the other way round: u·n + (1 - u)·h", layer, Rules(update="inverted"))
        yield Fault("an update that takes the codes of the hidden state", layer, Rules(update="by-codes"))
        yield Fault("a recurrent bias outside the reset gate", layer, Rules(update="bias-outside"))
    if layer.kind == "LSTM":
        yield Fault("an output without the tanh of the cell", layer, Rules(bare_cell=True))
        if layer.units == layer.outputs:
            yield Fault("a hidden state whose scale is that of the cell", layer, Rules(scale_from_cell=True))


def _codes(case: Case, layer: Layer) -> Iterator[Fault]:
    ways: list[tuple[str, Codes]] = [
        ("halves that go to the even code", by_absmax(lambda value: float(round(value)))),
        ("halves that go up", by_absmax(lambda value: float(math.floor(value + 0.5)))),
        ("codes that are truncated", by_absmax(lambda value: float(math.trunc(value)))),
        ("a signed half that is added in binary32, so that 0.49999997 becomes 1", by_absmax(_signed_half)),
        ("the scale 128 / absmax", by_absmax(away, CODE_MAX + 1.0)),
    ]
    for words, codes in ways:
        yield Fault(words, layer, Rules(input_codes=codes, hidden_codes=codes))
        yield Fault(f"{words}, in the input alone", layer, Rules(input_codes=codes))
        yield Fault(f"{words}, in the hidden state alone", layer, Rules(hidden_codes=codes))
    yield Fault("a hidden state that is not quantized", layer, Rules(hidden_codes=_as_it_is))
    yield Fault("an input that is not quantized", layer, Rules(input_codes=_as_it_is))
    yield Fault("the fixed scale 127 for the hidden state", layer, Rules(hidden_codes=by_scale(CODE_MAX)))
    whole = by_scale(scale_of(case.inputs["in0"].values().tolist()))
    yield Fault("one scale for all rows of the input", layer, Rules(input_codes=whole))
    words = "sums of two products that saturate at 16 bits, of codes + 128"
    yield Fault(words, layer, Rules(input_product=_in_words, hidden_product=_in_words))
    yield Fault(f"{words}, in the input alone", layer, Rules(input_product=_in_words))
    yield Fault(f"{words}, in the hidden state alone", layer, Rules(hidden_product=_in_words))


def _records(layer: Layer) -> Iterator[Fault]:
    first = [[scales[0]] * len(scales) for scales in layer.input_scales]
    others = [[scales[0]] * len(scales) for scales in layer.hidden_scales]
    yield Fault("the first weight scale for all rows", replace(layer, input_scales=first, hidden_scales=others))
    yield Fault("the first weight scale for all rows of the input weights", replace(layer, input_scales=first))
    yield Fault("the first weight scale for all rows of the recurrent weights", replace(layer, hidden_scales=others))
    exchanged = replace(layer, input_scales=layer.hidden_scales, hidden_scales=layer.input_scales)
    yield Fault("the scales of the two matrices exchanged", exchanged)
    if len(layer.biases) > 1:
        scales = [layer.input_scales[0]] * 2, [layer.hidden_scales[0]] * 2
        shared = replace(layer, input_scales=scales[0], hidden_scales=scales[1])
        yield Fault("the scales of the forward direction in both", shared)
    silent = [{name: [0.0] * len(row) for name, row in rows.items()} for rows in layer.biases]
    yield Fault("a missing bias", replace(layer, biases=silent))
    matrices = (layer.input_weights, layer.hidden_weights)
    if any(min(map(min, rows)) < -CODE_MAX for matrix in matrices for rows in matrix):
        wx, wh = map(_clamped, matrices)
        yield Fault("weights of -128 that became -127", replace(layer, input_weights=wx, hidden_weights=wh))
    if layer.projection:
        yield Fault("the unprojected output", replace(layer, projection=[]))
        turned = [_turned(rows, layer.units) for rows in layer.projection]
        yield Fault("a projection that is read as (hidden_size, num_output)", replace(layer, projection=turned))


def _turned(rows: Rows, units: int) -> Rows:
    """(outputs, units) of numbers that were stored as (units, outputs)."""
    by_unit = chunks([value for row in rows for value in row], len(rows))
    return [[by_unit[unit][output] for unit in range(units)] for output in range(len(rows))]


def _clamped(weights: list[Rows]) -> list[Rows]:
    return [[[max(-CODE_MAX, weight) for weight in row] for row in rows] for rows in weights]


def _signed_half(value: float) -> float:
    return float(math.trunc(f32(value + math.copysign(0.5, value))))


def _as_it_is(values: Numbers) -> tuple[list[float], float]:
    return list(values), 1.0


def _in_words(weights: Numbers, codes: Numbers) -> float:
    """Products of unsigned codes, two and two added in 16 bits, as some instructions do."""
    terms = [(code + BYTES) * weight for code, weight in zip(codes, weights)]
    pairs = [sum(terms[at : at + 2]) for at in range(0, len(terms), 2)]
    return sum(max(-WORD_MAX - 1.0, min(WORD_MAX, pair)) for pair in pairs) - BYTES * sum(weights)
