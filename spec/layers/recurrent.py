"""What RNN, LSTM and GRU share: time, directions, states, and the two matrix products of every step.

A step computes gates from the input row and from the previous hidden state, each times its own weights. The float and
the int8 form differ in nothing but that product, so each layer's formula is written once, over `Matrix`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from spec.binary32 import Profile, add_products, f32, multiply_add
from spec.blob import Blob
from spec.graph import Layer, Shape
from spec.layers.common import fault, floats, require_weights
from spec.layers.quantize import int8_codes, require_finite
from spec.layers.static_scales import split
from spec.rounding import MAX_TERMS, absmax, dot, dynamic_scale

REVERSE, BOTH = 1, 2
"""Values of the parameter `direction`; 0 is forward in time."""


@dataclass(frozen=True)
class Row:
    """An input row or a hidden state about to be multiplied. In the float form it has no codes, and scale 1."""

    values: list[float]
    codes: list[int]
    scale: float


class Matrix(Protocol):
    """Weights of all gates: one row for each unit of each gate."""

    def add_to(self, start: Sequence[float], row: Row, first: int = 0) -> list[float]:
        """`start` plus the products of `row` with the matrix rows from `first` on, as many as `start` has."""


@dataclass(frozen=True)
class FloatMatrix:
    """Binary32 weights. `columns[i]` holds what the i-th value of a row is multiplied with."""

    columns: list[list[float]]

    def add_to(self, start: Sequence[float], row: Row, first: int = 0) -> list[float]:
        """One rounded product is added after the other, in the order of the row."""
        totals = array("f", start)
        for value, column in zip(row.values, self.columns, strict=True):
            totals = add_products(totals, column[first : first + len(start)], value)
        return totals.tolist()


@dataclass(frozen=True)
class Int8Matrix:
    """int8 weights with one scale for each matrix row."""

    rows: list[list[int]]
    scales: list[float]
    profile: Profile

    def add_to(self, start: Sequence[float], row: Row, first: int = 0) -> list[float]:
        """The exact integer sum is multiplied by (1 / row scale) * (1 / weight scale) and added, one rounding each.

        >>> from spec.binary32 import REFERENCE
        >>> Int8Matrix([[10, 20]], [2.0], REFERENCE).add_to([0.5], Row([1.0, 0.5], [127, 64], 127.0))
        [10.539369583129883]
        """
        totals = []
        for value, unit in zip(start, range(first, first + len(start)), strict=True):
            total = f32(dot(row.codes, self.rows[unit]))
            descale = f32(f32(1.0 / row.scale) * f32(1.0 / self.scales[unit]))
            totals.append(multiply_add(total, descale, value, self.profile))
        return totals


@dataclass(frozen=True)
class Direction:
    """The weights of one direction; `bias` row by row, `projection` (weight_hr of an LSTM) row by row or empty."""

    from_input: Matrix
    from_hidden: Matrix
    bias: list[list[float]]
    projection: list[list[float]]


@dataclass(frozen=True)
class State:
    """What one step hands to the next: the hidden state, and LSTM's cell (empty for the others)."""

    hidden: list[float]
    cell: list[float]


@dataclass(frozen=True)
class StepTrace:
    """One time step, for a reader who wants to check it by hand. In the float form codes are empty and scales are 1.

    `direction` is 0 for the first half of the output and 1 for the second; `time` is the input's row. `hidden_codes`
    are those of the state before the step; `gates` come after their activation; `hidden` and `cell` are the new state.
    """

    direction: int
    time: int
    input_codes: list[int]
    input_scale: float
    hidden_codes: list[int]
    hidden_scale: float
    gates: list[list[float]]
    hidden: list[float]
    cell: list[float]


Step = Callable[[Direction, Row, Row, State], tuple[list[list[float]], State]]
"""From a direction's weights, the input row, the hidden state as a row and the old state to the gates and the new."""


