"""Where an int8 network loses accuracy: every blob against the float network's, and what each layer adds of its own.

For each int8 layer three errors of its output are told apart:

- total: the int8 network as it runs;
- own: the int8 layer on the float network's input, so only its own rounding and clipping;
- inherited: the float layer on the int8 network's input, so only what came from the layers before.

The own error is split once more: the float layer on the quantized input, the float layer with the quantized weights,
and the float output rounded to the codes that the next layer asked for, where the int8 layer hands over codes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastpath.accuracy.metrics import NO_DIFFERENCE, Difference, difference
from fastpath.accuracy.network import Blobs, Engine, code_scales, dequantized, is_int8
from fastpath.accuracy.search import quantized_input
from fastpath.accuracy.sensitivity import ByOutput, noise_share
from fastpath.accuracy.tables import copied_layer
from fastpath.calibration.weight_scales import CONVOLUTION_TYPES, SIX_BIT_MAX, is_six_bit
from fastpath.layers import PREPARE
from fastpath.layers.common import Array
from spec.errors import GraphError, UsageError
from spec.graph import Graph, Layer, float_weight

KEPT_VALUES = 16384
"""Values of an input that are kept from each sample, spread evenly, for its histogram."""

ALONE_SAMPLES = 2
"""Samples on which each int8 layer runs as the only one."""

Progress = Callable[[str, int, int], None]


@dataclass
class InputFigures:
    """A blob that an int8 layer reads or makes as codes of a stored scale."""

    scale: float
    count: int = 0
    saturated: int = 0
    """Values whose code is 127 or -127."""
    clipped: int = 0
    """Values beyond the last code."""
    absmax: float = 0.0
    """The largest magnitude in the float network."""
    clipping: float = 0.0
    """Noise of clipping, as a sum of squares."""
    rounding: float = 0.0
    """Noise of rounding."""
    signal: float = 0.0
    kept: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def threshold(self) -> float:
        """The magnitude that becomes 127."""
        return 127.0 / self.scale

    @property
    def saturated_share(self) -> float:
        """The share of values at the last codes."""
        return self.saturated / max(self.count, 1)

    @property
    def clipped_share(self) -> float:
        """The share of values beyond the last codes."""
        return self.clipped / max(self.count, 1)

    def add(self, blob: Array) -> None:
        """Count the values of one float blob."""
        flat = np.asarray(blob, np.float32).reshape(-1)
        magnitudes = np.abs(flat)
        gaps = (quantized_input(flat, self.scale) - flat).astype(np.float64)
        beyond = magnitudes * np.float32(self.scale) > 127.5
        self.count += flat.size
        self.saturated += int((magnitudes * np.float32(self.scale) >= 126.5).sum())
        self.clipped += int(beyond.sum())
        self.absmax = max(self.absmax, float(magnitudes.max(initial=0.0)))
        self.clipping += float((gaps[beyond] ** 2).sum())
        self.rounding += float((gaps[~beyond] ** 2).sum())
        self.signal += float((magnitudes.astype(np.float64) ** 2).sum())
        self.kept.append(magnitudes[:: max(flat.size // KEPT_VALUES, 1)])

    def values(self) -> NDArray[np.float32]:
        """The magnitudes that were kept."""
        return np.concatenate(self.kept) if self.kept else np.zeros(0, np.float32)


@dataclass(frozen=True)
class WeightFigures:
    """The quantized weights of a layer."""

    scales: NDArray[np.float32]
    largest_code: int
    clipped_share: float
    """Share of the weights beyond the last code."""
    six_bits: bool
    """Whether a 3x3 convolution of stride 1 keeps to six bits."""


@dataclass
class LayerTrace:
    """What happened at one layer of the int8 network."""

    layer: Layer
    int8: bool
    total: Difference = NO_DIFFERENCE
    own: Difference = NO_DIFFERENCE
    inherited: Difference = NO_DIFFERENCE
    of_input: Difference = NO_DIFFERENCE
    """The own error from quantizing the input alone."""
    of_weights: Difference = NO_DIFFERENCE
    """The own error from quantizing the weights alone."""
    of_output: Difference = NO_DIFFERENCE
    """The own error from handing over codes alone."""
    input: InputFigures | None = None
    output: InputFigures | None = None
    """The output, where it is handed over as codes."""
    weights: WeightFigures | None = None
    alone: ByOutput = field(default_factory=dict)
    """How the outputs differ if this is the only int8 layer."""

    @property
    def harm(self) -> float:
        """Noise of the outputs, as a share of their signal, if this is the only int8 layer."""
        return noise_share(self.alone)

    def record(self) -> dict[str, Any]:
        """The figures for a file."""
        found: dict[str, Any] = {
            "layer": self.layer.name,
            "type": self.layer.type,
            "blob": self.layer.tops[0],
            "int8": self.int8,
            "cosine": self.total.cosine,
            "snr_db": self.total.snr,
            "max_error": self.total.largest,
        }
        if self.int8:
            found["own_snr_db"] = self.own.snr
            found["inherited_snr_db"] = self.inherited.snr
            found["output_snr_db_if_alone"] = {name: d.snr for name, d in self.alone.items()}
        if self.input is not None:
            found["bottom_scale"] = self.input.scale
            found["threshold"] = self.input.threshold
            found["absmax"] = self.input.absmax
            found["saturated_share"] = self.input.saturated_share
            found["own_snr_db_of_input"] = self.of_input.snr
            found["own_snr_db_of_weights"] = self.of_weights.snr
        if self.output is not None:
            found["top_scale"] = self.output.scale
            found["own_snr_db_of_output"] = self.of_output.snr
        if self.weights is not None:
            found["weight_scale_range"] = [float(self.weights.scales.min()), float(self.weights.scales.max())]
            found["largest_weight_code"] = self.weights.largest_code
            found["clipped_share_of_weights"] = self.weights.clipped_share
        return found


@dataclass(frozen=True)
class Comparison:
    """All layers in file order, on one engine, and the outputs."""

    engine: str
    traces: list[LayerTrace]
    outputs: dict[str, Difference]

    def worst(self) -> LayerTrace | None:
        """The int8 layer that harms the outputs most by itself; None without int8 layers."""
        found = [trace for trace in self.traces if trace.int8]
        return max(found, key=lambda trace: (trace.harm, -trace.own.snr)) if found else None

    def record(self) -> dict[str, Any]:
        """The figures for a file."""
        worst = self.worst()
        return {
            "engine": self.engine,
            "outputs": {
                name: {"snr_db": d.snr, "cosine": d.cosine, "max_error": d.largest} for name, d in self.outputs.items()
            },
            "worst": worst and worst.layer.name,
            "cause": worst and cause(worst),
            "layers": [trace.record() for trace in self.traces],
        }


def compare(
    name: str,
    float_graph: Graph,
    int8_graph: Graph,
    float_engine: Engine,
    int8_engine: Engine,
    samples: Sequence[Blobs],
    *,
    progress: Progress = lambda stage, done, total: None,
) -> Comparison:
    """Trace all blobs that both networks have. The engines run the networks of the two graphs.

    GraphError where the graphs share no blobs or inputs, UsageError without samples.
    """
    if not samples:
        raise UsageError("there are no samples to compare on")
    if set(float_graph.input_names()) != set(int8_graph.input_names()):
        raise GraphError("", "the inputs of the two networks have different names: these are not one model")
    tracer = _Tracer(float_graph, int8_graph, float_engine, int8_engine)
    if not tracer.traces:
        raise GraphError("", "the two networks have no blob in common: quantize the very model given as float")
    for position, sample in enumerate(samples):
        progress(f"compare on {name}", position, len(samples))
        tracer.add(sample, alone=position < ALONE_SAMPLES)
    return Comparison(name, list(tracer.traces.values()), tracer.outputs)


class _Tracer:
    """Adds up what samples show."""

    def __init__(self, float_graph: Graph, int8_graph: Graph, float_engine: Engine, int8_engine: Engine) -> None:
        self.float_engine, self.int8_engine = float_engine, int8_engine
        self.inputs = float_graph.input_names()
        self.makers = float_graph.producers()
        self.scales = code_scales(int8_graph)
        common = set(self.makers)
        self.float_order = [top for layer in float_graph for top in layer.tops if layer.type != "Input"]
        self.traces: dict[str, LayerTrace] = {}
        for layer in int8_graph:
            if layer.type not in ("Input", "Split") and common.issuperset(layer.tops):
                scale = self.scales.get(layer.tops[0])
                self.traces[layer.name] = _empty_trace(layer, self.makers[layer.tops[0]], scale)
        known = {top for trace in self.traces.values() for top in trace.layer.tops}
        self.blobs = [name for name in int8_graph.blob_names() if name in common and name not in self.inputs]
        self.outputs = {name: NO_DIFFERENCE for name in int8_engine.output_names() if name in known}
        self.by_weights = {name: _with_int8_weights(trace, self.makers) for name, trace in self.traces.items()}

    def add(self, sample: Blobs, *, alone: bool) -> None:
        """One sample; with `alone` each int8 layer also runs as the only one."""
        exact = {**sample, **self.float_engine.run(sample, self.float_order)}
        found = self.int8_engine.run(sample, self.blobs)
        int8 = {**sample, **{name: dequantized(blob, self.scales.get(name)) for name, blob in found.items()}}
        for output in self.outputs:
            self.outputs[output] += _difference(output, exact[output], int8[output])
        for trace in self.traces.values():
            tops = trace.layer.tops
            trace.total += _sum(_difference(top, exact[top], int8[top]) for top in tops)
            if trace.int8 and all(name in exact and name in int8 for name in trace.layer.bottoms):
                self._add_int8(trace, exact, int8, alone)

    def _add_int8(self, trace: LayerTrace, exact: Blobs, int8: Blobs, alone: bool) -> None:
        layer = trace.layer
        maker = self.makers[layer.tops[0]]
        bottoms = {name: exact[name] for name in layer.bottoms}
        own = self.int8_engine.run(bottoms, layer.tops)
        own = {name: dequantized(blob, self.scales.get(name)) for name, blob in own.items()}
        trace.own += _sum(_difference(top, exact[top], own[top]) for top in layer.tops)
        inherited = _float_layer(maker, [int8[name] for name in maker.bottoms])
        pairs = zip(maker.tops, inherited, strict=True)
        trace.inherited += _sum(_difference(top, exact[top], blob) for top, blob in pairs)
        if trace.input is not None:
            bottom = exact[layer.bottoms[0]]
            trace.input.add(bottom)
            (by_input,) = _float_layer(maker, [quantized_input(bottom, trace.input.scale)])
            trace.of_input += _difference(layer.tops[0], exact[layer.tops[0]], by_input)
        if trace.output is not None:
            top = exact[layer.tops[0]]
            trace.output.add(top)
            trace.of_output += _difference(layer.tops[0], top, quantized_input(top, trace.output.scale))
        by_weights = self.by_weights[layer.name]
        if by_weights is not None:
            (top,) = _float_layer(by_weights, [exact[layer.bottoms[0]]])
            trace.of_weights += _difference(layer.tops[0], exact[layer.tops[0]], top)
        if alone:
            self._run_alone(trace, exact, own)

    def _run_alone(self, trace: LayerTrace, exact: Blobs, own: Blobs) -> None:
        """The float network with this layer's int8 output in place of its own."""
        before = self.float_order[: self.float_order.index(trace.layer.tops[0])]
        known = {name: exact[name] for name in (*self.inputs, *before)}
        changed = self.float_engine.run({**known, **own}, list(self.outputs))
        for name in self.outputs:
            trace.alone[name] = trace.alone.get(name, NO_DIFFERENCE) + difference(exact[name], changed[name])


