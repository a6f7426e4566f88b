"""Layers for these tests, with weights from integer patterns."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spec.graph import Layer, float_weight, int8_weight

Floats = NDArray[np.float32]

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
BIAS_ROWS = {"RNN": 1, "LSTM": 4, "GRU": 4}


def pattern(count: int, a: int, b: int, modulus: int) -> NDArray[np.int64]:
    """P(n, a, b, m)[i] = ((a·i + b) mod m) - m div 2."""
    return (a * np.arange(count) + b) % modulus - modulus // 2


def fractions(count: int, a: int, b: int, modulus: int, divisor: int) -> Floats:
    return (pattern(count, a, b, modulus) / divisor).astype(np.float32)


def put_floats(layer: Layer, name: str, values: Sequence[float] | NDArray[Any], *, raw: bool = False) -> None:
    layer.weights[name] = float_weight(name, array("f", values), "raw" if raw else "tagged")


def put_codes(layer: Layer, name: str, values: NDArray[np.int64]) -> None:
    layer.weights[name] = int8_weight(name, array("b", values.tolist()))


def recurrent_layer(
    kind: str,
    inputs: int,
    num_output: int,
    hidden: int,
    direction: int,
    states: tuple[bool, bool],
    *,
    int8: bool = True,
) -> Layer:
    """The layer of golden vector V4, with `states` telling whether initial states come and final states go."""
    count = 2 if direction == 2 else 1
    rows = count * GATES[kind] * hidden
    params: dict[int, int | float | str | list[int] | list[float]] = {0: num_output, 1: rows * inputs, 2: direction}
    if kind == "LSTM":
        params[3] = hidden
    if int8:
        params[8] = 2
    names = ["h", "c"] if kind == "LSTM" else ["h"]
    bottoms = ["x", *(f"{name}0" for name in names if states[0])]
    layer = Layer(kind, "layer", bottoms, ["y", *(f"{name}1" for name in names if states[1])], params)
    if int8:
        put_codes(layer, "weight_xc_data", pattern(rows * inputs, 37, 11, 255))
    else:
        put_floats(layer, "weight_xc_data", fractions(rows * inputs, 37, 11, 255, 300))
    put_floats(layer, "bias_c_data", fractions(count * BIAS_ROWS[kind] * hidden, 7, 3, 11, 16))
    if int8:
        put_codes(layer, "weight_hc_data", pattern(rows * num_output, 29, 5, 255))
    else:
        put_floats(layer, "weight_hc_data", fractions(rows * num_output, 29, 5, 255, 300))
    if num_output != hidden:
        put_floats(layer, "weight_hr_data", fractions(count * num_output * hidden, 3, 1, 7, 8))
    if int8:
        put_floats(layer, "weight_xc_data_int8_scales", [100.0 + 10 * i for i in range(rows)], raw=True)
        put_floats(layer, "weight_hc_data_int8_scales", [120.0 + 5 * i for i in range(rows)], raw=True)
    return layer
