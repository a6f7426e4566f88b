"""The steps of RNN, LSTM and GRU by compiled kernels.

The results hold the same bits as those of the numpy cells. Where the kernels cannot tell how a number rounds, or a
number leaves the range that they are made for, the numpy cell computes the chunk of steps again.
"""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np
from librt.vecs import vec
from mypy_extensions import i16, i64, u8
from numpy.typing import NDArray

from fastpath import kernels
from fastpath.arena import byte_buffer, double_buffer, int_buffer, long_vec, word_buffer
from fastpath.kernels import Kernels
from fastpath.kernels.packing import dense_form, fits_dense, pack_dense, round_up
from fastpath.kernels.source.capacity import (
    ACCUMULATOR_SLACK,
    ACCUMULATORS,
    BLOCK,
    FEATURES,
    PATCH,
    POINTS,
    SLACK,
)
from fastpath.kernels.source.recurrent import CHUNK, GRU, LSTM, RNN, STATES, Recurrence, RecurrentScratch
from fastpath.layers.common import Array, Floats

KINDS = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}

STEPS = 32
"""Steps of one chunk, at most."""

ROWS = 8
"""Rows of weights that a kernel reads at a time."""

MOST_PLACES = 8
"""Tables of offsets that a thread keeps."""

VECTOR = 64
"""Bytes of a row are a multiple of this."""

NARROW_WIDTH = 384
"""Inputs up to this width run on 256-bit vectors."""

PLAIN_RECIPROCALS = (1e-12, 1e12)
"""Reciprocal weight scales between these never bring a product out of binary32's normal numbers."""


class NumpyCell(Protocol):
    """What computes the steps where kernels do not."""

    states: list[Floats]
    """Hidden state, then the cell state of an LSTM."""

    def run(self, inputs: Floats, outputs: Floats) -> None:
        """All time steps, from the first row of `inputs` to the last; `states` changes in place."""


