"""What RNN, LSTM and GRU share: the input part of all steps at once, the hidden part step by step.

The int8 forms equal the spec bit for bit. In the float forms BLAS multiplies the matrices and may order its sums
otherwise, so they differ in last bits. Where compiled kernels are built they run the steps; else numpy does.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from fastpath.layers.common import Array, Doubles, Floats, fault
from fastpath.layers.compiled_steps import CompiledSteps, float_steps, int8_steps
from fastpath.layers.dynamic import (
    CODE_MAX,
    check_finite,
    exact_dtype,
    float_blob,
    float_records,
    int8_records,
    positive_scales,
    quantize_by,
    round_half_away,
)
from fastpath.layers.functions import DOUBT, exact_exp, round_results
from spec.graph import Layer

CHUNK = 32
"""Time steps between two looks at whether a binary64 result lies too near a tie of binary32."""

ONE = np.float32(1.0)
INFINITY = np.float32(np.inf)


class HiddenProduct(Protocol):
    """The recurrent matrix product of one step."""

    def __call__(self, hidden: Floats) -> Floats:
        """Wh · h, dequantized in the int8 form. The array belongs to the product; the next step overwrites it."""


class FloatProduct:
    """Wh · h in float32."""

    def __init__(self, weights: Floats) -> None:
        self.weights = weights
        self.total = np.empty(weights.shape[0], np.float32)

    def __call__(self, hidden: Floats) -> Floats:
        """The product, in the order of BLAS."""
        return np.dot(self.weights, hidden, out=self.total)


class Int8Product:
    """Wh · h through int8 codes of the hidden state, which gets a scale of its own at every step."""

    def __init__(self, layer: Layer, weights: Array, reciprocal_scales: Floats) -> None:
        rows, width = weights.shape
        self.layer = layer
        self.weights = weights
        self.reciprocal_scales = reciprocal_scales
        self.magnitude = np.empty(width, np.float32)
        self.codes = np.empty(width, np.float32)
        self.wide_codes = self.codes if weights.dtype == np.float32 else np.empty(width, np.float64)
        self.total = np.empty(rows, np.float32)
        self.wide_total = self.total if weights.dtype == np.float32 else np.empty(rows, np.float64)
        self.factor = np.empty(rows, np.float32)

    def __call__(self, hidden: Floats) -> Floats:
        """f32(sum) * (1/hidden_scale * 1/weight_scale); zeros for a hidden state of zeros."""
        np.absolute(hidden, out=self.magnitude)
        largest = self.magnitude.max()
        if not largest < INFINITY:
            check_finite(self.layer, self.magnitude)
        scale = CODE_MAX / largest
        if scale == INFINITY:
            self.total.fill(0.0)
            return self.total
        np.multiply(hidden, scale, out=self.codes)
        round_half_away(self.codes, self.magnitude)
        if self.wide_codes is not self.codes:
            np.copyto(self.wide_codes, self.codes)
        np.dot(self.weights, self.wide_codes, out=self.wide_total)
        if self.wide_total is not self.total:
            np.copyto(self.total, self.wide_total, casting="same_kind")
        np.multiply(self.reciprocal_scales, ONE / scale, out=self.factor)
        np.multiply(self.total, self.factor, out=self.total)
        return self.total


class Function:
    """exp or tanh of one vector a step: in binary64, rounded once to binary32.

    numpy's results may be a few units of binary64 away from the C library's. `doubtful` tells after some steps whether
    that can have changed a binary32 result; with `careful` set such results are computed again, as they arise.
    """

    def __init__(self, ufunc: Callable[..., Doubles], exact: Callable[[float], float], width: int) -> None:
        self.ufunc = ufunc
        self.exact = exact
        self.careful = False
        self.results = np.empty((CHUNK, width), np.float64)

    def __call__(self, step: int, values: Floats, out: Floats) -> None:
        """The function of `values` into `out`; `step` counts from 0 within the chunk."""
        results = self.results[step]
        self.ufunc(values, out=results, dtype=np.float64)
        if self.careful:
            np.copyto(out, round_results(values.astype(np.float64), results, self.exact))
        else:
            np.copyto(out, results, casting="same_kind")

    def doubtful(self, steps: int) -> bool:
        """Whether a result of the first `steps` steps lies beside a tie of binary32."""
        results = self.results[:steps]
        below = (results * (1.0 - DOUBT)).astype(np.float32)
        return bool((below != (results * (1.0 + DOUBT)).astype(np.float32)).any())


def exp_function(width: int) -> Function:
    """exp; the caller negates."""
    return Function(np.exp, exact_exp, width)


def tanh_function(width: int) -> Function:
    """Tanh."""
    return Function(np.tanh, math.tanh, width)


def sigmoid(exp: Function, step: int, gates: Floats) -> None:
    """1 / (1 + exp(-gates)), in place."""
    np.negative(gates, out=gates)
    exp(step, gates, gates)
    np.add(ONE, gates, out=gates)
    np.divide(ONE, gates, out=gates)


class Cell(ABC):
    """One direction of one run: the states and the buffers that its steps reuse."""

    states: list[Floats]
    """Hidden state, then the cell state of an LSTM; steps overwrite them in place."""
    functions: list[Function]

    @abstractmethod
    def step(self, index: int, inputs: Floats) -> None:
        """One time step, number `index` of its chunk; `inputs` is the input part of the gates at that time."""

    def run(self, inputs: Floats, outputs: Floats) -> None:
        """All time steps, from the first row of `inputs` to the last; `outputs` receives the hidden states."""
        for begin in range(0, len(inputs), CHUNK):
            end = min(begin + CHUNK, len(inputs))
            before = [state.copy() for state in self.states]
            self._steps(inputs[begin:end], outputs[begin:end])
            if any(function.doubtful(end - begin) for function in self.functions):
                self._again(before, inputs[begin:end], outputs[begin:end])

    def _again(self, before: list[Floats], inputs: Floats, outputs: Floats) -> None:
        for state, value in zip(self.states, before, strict=True):
            np.copyto(state, value)
        for function in self.functions:
            function.careful = True
        self._steps(inputs, outputs)
        for function in self.functions:
            function.careful = False

    def _steps(self, inputs: Floats, outputs: Floats) -> None:
        hidden = self.states[0]
        for index, row in enumerate(inputs):
            self.step(index, row)
            outputs[index] = hidden


@dataclass(frozen=True)
class Direction:
    """The weights of one direction. Weights are float, or int8 codes as floats; reciprocal scales belong to codes."""

    input_weights: Array
    """(I, rows)."""
    input_reciprocals: Floats | None
    """(rows,)."""
    weights: Array
    """(rows, N), of the hidden state."""
    reciprocal_scales: Floats | None
    """(rows,)."""
    bias: Floats
    """(bias rows, H)."""
    projection: Floats | None
    """(N, H) of an LSTM with projection."""
    compiled: CompiledSteps | None = None
    """What runs the steps faster than the numpy cell, where there is such."""

    def product(self, layer: Layer) -> HiddenProduct:
        """A hidden product with buffers of its own."""
        if self.reciprocal_scales is None:
            return FloatProduct(self.weights)
        return Int8Product(layer, self.weights, self.reciprocal_scales)


Shape3 = tuple[int, int, int]
MakeCell = Callable[[Layer, Direction, list[Floats]], Cell]
AddBias = Callable[[Floats, Floats], None]
"""Add to the input part (T, rows) of one direction what belongs there of the bias (bias rows, H)."""


class Recurrent:
    """A prepared RNN, LSTM or GRU."""

    def __init__(
        self, layer: Layer, *, gates: int, bias_rows: int, state_count: int, make_cell: MakeCell, add_bias: AddBias
    ) -> None:
        get = layer.get
        self.layer = layer
        self.make_cell = make_cell
        self.add_bias = add_bias
        self.direction = get.integer("direction")
        if self.direction not in (0, 1, 2):
            raise fault(layer, f"has direction {self.direction}, but there are only 0, 1 and 2")
        self.count = count = 2 if self.direction == 2 else 1
        self.num_output = num_output = get.integer("num_output")
        self.hidden_size = hidden_size = get.integer("hidden_size") if layer.type == "LSTM" else num_output
        if num_output < 1 or hidden_size < 1:
            raise fault(layer, "needs a positive num_output and hidden_size")
        for what, number in (("bottoms", len(layer.bottoms)), ("tops", len(layer.tops))):
            if number not in (1, 1 + state_count):
                raise fault(layer, f"has 1 or {1 + state_count} {what}, not {number}")
        self.widths = (num_output, hidden_size)[:state_count]
        self.rows = rows = gates * hidden_size
        self.input_size, rest = divmod(get.integer("weight_data_size"), count * rows)
        if rest or self.input_size < 1:
            raise fault(layer, f"has a weight_data_size that is no positive multiple of {count * rows} gate rows")
        self.int8 = get.integer("int8_scale_term") != 0
        self._prepare_weights(bias_rows)

    def _prepare_weights(self, bias_rows: int) -> None:
        layer, count, rows = self.layer, self.count, self.rows
        bias = float_records(layer, "bias_c_data", count, bias_rows, self.hidden_size)
        projections: list[Floats | None] = [None] * count
        if self.hidden_size != self.num_output:
            projections = list(float_records(layer, "weight_hr_data", count, self.num_output, self.hidden_size))
        make = self._int8_directions if self.int8 else self._float_directions
        self.directions = make((count, rows, self.input_size), (count, rows, self.num_output), bias, projections)

    def _int8_directions(
        self, input_shape: Shape3, hidden_shape: Shape3, bias: Floats, projections: list[Floats | None]
    ) -> list[Direction]:
        layer = self.layer
        codes = int8_records(layer, "weight_xc_data", *input_shape)
        hidden_codes = int8_records(layer, "weight_hc_data", *hidden_shape)
        reciprocals = ONE / positive_scales(layer, "weight_xc_data_int8_scales", *input_shape[:2])
        hidden_reciprocals = ONE / positive_scales(layer, "weight_hc_data_int8_scales", *hidden_shape[:2])
        dtype, hidden_dtype = exact_dtype(layer, codes), exact_dtype(layer, hidden_codes)
        return [
            Direction(
                code.astype(dtype).T,
                reciprocal,
                hidden_code.astype(hidden_dtype),
                hidden_reciprocal,
                row,
                projection,
                None
                if projection is not None
                else int8_steps(layer.type, code, reciprocal, hidden_code, hidden_reciprocal, row),
            )
            for code, reciprocal, hidden_code, hidden_reciprocal, row, projection in zip(
                codes, reciprocals, hidden_codes, hidden_reciprocals, bias, projections, strict=True
            )
        ]

    def _float_directions(
        self, input_shape: Shape3, hidden_shape: Shape3, bias: Floats, projections: list[Floats | None]
    ) -> list[Direction]:
        layer = self.layer
        inputs = float_records(layer, "weight_xc_data", *input_shape)
        hidden = float_records(layer, "weight_hc_data", *hidden_shape)
        return [
            Direction(
                matrix.T,
                None,
                hidden_matrix,
                None,
                row,
                projection,
                None if projection is not None else float_steps(layer.type, hidden_matrix, row),
            )
            for matrix, hidden_matrix, row, projection in zip(inputs, hidden, bias, projections, strict=True)
        ]

    @property
    def kernel(self) -> str:
        """What runs the steps, for plans; all directions are alike."""
        compiled = self.directions[0].compiled
        return "numpy" if compiled is None else f"steps {compiled.level.name}"

    def __call__(self, bottoms: list[Array]) -> list[Array]:
        """(T, I) and optionally the initial states to (T, D·N) and, where the layer has tops for them, the states."""
        inputs = float_blob(self.layer, bottoms[0], 1, 2)
        if inputs.ndim == 1:
            inputs = inputs[np.newaxis]
        if inputs.shape[1] != self.input_size:
            raise fault(
                self.layer,
                f"takes rows of {self.input_size} values, but got {inputs.shape[1]}",
            )
        given = bottoms[1:]
        initial = [self._state(blob, width) for blob, width in zip(given, self.widths, strict=True)] if given else []
        output = np.empty((len(inputs), self.count * self.num_output), np.float32)
        final: list[list[Floats]] = []
        for index, direction in enumerate(self.directions):
            states = [blob[index].copy() for blob in initial] or [np.zeros(width, np.float32) for width in self.widths]
            half = output if self.count == 1 else output[:, index * self.num_output : (index + 1) * self.num_output]
            if self.direction == 1 or index == 1:
                self._run(direction, states, inputs[::-1], half[::-1])
            else:
                self._run(direction, states, inputs, half)
            final.append(states)
        if len(self.layer.tops) == 1:
            return [output]
        stacked = [np.stack([states[i] for states in final]) for i in range(len(self.widths))]
        if given:
            stacked = [state.reshape(blob.shape) for state, blob in zip(stacked, given, strict=True)]
        return [output, *stacked]

    def _run(self, direction: Direction, states: list[Floats], inputs: Floats, outputs: Floats) -> None:
        """All time steps of one direction, from the first row to the last."""
        if direction.compiled is None:
            self._run_numpy(direction, states, inputs, outputs)
        elif self.int8:
            direction.compiled.run(states, inputs, outputs, partial(self._run_numpy, direction, states))
        else:
            self._run_floats(direction.compiled, direction, states, inputs, outputs)

    @np.errstate(all="ignore")
    def _run_floats(
        self, compiled: CompiledSteps, direction: Direction, states: list[Floats], inputs: Floats, outputs: Floats
    ) -> None:
        redo = partial(self._run_cell, direction, states)
        compiled.run(states, self._input_part(direction, inputs), outputs, redo)

    @np.errstate(all="ignore")
    def _run_numpy(self, direction: Direction, states: list[Floats], inputs: Floats, outputs: Floats) -> None:
        self._run_cell(direction, states, self._input_part(direction, inputs), outputs)

    def _run_cell(self, direction: Direction, states: list[Floats], part: Floats, outputs: Floats) -> None:
        self.make_cell(self.layer, direction, states).run(part, outputs)

    def _input_part(self, direction: Direction, inputs: Floats) -> Floats:
        """The input part of the gates, (T, rows): Wx · x, dequantized in the int8 form, and the bias that it has."""
        if direction.input_reciprocals is None:
            part: Floats = np.matmul(inputs, direction.input_weights)
        else:
            largest = np.abs(inputs).max(axis=1, keepdims=True)
            check_finite(self.layer, largest)
            scales = CODE_MAX / largest
            codes = quantize_by(inputs, scales)
            totals = np.matmul(codes.astype(direction.input_weights.dtype, copy=False), direction.input_weights)
            part = (ONE / scales) * direction.input_reciprocals
            np.multiply(totals.astype(np.float32, copy=False), part, out=part)
        self.add_bias(part, direction.bias)
        return part

    def _state(self, blob: Array, width: int) -> Floats:
        state = float_blob(self.layer, blob, 1, 2)
        if state.shape != (self.count, width) and (self.count == 2 or state.shape != (width,)):
            raise fault(
                self.layer,
                f"takes a state of shape {(self.count, width)}, but got {state.shape}",
            )
        return state.reshape(self.count, width)
