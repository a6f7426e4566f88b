"""LSTM: input, forget, output and cell gate, in this order in every record; optionally a projection of the output."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Floats, Operator
from fastpath.layers.recurrent import Cell, Direction, Recurrent, exp_function, sigmoid, tanh_function
from spec.graph import Layer


class LstmCell(Cell):
    """One direction of one run."""

    def __init__(self, layer: Layer, direction: Direction, states: list[Floats]) -> None:
        self.states = states
        self.hidden, self.cell = states
        self.product = direction.product(layer)
        width = self.cell.size
        self.sums = np.empty(4 * width, np.float32)
        self.sigmoids = self.sums[: 3 * width]
        self.input_gate, self.forget_gate, self.output_gate, self.candidate = self.sums.reshape(4, width)
        self.squashed = np.empty(width, np.float32)
        self.exp = exp_function(3 * width)
        self.tanh = tanh_function(width)
        self.tanh_of_cell = tanh_function(width)
        self.functions = [self.exp, self.tanh, self.tanh_of_cell]
        self.projection = direction.projection
        if self.projection is not None:
            self.terms = np.empty_like(self.projection)
            self.partial_sums = np.empty_like(self.projection)

    def step(self, index: int, inputs: Floats) -> None:
        """C = F·c + I·G, y = O·tanh(c), h = y or its projection."""
        np.add(inputs, self.product(self.hidden), out=self.sums)
        sigmoid(self.exp, index, self.sigmoids)
        self.tanh(index, self.candidate, self.candidate)
        np.multiply(self.forget_gate, self.cell, out=self.cell)
        np.multiply(self.input_gate, self.candidate, out=self.candidate)
        np.add(self.cell, self.candidate, out=self.cell)
        self.tanh_of_cell(index, self.cell, self.squashed)
        if self.projection is None:
            np.multiply(self.output_gate, self.squashed, out=self.hidden)
        else:
            np.multiply(self.output_gate, self.squashed, out=self.squashed)
            self._project(self.projection)

    def _project(self, projection: Floats) -> None:
        """Σ y·w from the first to the last, beginning with +0; accumulate keeps that order."""
        np.multiply(self.squashed, projection, out=self.terms)
        np.add.accumulate(self.terms, axis=1, out=self.partial_sums)
        np.add(np.float32(0.0), self.partial_sums[:, -1], out=self.hidden)


def add_bias(part: Floats, bias: Floats) -> None:
    """All four bias rows belong to the input part."""
    np.add(bias.reshape(-1), part, out=part)


def prepare(layer: Layer) -> Operator:
    """(T, I), optionally hidden (D, N) and cell state (D, H), to (T, D·N), optionally both states.

    Follows: ncnn src/layer/lstm.cpp @ a4d2ea1d.
    """
    return Recurrent(layer, gates=4, bias_rows=4, state_count=2, make_cell=LstmCell, add_bias=add_bias)


PREPARE = {"LSTM": prepare}
