"""GRU: reset and update gate, and a new state that the update gate mixes with the old."""

from __future__ import annotations

from collections.abc import Iterator

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob
from spec.functions import logistic, tanh
from spec.graph import Layer
from spec.layers import recurrent
from spec.layers.recurrent import Direction, Form, Row, State, StepTrace


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The update gate mixes the old hidden state with a new one, which the reset gate partly frees of the past.

    h' = (1 - U) * N + U * h, N = tanh(b_wn + R * (b_bn + Whc_n h) + Wxc_n x), float32 (T, size) to float32
    (T, num_output * directions); states as `recurrent.run`. With an int8_scale_term, x and h are quantized at every
    step: see `step`.

    Follows: ncnn src/layer/gru.cpp @ a4d2ea1d.
    Unspecified: raises GraphError for NaN and infinities that would have to be quantized, and for other shapes than the
    weights have.

    >>> from array import array
    >>> from spec.blob import float_blob
    >>> from spec.graph import float_weight
    >>> layer = Layer("GRU", "r", ["x"], ["y"], {0: 1, 1: 3}, [], {
    ...     "weight_xc_data": float_weight("weight_xc_data", array("f", [0.0, 0.0, 1.0]), "tagged"),
    ...     "bias_c_data": float_weight("bias_c_data", array("f", [0.0, 0.0, 0.0, 0.0]), "tagged"),
    ...     "weight_hc_data": float_weight("weight_hc_data", array("f", [0.0, 0.0, 0.0]), "tagged"),
    ... })
    >>> forward(layer, [float_blob((2, 1), [100.0, 0.0])])[0].tolist()
    [[0.5], [0.25]]
    """
    return recurrent.run(layer, bottoms, profile, FORM)


def trace(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> Iterator[StepTrace]:
    """Every step of `forward` with the codes, scales, gates (R, U, N) and states that it computes."""
    return recurrent.trace(layer, bottoms, profile, FORM)


def step(direction: Direction, x: Row, h: Row, state: State) -> tuple[list[list[float]], State]:
    """One time step.

    For R and U, v = (b + f32(ax) * (dx * (1 / sxc))) + f32(ah) * (dh * (1 / shc)), then 1 / (1 + exp(-v)), where ax and
    ah are the integer sums, sxc and shc the weight scales, dx = 1 / x.scale and dh = 1 / h.scale. For N,
    v = (b_wn + R * (b_bn + f32(ah) * (dh * (1 / shc)))) + f32(ax) * (dx * (1 / sxc)), then tanh(v). The mixing uses the
    hidden state itself, not its codes.
    """
    reset_bias, update_bias, input_bias, hidden_bias = direction.bias
    first_of_new = 2 * len(reset_bias)

    # quantize input     x by 127 / absmax(x) of its row, h by 127 / absmax(h): done in recurrent.trace
    # accumulate
    # descale
    # bias
    gates = direction.from_input.add_to(reset_bias + update_bias, x)
    gates = direction.from_hidden.add_to(gates, h)

    # activation
    reset = [logistic(value) for value in gates[: len(reset_bias)]]
    update = [logistic(value) for value in gates[len(reset_bias) :]]
    past = direction.from_hidden.add_to(hidden_bias, h, first_of_new)
    freed = [f32(b + f32(r * p)) for b, r, p in zip(input_bias, reset, past, strict=True)]
    new = [tanh(value) for value in direction.from_input.add_to(freed, x, first_of_new)]
    hidden = [f32(f32(f32(1.0 - u) * n) + f32(u * old)) for u, n, old in zip(update, new, state.hidden, strict=True)]

    # requantize
    return [reset, update, new], State(hidden, [])


FORM = Form(gates=3, bias_rows=4, units="num_output", has_cell=False, step=step)


def check(layer: Layer) -> None:
    """GraphError for a GRU that can never run."""
    recurrent.check(layer, FORM)


FORWARD = {"GRU": forward}
CHECK = {"GRU": check}