@dataclass(frozen=True)
class Form:
    """What tells the recurrent layers apart.

    `units` names the parameter that counts the units of a gate, `bias_rows` counts the rows of the bias.
    """

    gates: int
    bias_rows: int
    units: str
    has_cell: bool
    step: Step


def run(layer: Layer, bottoms: list[Blob], profile: Profile, form: Form) -> list[Blob]:
    """The outputs (T, num_output * directions), the directions side by side; then the final states, if there are tops.

    The bottoms are the input (T, size), or (size,) for one step, and optionally the hidden state
    (directions, num_output) and, for an LSTM, the cell state (directions, hidden_size); both start at 0. With one
    direction a 1-D state will do, and the final state is 1-D then, too.
    """
    steps = list(trace(layer, bottoms, profile, form))
    directions = _direction_count(layer)
    length = len(steps) // directions
    last = [steps[(index + 1) * length - 1] for index in range(directions)]
    by_place = {(step.time, step.direction): step.hidden for step in steps}
    outputs = [by_place[time, index] for time in range(length) for index in range(directions)]
    tops = [_stack(outputs, (length, directions * layer.get.integer("num_output")))]
    if len(layer.tops) > 1:
        tops.append(_final_state(bottoms, 1, [step.hidden for step in last]))
    if len(layer.tops) > 2:
        tops.append(_final_state(bottoms, 2, [step.cell for step in last]))
    return tops


def trace(layer: Layer, bottoms: list[Blob], profile: Profile, form: Form) -> Iterator[StepTrace]:
    """Every step in the order of computation: the first direction from end to end, then the second."""
    rows = _input_rows(layer, bottoms, form)
    states = _initial_states(layer, bottoms, form)
    for index, direction in enumerate(_directions(layer, profile, form)):
        state = states[index]
        backwards = index == 1 or layer.get["direction"] == REVERSE
        for time in reversed(range(len(rows))) if backwards else range(len(rows)):
            x = _as_row(layer, rows[time], profile)
            h = _as_row(layer, state.hidden, profile)
            gates, state = form.step(direction, x, h, state)
            yield StepTrace(index, time, x.codes, x.scale, h.codes, h.scale, gates, state.hidden, state.cell)


def _as_row(layer: Layer, values: list[float], profile: Profile) -> Row:
    """In int8, a row is quantized with its own scale 127 / absmax; a row of zeros has codes 0 and scale 1.

    (Upstream divides by zero for an input row of zeros, gets codes of -127 and multiplies their sum by 0.)
    """
    if not layer.get["int8_scale_term"]:
        return Row(values, [], 1.0)
    scale = dynamic_scale(absmax(values))
    return Row(values, int8_codes(layer, values, scale, profile), scale)


def _direction_count(layer: Layer) -> int:
    return 2 if layer.get["direction"] == BOTH else 1


def _directions(layer: Layer, profile: Profile, form: Form) -> list[Direction]:
    count, num_output, units = _direction_count(layer), layer.get.integer("num_output"), layer.get.integer(form.units)
    from_input = _matrices(layer, "weight_xc_data", form.gates * units, profile)
    from_hidden = _matrices(layer, "weight_hc_data", form.gates * units, profile)
    biases = require_weights(layer, "bias_c_data", count * form.bias_rows * units)
    projections: list[float] = []
    if units != num_output:
        projections = require_weights(layer, "weight_hr_data", count * num_output * units)
    return [
        Direction(
            from_input[index],
            from_hidden[index],
            split(split(biases, count)[index], form.bias_rows),
            split(split(projections, count)[index], num_output) if projections else [],
        )
        for index in range(count)
    ]


def _matrices(layer: Layer, name: str, rows: int, profile: Profile) -> list[Matrix]:
    """The matrix of each direction."""
    count = _direction_count(layer)
    if layer.get["int8_scale_term"]:
        codes = split(layer.weight(name).int8().tolist(), count)
        scales = split(require_weights(layer, f"{name}_int8_scales", count * rows), count)
        return [Int8Matrix(split(codes[index], rows), scales[index], profile) for index in range(count)]
    weights = split(layer.weight(name).floats().tolist(), count)
    size = len(weights[0]) // rows
    return [FloatMatrix([matrix[i::size] for i in range(size)]) for matrix in weights]


