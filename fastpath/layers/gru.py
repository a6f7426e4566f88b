"""GRU: reset, update and new gate, in this order in every record."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Floats, Operator
from fastpath.layers.recurrent import ONE, Cell, Direction, Recurrent, exp_function, sigmoid, tanh_function
from spec.graph import Layer


class GruCell(Cell):
    """One direction of one run."""

    def __init__(self, layer: Layer, direction: Direction, states: list[Floats]) -> None:
        self.states = states
        self.hidden = states[0]
        self.product = direction.product(layer)
        self.input_bias, self.hidden_bias = direction.bias[2:]
        self.width = width = self.hidden.size
        self.gates = np.empty(2 * width, np.float32)
        self.reset, self.update = self.gates[:width], self.gates[width:]
        self.new = np.empty(width, np.float32)
        self.keep = np.empty(width, np.float32)
        self.exp = exp_function(2 * width)
        self.tanh = tanh_function(width)
        self.functions = [self.exp, self.tanh]

    def step(self, index: int, inputs: Floats) -> None:
        """R and u by sigmoid, n = tanh((bWN + r·(bBN + Wh·h)) + Wx·x), h = (1 - u)·n + u·h."""
        split = 2 * self.width
        product = self.product(self.hidden)
        np.add(inputs[:split], product[:split], out=self.gates)
        sigmoid(self.exp, index, self.gates)
        np.add(self.hidden_bias, product[split:], out=self.new)
        np.multiply(self.reset, self.new, out=self.new)
        np.add(self.input_bias, self.new, out=self.new)
        np.add(self.new, inputs[split:], out=self.new)
        self.tanh(index, self.new, self.new)
        np.subtract(ONE, self.update, out=self.keep)
        np.multiply(self.keep, self.new, out=self.new)
        np.multiply(self.update, self.hidden, out=self.keep)
        np.add(self.new, self.keep, out=self.hidden)


def add_bias(part: Floats, bias: Floats) -> None:
    """The bias rows R and U belong to the input part; the new gate adds its two inside the step."""
    gates = part[:, : 2 * bias.shape[1]]
    np.add(bias[:2].reshape(-1), gates, out=gates)


def prepare(layer: Layer) -> Operator:
    """(T, I), optionally the hidden state (D, N), to (T, D·N), optionally the hidden state.

    Follows: ncnn src/layer/gru.cpp @ a4d2ea1d.
    """
    return Recurrent(layer, gates=3, bias_rows=4, state_count=1, make_cell=GruCell, add_bias=add_bias)


PREPARE = {"GRU": prepare}