class _Workshop(threading.local):
    """The buffers that all recurrent layers of one thread share."""

    def __init__(self) -> None:
        self.octets, self.words = byte_buffer(PATCH + VECTOR), word_buffer(PATCH + VECTOR)
        self.sums = int_buffer(STATES)
        self.gates, self.hidden, self.cell, self.work, self.doubt = (double_buffer(2 * STATES) for _ in range(5))
        self.inputs, self.outputs = double_buffer(CHUNK + STATES), double_buffer(CHUNK + STATES)
        self.records: dict[str, RecurrentScratch] = {}
        self.has_products = False

    def need_products(self) -> None:
        """Make the buffers of the input part."""
        if not self.has_products:
            self.features, self.products = byte_buffer(FEATURES + SLACK), int_buffer(ACCUMULATORS + ACCUMULATOR_SLACK)
            self.places: dict[tuple[int, int], vec[i64]] = {}
            self.has_products = True

    def points(self, count: int, k: int) -> vec[i64]:
        """Where the codes of `count` steps begin, k bytes apart; the last one again for whole blocks."""
        if (count, k) not in self.places:
            if len(self.places) >= MOST_PLACES:
                self.places.clear()
            steps = np.minimum(np.arange(count + 8), count - 1)
            self.places[count, k] = long_vec(self.features.start + steps * k, POINTS)
        return self.places[count, k]

    def record(self, level: Kernels) -> RecurrentScratch:
        """The buffers as a record of one level."""
        if level.name not in self.records:
            self.records[level.name] = level.recurrent.RecurrentScratch(
                self.octets.data,
                self.octets.start,
                self.words.data,
                self.words.start,
                self.sums.data,
                self.gates.data,
                self.hidden.data,
                self.cell.data,
                self.work.data,
                self.doubt.data,
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
    """The input part of all time steps: int8 weights (rows, I) times codes."""

    def __init__(self, weights: NDArray[np.int8]) -> None:
        self.rows, self.width = weights.shape
        self.level = kernels.narrow() if self.width <= NARROW_WIDTH else kernels.wide()
        shaped = weights.reshape(self.rows, self.width, 1, 1)
        self.weights = pack_dense(self.level, shaped, dense_form(self.level))
        self.excess = (128 * weights.sum(axis=1, dtype=np.int64)).astype(np.int32)

    def __call__(self, codes: Floats) -> Floats:
        """The sums (T, rows) of whole numbers (T, I), rounded to binary32."""
        shop = _workshop()
        shop.need_products()
        k, step = self.weights.k, round_up(self.rows, ROWS)
        at_once = min(FEATURES // k - 1, ACCUMULATORS // step, POINTS - 16)
        totals = np.empty((len(codes), self.rows), np.float32)
        for first in range(0, len(codes), at_once):
            part = codes[first : first + at_once]
            count = len(part)
            octets = shop.features.items[: count * k].reshape(count, k)
            np.add(part, np.float32(128), out=octets[:, : self.width], casting="unsafe")
            points = shop.points(count, k)
            acc = shop.products
            self.level.dense.multiply(shop.features.data, points, count, self.weights, acc.data, acc.start, step, 1)
            sums = acc.items[: count * step].reshape(count, step)[:, : self.rows]
            np.subtract(sums, self.excess, out=sums)
            np.copyto(totals[first : first + count], sums, casting="same_kind")
        return totals


class CompiledSteps:
    """One direction of a recurrent layer: recurrent weights (rows, N), int8 with `reciprocals` (rows,), or float32."""

    def __init__(
        self,
        level: Kernels,
        kind: str,
        weights: Array,
        reciprocals: Floats | None,
        bias: Floats,
    ) -> None:
        self.level, self.kind = level, KINDS[kind]
        self.rows, self.hidden = weights.shape
        self.weights: Floats | None = weights if reciprocals is None else None
        self.lstm = kind == "LSTM"
        own_bias = bias[2:].reshape(-1) if kind == "GRU" else np.zeros(0, np.float32)
        if reciprocals is None:
            self.record = self._pack(np.zeros((0, self.hidden), np.int8), np.zeros(0, np.float32), own_bias)
        else:
            self.record = self._pack(weights, reciprocals, own_bias)

    def _pack(self, codes: NDArray[np.int8], reciprocals: Floats, bias: Floats) -> Recurrence:
        k = -(-self.hidden // VECTOR) * VECTOR
        rows = -(-codes.shape[0] // ROWS) * ROWS
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
        excess = int_buffer(STATES)
        if self.level.multiplies_bytes:
            excess.items[:rows] = 128 * padded.sum(axis=1, dtype=np.int64)
        record: Recurrence = self.level.recurrent.Recurrence(
            self.hidden,
            k,
            not self.level.multiplies_bytes,
            byte_blocks,
            word_blocks,
            long_vec(np.array(starts, np.int64), len(starts)),
            long_vec(np.array(counts, np.int64), len(counts)),
            excess.data,
            excess.start,
            _doubles(reciprocals),
            _doubles(bias),
        )
        return record

    def run(self, cell: NumpyCell, inputs: Floats, outputs: Floats) -> None:
        """All time steps, like the cell's own `run`."""
        chunk = max(min(STEPS, CHUNK // self.rows), 1)
        for begin in range(0, len(inputs), chunk):
            part = slice(begin, min(begin + chunk, len(inputs)))
            if not self._run_chunk(cell.states, inputs[part], outputs[part]):
                cell.run(inputs[part], outputs[part])

    def _run_chunk(self, states: list[Floats], inputs: Floats, outputs: Floats) -> bool:
        """Whether the kernels could tell all results; only then states and outputs change."""
        shop, n, count = _workshop(), self.hidden, len(inputs)
        scratch = shop.record(self.level)
        shop.inputs.items[: count * self.rows].reshape(count, self.rows)[:] = inputs
        shop.hidden.items[:n] = states[0]
        shop.hidden.items[n : n + 4] = 0.0
        if self.lstm:
            shop.cell.items[:n] = states[1]
        doubt = shop.doubt.items[: self.rows]
        doubt.fill(0.0)
        if self.weights is None:
            known = self.level.recurrent.int8_steps(self.kind, self.record, scratch, count, self.rows)
        else:
            known = self._float_steps(self.weights, states[0], scratch, shop, count)
        if not known or doubt.any():
            return False
        outputs[:] = shop.outputs.items[: count * n].reshape(count, n)
        states[0][:] = shop.hidden.items[:n]
        if self.lstm:
            states[1][:] = shop.cell.items[:n]
        return True

    def _float_steps(
        self, weights: Floats, hidden: Floats, scratch: RecurrentScratch, shop: _Workshop, count: int
    ) -> bool:
        total, state = np.empty(self.rows, np.float32), hidden.copy()
        gates, new_state = shop.gates.items[: self.rows], shop.hidden.items[: self.hidden]
        step = self.level.recurrent.gate_step
        for index in range(count):
            np.dot(weights, state, out=total)
            np.copyto(gates, total)
            step(self.kind, self.record, scratch, index, self.rows)
            np.copyto(state, new_state, casting="same_kind")
        return True


def _doubles(values: Floats) -> vec[float]:
    buffer = double_buffer(2 * STATES)
    buffer.items[: values.size] = values
    return buffer.data


def compiled_steps(kind: str, weights: Array, reciprocals: Floats | None, bias: Floats) -> CompiledSteps | None:
    """The compiled steps of one direction; None where there are no kernels, or none for such a layer."""
    rows, hidden = weights.shape
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    if not kernels.COMPILED or rows + ROWS > STATES or rows != gates * hidden:
        return None
    if reciprocals is not None:
        low, high = PLAIN_RECIPROCALS
        magnitudes = np.abs(reciprocals)
        if not (magnitudes >= low).all() or not (magnitudes <= high).all():
            return None
    return CompiledSteps(kernels.wide(), kind, weights, reciprocals, bias)


def compiled_input(weights: NDArray[np.int8]) -> CompiledInput | None:
    """The compiled input part for weights (rows, I); None where there are no kernels, or none for such weights."""
    if not kernels.COMPILED or not fits_dense(weights.reshape(*weights.shape, 1, 1)):
        return None
    return CompiledInput(weights)