def _input_rows(layer: Layer, bottoms: list[Blob], form: Form) -> list[list[float]]:
    if len(bottoms) not in (1, 2 + form.has_cell):
        raise fault(layer, f"takes 1 or {2 + form.has_cell} bottom blobs, not {len(bottoms)}")
    if len(layer.tops) not in (1, 2 + form.has_cell):
        raise fault(layer, f"has 1 or {2 + form.has_cell} tops, not {len(layer.tops)}")
    blob = bottoms[0]
    size = layer.get.integer("weight_data_size") // (
        _direction_count(layer) * form.gates * layer.get.integer(form.units)
    )
    if len(blob.shape) > 2 or blob.shape[-1] != size or not blob.values:
        raise fault(layer, f"takes rows (T, {size}), not a blob of shape {blob.shape}")
    return split(floats(layer, blob), len(blob.values) // size)


def _initial_states(layer: Layer, bottoms: list[Blob], form: Form) -> list[State]:
    num_output, units = layer.get.integer("num_output"), layer.get.integer(form.units)
    hidden = _initial_state(layer, bottoms[1:2], num_output)
    cell = _initial_state(layer, bottoms[2:3], units) if form.has_cell else [[]] * len(hidden)
    return [State(h, c) for h, c in zip(hidden, cell, strict=True)]


def _initial_state(layer: Layer, bottom: list[Blob], width: int) -> list[list[float]]:
    count = _direction_count(layer)
    if not bottom:
        return [[0.0] * width] * count
    if bottom[0].shape != (count, width) and not (count == 1 and bottom[0].shape == (width,)):
        raise fault(layer, f"takes a state of shape {(count, width)}, not {bottom[0].shape}")
    return split(floats(layer, bottom[0]), count)


def _final_state(bottoms: list[Blob], position: int, rows: list[list[float]]) -> Blob:
    """The final state in the shape that the initial state was given in."""
    shape = bottoms[position].shape if position < len(bottoms) else (len(rows), len(rows[0]))
    return _stack(rows, shape)


def _stack(rows: list[list[float]], shape: Shape) -> Blob:
    return Blob(shape, "float32", [value for row in rows for value in row])


def check(layer: Layer, form: Form) -> None:
    """GraphError for parameters and weights that can never run: see the messages."""
    units, num_output = layer.get.integer(form.units), layer.get.integer("num_output")
    count, size = _direction_count(layer), layer.get.integer("weight_data_size")
    if layer.get.integer("direction") not in (0, REVERSE, BOTH):
        raise fault(layer, f"has direction {layer.get.integer('direction')}, but there are only 0, 1 and 2")
    if units < 1 or num_output < 1:
        raise fault(layer, f"needs at least one unit, but has num_output {num_output} and {units} units a gate")
    if size < 1 or size % (count * form.gates * units):
        raise fault(layer, f"has {size} input weights, which are not whole rows for {count * form.gates * units} units")
    for name in ("weight_xc_data", "weight_hc_data"):
        is_int8 = layer.weight(name).dtype == "int8"
        if not layer.get["int8_scale_term"]:
            if is_int8:
                raise fault(layer, f"has int8 codes in {name}, but no int8_scale_term")
            continue
        if not is_int8:
            raise fault(layer, f"has an int8_scale_term, but floats in {name}")
        if len(layer.weight(name)) // (count * form.gates * units) > MAX_TERMS:
            raise fault(layer, f"sums more than {MAX_TERMS} products, the most that an int32 accumulator is safe for")
        require_finite(layer, f"{name}_int8_scales")
        if 0.0 in layer.weight(f"{name}_int8_scales").floats():
            raise fault(layer, f"has a scale of 0 in {name}_int8_scales")
