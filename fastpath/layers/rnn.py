"""RNN: h = tanh(b + Wx·x + Wh·h)."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Floats, Operator
from fastpath.layers.recurrent import Cell, Direction, Recurrent, tanh_function
from spec.graph import Layer


class RnnCell(Cell):
    """One direction of one run."""

    def __init__(self, layer: Layer, direction: Direction, states: list[Floats]) -> None:
        self.states = states
        self.hidden = states[0]
        self.product = direction.product(layer)
        self.sums = np.empty_like(self.hidden)
        self.tanh = tanh_function(self.hidden.size)
        self.functions = [self.tanh]

    def step(self, index: int, inputs: Floats) -> None:
        """(b + Wx·x) + Wh·h, then tanh."""
        np.add(inputs, self.product(self.hidden), out=self.sums)
        self.tanh(index, self.sums, self.hidden)


def add_bias(part: Floats, bias: Floats) -> None:
    """The only bias row belongs to the input part."""
    np.add(bias[0], part, out=part)


def prepare(layer: Layer) -> Operator:
    """(T, I), optionally the hidden state (D, N), to (T, D·N), optionally the hidden state.

    Follows: ncnn src/layer/rnn.cpp @ a4d2ea1d.
    """
    return Recurrent(layer, gates=1, bias_rows=1, state_count=1, make_cell=RnnCell, add_bias=add_bias)


PREPARE = {"RNN": prepare}
