"""The steps of RNN, LSTM and GRU by compiled kernels.

The results hold the same bits as those of the numpy cells. Where the kernels cannot tell how a number rounds, or a
number leaves the range that they are made for, the numpy cell computes the chunk of steps again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from librt.vecs import vec
from mypy_extensions import i16, i64, u8
from numpy.typing import NDArray

from fastpath import kernels
from fastpath.arena import byte_buffer, double_buffer, int_buffer, long_vec, word_buffer
from fastpath.kernels import Kernels
from fastpath.kernels.packing import dense_form, pack_dense, round_up
from fastpath.kernels.source.capacity import (
    ACCUMULATOR_SLACK,
    ACCUMULATORS,
    BLOCK,
    CHUNK,
    FEATURES,
    NUMBERS,
    PATCH,
    POINTS,
    SLACK,
    STATES,
)
from fastpath.kernels.source.recurrent import (
    GRU,
    LSTM,
    RNN,
    Recurrence,
    RecurrentInput,
    RecurrentScratch,
)
from fastpath.layers.common import Array, Doubles, Floats

KINDS = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}

STEPS = 32
"""Steps of one chunk, at most."""

ROWS = 8
"""Rows of weights that a kernel reads at a time."""

MOST_VIEWS = 16
"""Chunks of different shapes whose views a thread keeps."""

VECTOR = 64
"""Bytes of a row are a multiple of this."""

NARROW_WIDTH = 384
"""Inputs up to this width run on 256-bit vectors."""

PLAIN_RECIPROCALS = (1e-12, 1e12)
"""Reciprocal weight scales between these never bring a product out of binary32's normal numbers."""


Redo = Callable[[Floats, Floats], None]
"""Computes a chunk of steps in numpy, from the same inputs and states; outputs and states change in place."""


class _Shape(NamedTuple):
    """What a layer needs of the buffers: the bytes of a row of its input, gate rows, N, and k."""

    width: int
    rows: int
    hidden: int
    k: int

    @property
    def pitch(self) -> int:
        """Bytes of a row of codes."""
        return round_up(self.width, VECTOR)


@dataclass(frozen=True, slots=True)
class _Views:
    """The buffers of a thread as one chunk of steps uses them.

    The codes of the rows begin at `points`, those of the last one again for whole blocks. `beyond` is what must be 0:
    from the ends of the rows to the pitch, and from the end of the hidden state to k.
    """

    rows: Doubles
    points: vec[i64]
    sums: NDArray[np.int32]
    inputs: Doubles
    outputs: Doubles
    hidden: Doubles
    cell: Doubles
    beyond: list[Doubles]


class _Workshop(threading.local):
    """The buffers that all recurrent layers of one thread share."""

    def __init__(self) -> None:
        self.octets, self.words = byte_buffer(FEATURES + SLACK), word_buffer(PATCH + VECTOR)
        self.packed = long_vec(np.zeros(0, np.int64), STATES)
        self.sums = int_buffer(ACCUMULATORS + ACCUMULATOR_SLACK)
        self.gates, self.hidden, self.cell, self.work, self.doubt, self.inverses = (
            double_buffer(NUMBERS) for _ in range(6)
        )
        self.rows, self.inputs, self.outputs = (double_buffer(CHUNK + STATES) for _ in range(3))
        self.records: dict[str, RecurrentScratch] = {}
        self.kept: dict[tuple[_Shape, int], _Views] = {}

    def views(self, shape: _Shape, steps: int) -> _Views:
        """The buffers as arrays, for so many steps of a layer."""
        views = self.kept.get((shape, steps))
        if views is None:
            if len(self.kept) >= MOST_VIEWS:
                self.kept.clear()
            views = self.kept[shape, steps] = self._cut(shape, steps)
        return views

    def _cut(self, shape: _Shape, steps: int) -> _Views:
        step = round_up(shape.rows, ROWS)
        rows = self.rows.items[: steps * shape.pitch].reshape(steps, shape.pitch)
        places = np.minimum(np.arange(steps + 8), steps - 1) * shape.pitch
        beyond = [rows[:, shape.width :], self.hidden.items[shape.hidden : shape.k]]
        return _Views(
            rows[:, : shape.width],
            long_vec(self.octets.start + places, POINTS),
            self.sums.items[: steps * step].reshape(steps, step)[:, : shape.rows],
            self.inputs.items[: steps * shape.rows].reshape(steps, shape.rows),
            self.outputs.items[: steps * shape.hidden].reshape(steps, shape.hidden),
            self.hidden.items[: shape.hidden],
            self.cell.items[: shape.hidden],
            [part for part in beyond if part.size],
        )

    def record(self, level: Kernels) -> RecurrentScratch:
        """The buffers as a record of one level."""
        if level.name not in self.records:
            self.records[level.name] = level.recurrent.RecurrentScratch(
                self.octets.data,
                self.octets.start,
                self.words.data,
                self.words.start,
                self.packed,
                self.sums.data,
                self.sums.start,
                self.gates.data,
                self.hidden.data,
                self.cell.data,
                self.work.data,
                self.doubt.data,
                self.inverses.data,
                self.rows.data,
                self.inputs.data,
                self.outputs.data,
            )
        return self.records[level.name]


