"""The spec itself, and the trace of a recurrent layer for diagnoses."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from conformance.adapter import Identity
from conformance.adapters.tools import FORMATS, perform
from conformance.again import Step
from conformance.case import OPERATIONS, Case
from conformance.tensor import Tensor, tensor
from spec.blob import Blob
from spec.formats.param import parse_param
from spec.formats.weights import load_weights
from spec.graph import Graph
from spec.layers import FORWARD, gru, lstm, rnn
from spec.net import Net


def package_version() -> str:
    """Of the installed package; 0 in a checkout that is not installed."""
    try:
        return version("ncnn-assay")
    except PackageNotFoundError:
        return "0"


class SpecAdapter:
    """The spec: slow, exact by definition."""

    @property
    def identity(self) -> Identity:
        """Claims every layer that the spec has."""
        layers = tuple(sorted(FORWARD))
        return Identity("spec", package_version(), "Python", "reference", layers, OPERATIONS, FORMATS)

    def run(self, case: Case) -> dict[str, Tensor]:
        """Load, feed, extract; or what else is asked."""
        if case.operation != "infer":
            return perform(case, "spec")
        extractor = Net.from_graph(_graph(case)).create_extractor()
        for name, blob in case.inputs.items():
            extractor.input(name, _blob(blob))
        outputs = {}
        for name in case.outputs:
            top = extractor.extract(name, 1)[1]
            outputs[name] = tensor(top.shape, top.values, top.dtype)
        return outputs

    def trace(self, case: Case) -> list[Step]:
        """Every time step of a network with one recurrent layer, in the order of computation."""
        graph = _graph(case)
        (layer,) = [layer for layer in graph if layer.type in TRACES]
        bottoms = [_blob(case.inputs[name]) for name in layer.bottoms]
        net = Net.from_graph(graph)
        return [
            Step(
                step.direction,
                step.time,
                step.input_codes,
                step.input_scale,
                step.hidden_codes,
                step.hidden_scale,
                dict(zip(GATE_NAMES[layer.type], step.gates, strict=True)),
                step.hidden,
                step.cell,
            )
            for step in TRACES[layer.type](layer, bottoms, net.profile)
        ]

    def close(self) -> None:
        """Nothing is held."""


TRACES = {"RNN": rnn.trace, "GRU": gru.trace, "LSTM": lstm.trace}
GATE_NAMES = {"RNN": ("H",), "GRU": ("R", "U", "N"), "LSTM": ("I", "F", "O", "G")}


def _graph(case: Case) -> Graph:
    graph = parse_param(case.param, case.id)
    load_weights(graph, case.bin, case.id)
    return graph


def _blob(values: Tensor) -> Blob:
    if values.dtype == "uint8":
        raise TypeError("bytes are no blob")
    return Blob(values.shape, values.dtype, values.values().tolist())
