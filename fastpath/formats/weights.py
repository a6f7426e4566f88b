"""The vectorised twin of `spec.formats.weights`: the same bytes, for models of many weights."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable

import numpy as np

from fastpath.formats.random_weights import fill_null_weights
from spec.formats import weights as rule
from spec.graph import Graph, float_weight


def write_model(
    graph: Graph,
    param_path: str | os.PathLike[str],
    bin_path: str | os.PathLike[str],
    *,
    fp16: bool,
    upstream: bool = False,
) -> None:
    """Write both files of a model, or none: `spec.formats.weights.write_model`, the numbers converted by numpy.

    The records of `graph` may be replaced by equal ones, and those of a `null` network by the numbers that are written.
    """
    _prepare(graph, fp16=fp16, upstream=upstream)
    rule.write_model(graph, param_path, bin_path, fp16=fp16, upstream=upstream, narrow=narrowing(upstream=upstream))


def format_weights(graph: Graph, *, fp16: bool, upstream: bool = False) -> bytes:
    """The bytes of a model file: `spec.formats.weights.format_weights`, the numbers converted by numpy.

    The records of `graph` may be replaced as in `write_model`.
    """
    _prepare(graph, fp16=fp16, upstream=upstream)
    return rule.format_weights(graph, fp16=fp16, upstream=upstream, narrow=narrowing(upstream=upstream))


def _prepare(graph: Graph, *, fp16: bool, upstream: bool) -> None:
    """Do beforehand, by numpy, what the rule would do number by number."""
    if graph.null_weights:
        fill_null_weights(graph)
    if upstream or not fp16:
        widen_weights(graph)


def widen_weights(graph: Graph) -> None:
    """Turn all binary16 records into binary32 ones, which is exact."""
    for layer in graph:
        for name, weight in layer.weights.items():
            if weight.dtype == "float16":
                layer.weights[name] = float_weight(name, widen_float16(weight.values), weight.kind)


def widen_float16(bits: array[int]) -> array[float]:
    """Binary16 bit patterns as binary32 numbers."""
    return array("f", np.frombuffer(bits, np.float16).astype(np.float32).tobytes())


def narrow_float16(values: array[float]) -> array[int]:
    """binary32 to binary16 bit patterns, to nearest, halves to even, overflow to infinity: the spec's bits."""
    with np.errstate(over="ignore"):
        halves = np.frombuffer(values, np.float32).astype(np.float16)
    return array("H", halves.tobytes())


def narrow_float16_as_x86(values: array[float]) -> array[int]:
    """As the real tools do on x86: to nearest in complete groups of four, the rest truncated."""
    whole = len(values) - len(values) % 4
    return narrow_float16(values[:whole]) + rule.narrow_as_x86(values[whole:])


def narrowing(*, upstream: bool) -> Callable[[array[float]], array[int]]:
    """How to store binary16: exactly as the real tools with `upstream`, to nearest throughout otherwise."""
    return narrow_float16_as_x86 if upstream else narrow_float16