class _LazyWorkshop(threading.local):
    """The workshop, made where it is first needed."""

    made: _Workshop | None = None


_LOCAL = _LazyWorkshop()


def _workshop() -> _Workshop:
    if _LOCAL.made is None:
        _LOCAL.made = _Workshop()
    return _LOCAL.made


class CompiledInput:
    """The input part of one direction's gates: int8 weights (rows, I) times codes, dequantized, plus bias."""

    def __init__(self, level: Kernels, weights: NDArray[np.int8], reciprocals: Floats, bias: Floats) -> None:
        self.level = level
        self.rows, self.width = weights.shape
        self.pitch = round_up(self.width, VECTOR)
        self.product_level = kernels.narrow() if self.width <= NARROW_WIDTH else kernels.wide()
        shaped = weights.reshape(self.rows, self.width, 1, 1)
        self.weights = pack_dense(self.product_level, shaped, dense_form(self.product_level, shaped))
        self.record: RecurrentInput = level.recurrent.RecurrentInput(
            self.pitch,
            self.rows,
            _doubles(128 * weights.sum(axis=1, dtype=np.int64)),
            _doubles(reciprocals),
            _doubles(bias),
        )

    def fill(self, shop: _Workshop, scratch: RecurrentScratch, views: _Views, rows: Floats) -> bool:
        """The gates of `rows` (count, I) into the inputs of the workshop; False where the kernels do not suffice."""
        count = len(rows)
        np.copyto(views.rows, rows)
        if not self.level.recurrent.input_codes(self.record, scratch, count):
            return False
        step = round_up(self.rows, ROWS)
        self.product_level.dense.multiply(
            shop.octets.data, views.points, count, self.weights, shop.sums.data, shop.sums.start, step, 1
        )
        np.copyto(views.inputs, views.sums)
        self.level.recurrent.input_gates(self.record, scratch, count)
        return True


