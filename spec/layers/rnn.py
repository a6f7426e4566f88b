"""RNN: one gate, the hyperbolic tangent."""

from __future__ import annotations

from collections.abc import Iterator

from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob
from spec.functions import tanh
from spec.graph import Layer
from spec.layers import recurrent
from spec.layers.recurrent import Direction, Form, Row, State, StepTrace


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The hidden state becomes tanh of a weighted sum of the input row and of itself, row after row.

    h' = tanh(b + Wxc x + Whc h), float32 (T, size) to float32 (T, num_output * directions); states as
    `recurrent.run`. With an int8_scale_term, x and h are quantized at every step: see `step`.

    Follows: ncnn src/layer/rnn.cpp @ a4d2ea1d.
    Unspecified: raises GraphError for NaN and infinities that would have to be quantized, and for other shapes than the
    weights have.

    >>> from array import array
    >>> from spec.blob import float_blob
    >>> from spec.graph import float_weight
    >>> layer = Layer("RNN", "r", ["x"], ["y"], {0: 1, 1: 1}, [], {
    ...     "weight_xc_data": float_weight("weight_xc_data", array("f", [1.0]), "tagged"),
    ...     "bias_c_data": float_weight("bias_c_data", array("f", [0.0]), "tagged"),
    ...     "weight_hc_data": float_weight("weight_hc_data", array("f", [-1000.0]), "tagged"),
    ... })
    >>> forward(layer, [float_blob((3, 1), [0.0, 100.0, 100.0])])[0].tolist()
    [[0.0], [1.0], [-1.0]]
    """
    return recurrent.run(layer, bottoms, profile, FORM)


def trace(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> Iterator[StepTrace]:
    """Every step of `forward` with the codes, scales, gates and states that it computes."""
    return recurrent.trace(layer, bottoms, profile, FORM)


def step(direction: Direction, x: Row, h: Row, state: State) -> tuple[list[list[float]], State]:
    """One time step.

    v = (b + f32(ax) * (dx * (1 / sxc))) + f32(ah) * (dh * (1 / shc)), where ax and ah are the integer sums, sxc and shc
    the weight scales, dx = 1 / x.scale and dh = 1 / h.scale; h' = tanh(v).
    """
    # quantize input     x by 127 / absmax(x) of its row, h by 127 / absmax(h): done in recurrent.trace
    # accumulate
    # descale
    # bias
    gate = direction.from_input.add_to(direction.bias[0], x)
    gate = direction.from_hidden.add_to(gate, h)

    # activation
    hidden = [tanh(value) for value in gate]

    # requantize
    return [hidden], State(hidden, [])


FORM = Form(gates=1, bias_rows=1, units="num_output", has_cell=False, step=step)


def check(layer: Layer) -> None:
    """GraphError for an RNN that can never run."""
    recurrent.check(layer, FORM)


FORWARD = {"RNN": forward}
CHECK = {"RNN": check}
