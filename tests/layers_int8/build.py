"""Layers, weights and data for tests, written down in one line each."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.graph import Layer, Weight
from spec.layer_table import ParamValue
from spec.layers import CHECK, FORWARD


def floats(*values: float) -> array[float]:
    """Numbers for a float weight record."""
    return array("f", values)


def codes(values: Sequence[int]) -> array[int]:
    """Codes for an int8 weight record."""
    return array("b", values)


def make(
    type: str,
    params: Mapping[str, ParamValue] | None = None,
    weights: Mapping[str, Sequence[float]] | None = None,
    *,
    tops: int = 1,
) -> Layer:
    """A layer with parameters by name; a weight record is int8 if it is an array("b"), else float."""
    layer = Layer(type, "under-test", [], [f"top{index}" for index in range(tops)])
    for name, value in (params or {}).items():
        layer.set(name, value)
    for name, values in (weights or {}).items():
        if isinstance(values, array) and values.typecode == "b":
            layer.weights[name] = Weight(name, "tagged", "int8", values)
        else:
            layer.weights[name] = Weight(name, "raw", "float32", array("f", values))
    return layer


def check(layer: Layer) -> None:
    """The check that runs when a network is loaded."""
    CHECK[layer.type](layer)


def run(layer: Layer, *bottoms: Blob, profile: Profile = REFERENCE) -> list[Blob]:
    """The tops of a layer that passes its check."""
    if layer.type in CHECK:
        check(layer)
    return FORWARD[layer.type](layer, list(bottoms), profile)


def pattern(n: int, a: int, b: int, m: int) -> list[int]:
    """((a * i + b) mod m) - floor(m / 2): numbers that anyone can make again."""
    return [(a * i + b) % m - m // 2 for i in range(n)]


def pattern_codes(n: int, a: int, b: int) -> array[int]:
    """The pattern over all codes from -127 to 127."""
    return codes(pattern(n, a, b, 255))


def pattern_floats(n: int, a: int, b: int, m: int, d: int) -> list[float]:
    """The pattern divided by d."""
    return [f32(value / d) for value in pattern(n, a, b, m)]


def blob(shape: tuple[int, ...], values: Sequence[float]) -> Blob:
    """A float32 blob."""
    return float_blob(shape, values)