class CompiledSteps:
    """One direction of a recurrent layer.

    In the int8 form `weights` (rows, N) are codes, `reciprocals` those of their scales, and the steps take rows of the
    layer's input. In the float form both latter are None, and the steps take the input part of the gates.
    """

    def __init__(
        self,
        level: Kernels,
        kind: str,
        weights: Array,
        reciprocals: Floats | None,
        inputs: CompiledInput | None,
        bias: Floats,
    ) -> None:
        self.level, self.kind = level, KINDS[kind]
        self.rows, self.hidden = weights.shape
        self.k = round_up(self.hidden, VECTOR)
        self.inputs = inputs
        self.shape = _Shape(inputs.width if inputs else 0, self.rows, self.hidden, self.k)
        self.chunk = max(min(STEPS, CHUNK // max(self.rows, inputs.pitch if inputs else 0)), 1)
        self.weights: Floats | None = weights if reciprocals is None else None
        own_bias = bias[2:].reshape(-1) if kind == "GRU" else np.zeros(0, np.float32)
        if reciprocals is None:
            self.record = self._pack(np.zeros((0, self.hidden), np.int8), np.zeros(0, np.float32), own_bias)
        else:
            self.record = self._pack(weights, reciprocals, own_bias)

    def _pack(self, codes: NDArray[np.int8], reciprocals: Floats, bias: Floats) -> Recurrence:
        k, rows = self.k, round_up(codes.shape[0], ROWS)
        padded = np.zeros((rows, k), np.int16)
        padded[: codes.shape[0], : self.hidden] = codes
        byte_blocks: list[vec[u8]] = []
        word_blocks: list[vec[i16]] = []
        starts, counts = [], []
        step = BLOCK // k // ROWS * ROWS
        for first in range(0, rows, step):
            block = padded[first : first + step]
            if self.level.multiplies_bytes:
                octets = byte_buffer(BLOCK + PATCH)
                octets.items[: block.size] = (block + 128).reshape(-1)
                byte_blocks.append(octets.data)
                starts.append(octets.start)
            else:
                words = word_buffer(BLOCK + PATCH)
                words.items[: block.size] = block.reshape(-1)
                word_blocks.append(words.data)
                starts.append(words.start)
            counts.append(block.shape[0])
        record: Recurrence = self.level.recurrent.Recurrence(
            self.hidden,
            k,
            not self.level.multiplies_bytes,
            byte_blocks,
            word_blocks,
            long_vec(np.array(starts, np.int64), len(starts)),
            long_vec(np.array(counts, np.int64), len(counts)),
            _doubles(reciprocals),
            _doubles(bias),
        )
        return record

    def run(self, states: list[Floats], inputs: Floats, outputs: Floats, redo: Redo) -> None:
        """All time steps, from the first row of `inputs` to the last; `states` change in place."""
        for begin in range(0, len(inputs), self.chunk):
            part = slice(begin, begin + self.chunk)
            if not self._run_chunk(states, inputs[part], outputs[part]):
                redo(inputs[part], outputs[part])

    def _run_chunk(self, states: list[Floats], inputs: Floats, outputs: Floats) -> bool:
        """Whether the kernels could tell all results; only then states and outputs change."""
        shop, count = _workshop(), len(inputs)
        views, scratch = shop.views(self.shape, count), shop.record(self.level)
        for part in views.beyond:
            part.fill(0.0)
        if self.inputs is None:
            np.copyto(views.inputs, inputs)
        elif not self.inputs.fill(shop, scratch, views, inputs):
            return False
        np.copyto(views.hidden, states[0])
        if len(states) > 1:
            np.copyto(views.cell, states[1])
        if self.weights is None:
            known = self.level.recurrent.int8_steps(self.kind, self.record, scratch, count, self.rows)
        else:
            known = self._float_steps(self.weights, states[0], scratch, views, count)
        if known:
            np.copyto(outputs, views.outputs, casting="same_kind")
            np.copyto(states[0], views.hidden, casting="same_kind")
            if len(states) > 1:
                np.copyto(states[1], views.cell, casting="same_kind")
        return bool(known)

    def _float_steps(
        self, weights: Floats, hidden: Floats, scratch: RecurrentScratch, views: _Views, count: int
    ) -> bool:
        if not self.level.recurrent.can_begin(self.kind, self.record, scratch):
            return False
        total, state = np.empty(self.rows, np.float32), hidden.copy()
        gates, new_state = _workshop().gates.items[: self.rows], views.hidden
        step = self.level.recurrent.gate_step
        for index in range(count):
            np.dot(weights, state, out=total)
            np.copyto(gates, total)
            if not step(self.kind, self.record, scratch, index, self.rows):
                return False
            np.copyto(state, new_state, casting="same_kind")
        return True


def _doubles(values: NDArray[Any]) -> vec[float]:
    buffer = double_buffer(NUMBERS)
    buffer.items[: values.size] = values.reshape(-1)
    return buffer.data


def _are_plain(reciprocals: Floats) -> bool:
    low, high = PLAIN_RECIPROCALS
    magnitudes = np.abs(reciprocals)
    return bool((magnitudes >= low).all() and (magnitudes <= high).all())


def _fits(kind: str, rows: int, hidden: int) -> bool:
    return kernels.COMPILED and rows + ROWS <= STATES and rows == GATES[kind] * hidden


def _input_bias(kind: str, bias: Floats) -> Floats:
    """What is added to the input part of the gates. Adding -0 changes no number: GRU's new gate gets its bias later."""
    if kind != "GRU":
        return bias
    return np.stack([bias[0], bias[1], np.full_like(bias[0], -0.0)])


def int8_steps(
    kind: str,
    input_weights: NDArray[np.int8],
    input_reciprocals: Floats,
    hidden_weights: NDArray[np.int8],
    hidden_reciprocals: Floats,
    bias: Floats,
) -> CompiledSteps | None:
    """The compiled steps of one direction; None where there are no kernels, or none for such a layer."""
    if not _fits(kind, *hidden_weights.shape) or input_weights.shape[1] > STATES:
        return None
    if not _are_plain(input_reciprocals) or not _are_plain(hidden_reciprocals):
        return None
    level = kernels.wide()
    inputs = CompiledInput(level, input_weights, input_reciprocals, _input_bias(kind, bias))
    return CompiledSteps(level, kind, hidden_weights, hidden_reciprocals, inputs, bias)


def float_steps(kind: str, hidden_weights: Floats, bias: Floats) -> CompiledSteps | None:
    """The same for the float form."""
    if not _fits(kind, *hidden_weights.shape):
        return None
    return CompiledSteps(kernels.wide(), kind, hidden_weights, None, None, bias)
