"""LSTM: input, forget and output gate, a candidate, a cell, and optionally a projection of the output."""

from __future__ import annotations

from collections.abc import Iterator

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob
from spec.functions import logistic, tanh
from spec.graph import Layer
from spec.layers import recurrent
from spec.layers.common import running_sum
from spec.layers.recurrent import Direction, Form, Row, State, StepTrace
from spec.layers.static_scales import split


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Gates decide what the cell forgets, what it takes in and what it shows, row after row.

    c' = F * c + I * G, h' = O * tanh(c'), float32 (T, size) to float32 (T, num_output * directions); states as
    `recurrent.run`. Where hidden_size is not num_output, h' is multiplied by the float matrix weight_hr. With an
    int8_scale_term, x and h are quantized at every step, the projection is not: see `step`.

    Follows: ncnn src/layer/lstm.cpp @ a4d2ea1d.
    Unspecified: raises GraphError for NaN and infinities that would have to be quantized, for other shapes than the
    weights have, and for 2 bottoms or 2 tops.

    >>> from array import array
    >>> from spec.blob import float_blob
    >>> from spec.graph import float_weight
    >>> layer = Layer("LSTM", "r", ["x"], ["y"], {0: 1, 1: 4}, [], {
    ...     "weight_xc_data": float_weight("weight_xc_data", array("f", [0.0, 0.0, 0.0, 1.0]), "tagged"),
    ...     "bias_c_data": float_weight("bias_c_data", array("f", [100.0, -100.0, 100.0, 0.0]), "tagged"),
    ...     "weight_hc_data": float_weight("weight_hc_data", array("f", [0.0, 0.0, 0.0, 0.0]), "tagged"),
    ... })
    >>> forward(layer, [float_blob((2, 1), [0.0, 100.0])])[0].tolist()
    [[0.0], [0.7615941762924194]]
    """
    return recurrent.run(layer, bottoms, profile, FORM)


def trace(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> Iterator[StepTrace]:
    """Every step of `forward` with the codes, scales, gates (I, F, O, G) and states that it computes."""
    return recurrent.trace(layer, bottoms, profile, FORM)


def step(direction: Direction, x: Row, h: Row, state: State) -> tuple[list[list[float]], State]:
    """One time step.

    For each gate, v = (b + f32(ax) * (dx * (1 / sxc))) + f32(ah) * (dh * (1 / shc)), where ax and ah are the integer
    sums, sxc and shc the weight scales, dx = 1 / x.scale and dh = 1 / h.scale. I, F and O are 1 / (1 + exp(-v)), G is
    tanh(v). The projection is a sequential sum from 0.
    """
    # quantize input     x by 127 / absmax(x) of its row, h by 127 / absmax(h): done in recurrent.trace
    # accumulate
    # descale
    # bias
    gates = direction.from_input.add_to([value for row in direction.bias for value in row], x)
    gates = direction.from_hidden.add_to(gates, h)

    # activation
    input_sum, forget_sum, output_sum, candidate_sum = split(gates, 4)
    input_gate = [logistic(value) for value in input_sum]
    forget_gate = [logistic(value) for value in forget_sum]
    output_gate = [logistic(value) for value in output_sum]
    candidate = [tanh(value) for value in candidate_sum]
    cell = [
        f32(f32(f * c) + f32(i * g)) for f, c, i, g in zip(forget_gate, state.cell, input_gate, candidate, strict=True)
    ]
    shown = [f32(o * tanh(c)) for o, c in zip(output_gate, cell, strict=True)]
    hidden = shown
    if direction.projection:
        hidden = [
            running_sum(f32(y * weight) for y, weight in zip(shown, row, strict=True)) for row in direction.projection
        ]

    # requantize
    return [input_gate, forget_gate, output_gate, candidate], State(hidden, cell)


FORM = Form(gates=4, bias_rows=4, units="hidden_size", has_cell=True, step=step)


def check(layer: Layer) -> None:
    """GraphError for an LSTM that can never run."""
    recurrent.check(layer, FORM)


FORWARD = {"LSTM": forward}
CHECK = {"LSTM": check}