def _empty_trace(layer: Layer, maker: Layer, top_scale: float | None) -> LayerTrace:
    trace = LayerTrace(layer, is_int8(layer))
    if trace.int8 and layer.type in CONVOLUTION_TYPES:
        if maker.type != layer.type or is_int8(maker):
            raise GraphError(layer.name, f"is int8, but {maker.name}, which stands for it, is no float {layer.type}")
        if top_scale is not None:
            trace.output = InputFigures(top_scale)
        trace.input = InputFigures(layer.weight("bottom_blob_int8_scales").floats()[0])
        codes = np.abs(np.frombuffer(layer.weight("weight_data").int8(), np.int8).astype(np.int16))
        largest = int(codes.max(initial=0))
        scales = np.array(layer.weight("weight_data_int8_scales").floats(), np.float32)
        values = np.abs(np.frombuffer(maker.weight("weight_data").floats(), np.float32)).reshape(len(scales), -1)
        with np.errstate(invalid="ignore", over="ignore"):
            clipped = float((values * scales[:, np.newaxis] > 127.5).mean())
        trace.weights = WeightFigures(scales, largest, clipped, is_six_bit(layer) and largest <= SIX_BIT_MAX)
    return trace


def _with_int8_weights(trace: LayerTrace, makers: Mapping[str, Layer]) -> Layer | None:
    """The float layer with the weights that int8 keeps; None for layers without stored scales."""
    if trace.weights is None:
        return None
    layer = copied_layer(makers[trace.layer.tops[0]])
    codes = np.frombuffer(trace.layer.weight("weight_data").int8(), np.int8).reshape(len(trace.weights.scales), -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.nan_to_num(codes / trace.weights.scales[:, np.newaxis]).astype(np.float32)
    layer.weights["weight_data"] = float_weight("weight_data", array("f", values.tobytes()), "tagged")
    return layer


def _float_layer(layer: Layer, bottoms: list[Array]) -> list[Array]:
    with np.errstate(all="ignore"):
        return PREPARE[layer.type](layer)(bottoms)


def _difference(name: str, exact: Array, other: Array) -> Difference:
    try:
        return difference(exact, other)
    except ValueError as error:
        raise GraphError("", f"blob {name}: {error}: the two networks are not one model") from error


def _sum(differences: Any) -> Difference:
    total = NO_DIFFERENCE
    for each in differences:
        total += each
    return total


def cause(trace: LayerTrace) -> str:
    """What is wrong with an int8 layer, in a sentence."""
    name = trace.layer.name
    if trace.input is None or trace.weights is None:
        return f"{name} ({trace.layer.type}) quantizes its input while it runs and keeps {trace.own.snr:.1f} dB"
    if trace.output is not None and trace.of_output.noise > max(trace.of_input.noise, trace.of_weights.noise):
        return _cause_in_codes(
            f"output of {name}, which becomes codes for the next layer,", trace.output, trace.of_output
        )
    if trace.of_input.noise >= trace.of_weights.noise:
        return _cause_in_codes(f"input of {name}", trace.input, trace.of_input)
    return _cause_in_weights(name, trace.weights, trace.of_weights.snr)


def _cause_in_codes(blob: str, seen: InputFigures, left: Difference) -> str:
    kept = f"this leaves {left.snr:.1f} dB"
    if seen.clipping > seen.rounding:
        share = f"{seen.clipped_share:.0%}" if seen.clipped_share >= 0.01 else f"{seen.clipped_share:.2%}"
        return (
            f"the {blob} is clipped at {seen.threshold:.2g} of its range {seen.absmax:.3g}: "
            f"{share} of values saturate; {kept}"
        )
    used = min(seen.absmax * seen.scale, 127.0)
    if used < 64:
        return (
            f"the {blob} uses codes up to {used:.0f} of 127 only: "
            f"the threshold {seen.threshold:.3g} is beyond its range {seen.absmax:.3g}; {kept}"
        )
    typical = (seen.signal / max(seen.count, 1)) ** 0.5
    return (
        f"the {blob} is rounded to steps of {1 / seen.scale:.2g}, while its values are about {typical:.2g} "
        f"(its range is {seen.absmax:.3g}); {kept}"
    )


def _cause_in_weights(name: str, weights: WeightFigures, snr: float) -> str:
    kept = f"this leaves {snr:.1f} dB"
    if weights.six_bits:
        return f"the weights of {name} use codes up to {weights.largest_code} only, as 3x3 convolutions do; {kept}"
    if weights.clipped_share > 0.001:
        return f"the weights of {name} are clipped: {weights.clipped_share:.2%} of them saturate; {kept}"
    return f"the weights of {name} are rounded to codes up to {weights.largest_code}; {kept}"
