"""The vectorised twin of `spec.formats.random_weights`, equal to it bit for bit.

The generator produces p[n] = p[n - 24] + p[n - 55] modulo 2**64, and gives out 55 of every 550 values: windows of 55 in
a row. A step from one window to the next is linear, so it is a matrix, and so is a step over many windows. Hence many
lanes can start far apart and walk at the same time.
"""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

from spec.formats.random_weights import INT8_RANGE, SEED, WARM_UP_DRAWS, float_range
from spec.graph import Graph, Weight

_Words = npt.NDArray[np.uint64]

_STATES = 64
_SHORT_LAG = 24
_WINDOW = 55
_STRIDE = 550

_LANES = 512
_WINDOWS_A_LANE = 32


def fill_null_weights(graph: Graph) -> None:
    """Give a `null` network the weights that ncnn's tools write for it; it is a usual network then."""
    draws = Draws()
    for layer in graph:
        if layer.layer_type is None:
            continue
        for spec in layer.layer_type.weights:
            weight = layer.weights.get(spec.name)
            if weight is None or weight.kind != spec.kind:
                continue
            if weight.dtype == "int8":
                codes = draws.uniform(len(weight), 16, *INT8_RANGE).astype(np.int8)
                layer.weights[spec.name] = Weight(spec.name, weight.kind, "int8", array("b", codes.tobytes()))
            else:
                floats = draws.uniform(len(weight), 4, *float_range(spec.name, layer.layer_type))
                layer.weights[spec.name] = Weight(spec.name, weight.kind, "float32", array("f", floats.tobytes()))
    graph.null_weights = False


class Draws:
    """The numbers of the generator, in order."""

    def __init__(self, seed: int = SEED) -> None:
        step = _advance(np.eye(_WINDOW, dtype=np.uint64))[-_WINDOW:]
        self._step = step
        self._lane_step = np.linalg.matrix_power(step, _WINDOWS_A_LANE)
        states = np.arange(_STATES, dtype=np.uint64) * np.uint64(2147483647) + np.uint64(seed)
        self._window = _advance(states[-_WINDOW:, None], _WINDOW)[-_WINDOW:]
        self._ready = np.empty(0, np.uint64)
        self.take(WARM_UP_DRAWS)

    def take(self, count: int) -> _Words:
        """The next `count` words."""
        parts = []
        while count > 0:
            if not len(self._ready):
                self._ready = self._produce()
            parts.append(self._ready[:count])
            self._ready = self._ready[count:]
            count -= len(parts[-1])
        return np.concatenate(parts) if parts else np.empty(0, np.uint64)

    def uniform(self, count: int, multiple: int, low: float, high: float) -> npt.NDArray[np.float32]:
        """Binary32 numbers from low to high; words are taken in multiples, and the surplus is dropped."""
        words = self.take(-(-count // multiple) * multiple)[:count]
        share = words.astype(np.float32) / np.float32(2.0**64)
        first, last = np.float32(low), np.float32(high)
        return first + share * (last - first)

    def _produce(self) -> _Words:
        """The words of as many windows as all lanes walk."""
        lanes, step = self._window, self._lane_step
        while lanes.shape[1] < _LANES:
            lanes = np.hstack((lanes, step @ lanes))
            step = step @ step
        words = np.empty((_LANES, _WINDOWS_A_LANE, _WINDOW), np.uint64)
        for place in range(_WINDOWS_A_LANE):
            if place > 0:
                lanes = _advance(lanes)[-_WINDOW:]
            words[:, place] = lanes.T
        self._window = self._step @ lanes[:, -1:]
        return words.reshape(-1)


def _advance(window: _Words, count: int = _STRIDE) -> _Words:
    """A window, and the next `count` values behind it, for each column."""
    values = np.empty((_WINDOW + count, window.shape[1]), np.uint64)
    values[:_WINDOW] = window
    for place in range(_WINDOW, _WINDOW + count, _SHORT_LAG):
        end = min(place + _SHORT_LAG, _WINDOW + count)
        np.add(
            values[place - _SHORT_LAG : end - _SHORT_LAG],
            values[place - _WINDOW : end - _WINDOW],
            out=values[place:end],
        )
    return values
