"""What samples and their preparation look like, and what to do about it: hints, never errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fastpath.accuracy.network import FastEngine
from fastpath.accuracy.samples import Sample, counted, spread
from fastpath.calibration.weight_scales import CONVOLUTION_TYPES
from fastpath.layers.common import Array
from spec.graph import Graph, Layer

FEW_SAMPLES = 16
"""With fewer samples, ranges of activations are not to be trusted."""

MOST_SAMPLES = 16
"""No more samples are looked at."""

SAME = 0.995
"""Two samples whose values correlate this much are the same picture."""

SAME_SHARE = 0.5
"""Samples are too similar if this share of them has a near copy among the others."""

RAW_RANGE = 20.0
"""Values beyond this were not normalised to units or to standard deviations; up to 255 they may be raw pixels."""

FLAT_SPREAD = 0.02
"""Normalised values that spread less than this were divided twice."""

DEAD_SHARE = 0.5
"""More dead channels than this in the first layer mean that it was made for other values."""

SWAP_SAMPLES = 8
"""A swap of RGB and BGR cannot be told from fewer samples."""

SWAP_CONFIDENCE = 2.5
"""A swap is suspected if the gain from exchanging red and blue is so many times its standard error."""

TINY = 1e-12
"""Keeps logarithms finite."""


@dataclass(frozen=True)
class InputFigures:
    """The values of one input over some samples."""

    name: str
    low: float
    high: float
    spread: float


def check_data(graph: Graph, samples: Sequence[Sample]) -> list[str]:
    """Advice about the samples and about how they are prepared; empty if nothing looks odd."""
    if not samples:
        return ["there are no samples"]
    chosen = [sample.feeds() for sample in spread(samples, MOST_SAMPLES)]
    advice = list(_count(len(samples)))
    for name in graph.input_names():
        blobs = [feeds[name] for feeds in chosen if name in feeds]
        if blobs and blobs[0].dtype == np.float32:
            advice += _similarity(name, blobs)
            advice += _range(name, blobs)
    advice += _first_layers(graph, chosen)
    return advice


def figures(name: str, blobs: Sequence[Array]) -> InputFigures:
    """Low, high and standard deviation of an input."""
    return InputFigures(
        name,
        min(float(blob.min()) for blob in blobs),
        max(float(blob.max()) for blob in blobs),
        float(np.sqrt(np.mean([np.var(blob, dtype=np.float64) for blob in blobs]))),
    )


def _count(count: int) -> Iterator[str]:
    if count < FEW_SAMPLES:
        yield (
            f"only {counted(count)}: activations of other inputs may be larger than any seen here; "
            "give 100 or more that look like what the network will meet"
        )


def _similarity(name: str, blobs: Sequence[Array]) -> Iterator[str]:
    if len(blobs) < 3 or len({blob.shape for blob in blobs}) > 1 or blobs[0].size < 2:
        return
    flat = np.stack([blob.reshape(-1) for blob in blobs]).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(flat, axis=1)
    if not norms.all():
        yield f"input {name}: {int((norms == 0).sum())} of {len(blobs)} samples have one value throughout: remove them"
        return
    correlation = (flat @ flat.T) / np.outer(norms, norms)
    np.fill_diagonal(correlation, 0)
    copies = int((correlation.max(axis=1) > SAME).sum())
    if copies >= SAME_SHARE * len(blobs):
        yield (
            f"input {name}: {copies} of {len(blobs)} samples nearly equal another one: "
            "they say no more than one of them, take pictures of different scenes"
        )


def _range(name: str, blobs: Sequence[Array]) -> Iterator[str]:
    seen = figures(name, blobs)
    span = f"values from {seen.low:.4g} to {seen.high:.4g}"
    if seen.low == seen.high:
        yield f"input {name}: all values are {seen.low:g}: the samples hold nothing"
    elif max(abs(seen.low), abs(seen.high)) > 256:
        yield f"input {name}: {span} fit no usual preparation: check --mean and --norm"
    elif seen.high - seen.low < FLAT_SPREAD:
        yield f"input {name}: {span} hardly differ: was the norm applied twice (1/255 of values that are 0 to 1)?"


def _first_layers(graph: Graph, chosen: Sequence[dict[str, Array]]) -> Iterator[str]:
    """Advice from what the first convolution makes of the samples."""
    readers = graph.consumers()
    network = FastEngine(graph)
    for name in graph.input_names():
        first = _first_convolution(graph, name, readers)
        if first is None or first.type == "InnerProduct":
            continue
        tops = [network.run(feeds, [first.tops[0]])[first.tops[0]] for feeds in chosen]
        blobs = [feeds[name] for feeds in chosen]
        yield from _dead(name, first, tops)
        yield from _range_for_layer(name, first, blobs)
        if blobs[0].ndim == 3 and blobs[0].shape[0] == 3:
            yield from _swap(graph, name, network, chosen)


def _first_convolution(graph: Graph, name: str, readers: dict[str, list[Layer]]) -> Layer | None:
    """The first convolution behind an input, Split and Padding looked through."""
    pending = list(readers.get(name, []))
    while pending:
        layer = pending.pop(0)
        if layer.type in CONVOLUTION_TYPES:
            return layer
        if layer.type in ("Split", "Padding"):
            pending += [reader for top in layer.tops for reader in readers.get(top, [])]
    return None


def _dead(name: str, layer: Layer, tops: Sequence[Array]) -> Iterator[str]:
    """Channels that are the same everywhere in all samples."""
    low = np.min([top.reshape(top.shape[0], -1).min(axis=1) for top in tops], axis=0)
    high = np.max([top.reshape(top.shape[0], -1).max(axis=1) for top in tops], axis=0)
    dead = int((low == high).sum())
    if dead > DEAD_SHARE * len(low):
        yield (
            f"input {name}: {dead} of {len(low)} channels of {layer.name}, the first layer, never change: "
            "it was trained on values of another range, check --mean and --norm"
        )


def _range_for_layer(name: str, layer: Layer, blobs: Sequence[Array]) -> Iterator[str]:
    """Whether the bias of the first layer matters beside its products: raw pixels drown it, values near 0 vanish."""
    if "bias_data" not in layer.weights:
        return
    bias = np.frombuffer(layer.weight("bias_data").floats(), np.float32)
    weights = np.frombuffer(layer.weight("weight_data").floats(), np.float32).reshape(len(bias), -1)
    magnitude = float(np.sqrt(np.mean([np.mean(np.square(blob, dtype=np.float64)) for blob in blobs])))
    products = float(np.median(np.linalg.norm(weights, axis=1))) * magnitude
    typical = float(np.median(np.abs(bias)))
    seen = figures(name, blobs)
    if products > 100 * typical > 0 and seen.high > RAW_RANGE and seen.low >= 0:
        yield (
            f"input {name}: values from {seen.low:.4g} to {seen.high:.4g} look like raw pixels, and beside them the "
            f"bias of {layer.name} (about {typical:.3g}) counts for nothing: is a norm of 1/255 or a mean missing?"
        )
    elif typical > 100 * products:
        yield (
            f"input {name}: the products of {layer.name} (about {products:.3g}) vanish beside its bias (about "
            f"{typical:.3g}): the input is too small, check --norm"
        )


def _swap(graph: Graph, name: str, network: FastEngine, chosen: Sequence[dict[str, Array]]) -> Iterator[str]:
    """Whether the network reacts more to samples with red and blue exchanged, and does so reliably.

    Networks react most to what they were trained on. The deviations of activations at three depths tell it better than
    those of the first layer, whose edge detectors hardly mind.
    """
    convolutions = [layer for layer in graph if layer.type in ("Convolution", "ConvolutionDepthWise")]
    depths = sorted({len(convolutions) * quarter // 4 for quarter in (1, 2, 3)})
    tops = [convolutions[depth].tops[0] for depth in depths]
    gains = []
    for feeds in chosen:
        exchanged = np.ascontiguousarray(feeds[name][::-1])
        as_given, swapped = network.run(feeds, tops), network.run({**feeds, name: exchanged}, tops)
        ratios = [_excitement(swapped[top]) / max(_excitement(as_given[top]), TINY) for top in tops]
        gains.append(float(np.mean(np.log(np.maximum(ratios, TINY)))))
    error = np.std(gains, ddof=1) / len(gains) ** 0.5 if len(gains) >= SWAP_SAMPLES else np.inf
    if np.mean(gains) > SWAP_CONFIDENCE * error > 0:
        yield (
            f"input {name}: the network reacts {np.exp(np.mean(gains)) - 1:.1%} more to samples with red and blue "
            "exchanged: were its pictures of the other order? check --pixel, RGB or BGR"
        )


def _excitement(top: Array) -> float:
    """How much the channels of a blob vary, on average."""
    return float(top.reshape(top.shape[0], -1).std(axis=1).mean())
