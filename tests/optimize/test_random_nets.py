"""Random networks out of the patterns that the passes look for: what they compute stays what it was."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastpath
from fastpath.optimize.arithmetic import NUMPY_ARITHMETIC
from spec.errors import UnsupportedError
from spec.formats.param import format_param
from spec.formats.weights import format_weights, write_model
from spec.graph import Graph
from spec.optimize.arithmetic import SPEC_ARITHMETIC, Arithmetic
from spec.optimize.pipeline import optimize
from tests.optimize.nets import net, random_inputs
from tests.optimize.runtime import run_wheel

TOLERANCE = 1e-5
"""Folding a norm rounds weights anew. The measure is the largest value that flows through the network: a mean of values
that cancel is small, and keeps the rounding errors of the large ones."""

ACTIVATIONS = ("ReLU", "ReLU 0=0.1", "Clip 0=-0.5 1=0.75", "Sigmoid", "Mish", "HardSwish 0=0.2 1=0.5", "Swish", "TanH")


class Builder:
    """Layer lines, the blob that the next layer reads, and its shape."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.lines: list[str] = []
        self.blob = "data"
        self.shape: tuple[int, ...] = (3, 6, 5)
        self.lines.append("Input data 0 1 data 0=5 1=6 2=3")

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def chance(self) -> bool:
        return self.draw(st.booleans())

    def add(self, kind: str, params: str = "", bottoms: tuple[str, ...] = ()) -> None:
        """A layer that reads the current blob, and perhaps others."""
        name = f"l{len(self.lines)}"
        reads = " ".join((self.blob, *bottoms))
        self.lines.append(f"{kind} {name} {1 + len(bottoms)} 1 {reads} {name} {params}")
        self.blob = name

    def constant(self, params: str) -> str:
        name = f"m{len(self.lines)}"
        self.lines.append(f"MemoryData {name} 0 1 {name} {params}")
        return name

    def activation(self) -> None:
        kind, _, params = self.draw(st.sampled_from(ACTIVATIONS)).partition(" ")
        self.add(kind, params)

    def weighted(self) -> None:
        """A layer with weights, perhaps with an activation of its own, and things that fold into it."""
        own = " 9=1" if self.number(0, 4) == 0 else ""
        bias = f"5={self.number(0, 1)}"
        if len(self.shape) == 3:
            c, h, w = self.shape
            kind = self.draw(st.sampled_from(("Convolution", "Convolution", "Deconvolution")))
            depthwise = self.number(0, 2) == 0
            kind += "DepthWise" if depthwise else ""
            out = c if depthwise else self.number(1, 5)
            inputs = 1 if depthwise else c
            group = f" 7={c}" if depthwise else ""
            self.add(kind, f"0={out} 1=3 4=1 6={out * inputs * 9} {bias}{group}{own}")
            self.shape = (out, h, w)
        else:
            out = self.number(1, 6)
            inputs = self.shape[0]
            if self.chance():
                self.add("InnerProduct", f"0={out} 1={self.number(0, 1)} 2={out * inputs}{own}")
            else:
                self.add("Convolution", f"0={out} 1=1 6={out * inputs} {bias}{own}")
            self.shape = (out,)
        for _ in range(self.number(0, 3)):
            self.folding(out)
        if self.chance():
            self.activation()

    def folding(self, channels: int) -> None:
        kind = self.draw(st.sampled_from(("norm", "norm", "scale", "mul", "add", "add3", "dropout")))
        if kind in ("norm", "scale"):
            self.add("BatchNorm", f"0={channels} 1=1e-5")
        if kind == "scale":
            self.add("Scale", f"0={channels} 1={self.number(0, 1)}")
        if kind in ("mul", "add"):
            operation = 2 if kind == "mul" else 0
            self.add("BinaryOp", f"0={operation}", (self.constant(f"0={channels}"),))
        if kind == "add3" and len(self.shape) == 3:
            self.add("BinaryOp", "0=0", (self.constant(f"0=1 1=1 2={channels}"),))
        if kind == "dropout":
            self.add("Dropout", self.draw(st.sampled_from(("", "0=0.5"))))

    def scalar(self) -> None:
        operation = self.draw(st.sampled_from((0, 1, 2, 4, 5, 7)))
        memory = self.constant("0=1")
        if self.chance():
            self.add("BinaryOp", f"0={operation}", (memory,))
        else:
            blob, self.blob = self.blob, memory
            self.add("BinaryOp", f"0={operation}", (blob,))

    def weighted_sum(self) -> None:
        split = f"s{len(self.lines)}"
        self.lines.append(f"Split {split} 1 2 {self.blob} {split}a {split}b")
        sides = []
        for side in "ab":
            self.blob = f"{split}{side}"
            if side == "a" or self.chance():
                self.add("BinaryOp", f"0=2 1=1 2={self.number(1, 9) / 4}")
            sides.append(self.blob)
        self.blob = sides[0]
        self.add("BinaryOp", "0=0", (sides[1],))

    def gate(self) -> None:
        """Squeeze and excitation: global pooling, two convolutions, and a product over the channels."""
        if len(self.shape) != 3:
            return
        c = self.shape[0]
        split = f"s{len(self.lines)}"
        self.lines.append(f"Split {split} 1 2 {self.blob} {split}a {split}b")
        self.blob = f"{split}a"
        self.add("Pooling", "0=1 4=1")
        self.add("Convolution", f"0=2 1=1 5=1 6={2 * c}")
        self.add("ReLU")
        self.add("InnerProduct", f"0={c} 1=1 2={2 * c}")
        self.add("Sigmoid")
        if self.chance():
            self.add("Reshape", "0=1 1=1 2=-1")
        self.add("BinaryOp", "0=2", (f"{split}b",))

    def idle(self) -> None:
        """A layer that changes nothing."""
        kind = self.draw(st.sampled_from(("Dropout", "Noop", "Split", "Pooling", "PReLU")))
        if kind == "Pooling" and len(self.shape) != 3:
            return
        self.add(kind, {"Pooling": "0=0 1=1 2=1", "PReLU": "0=1"}.get(kind, ""))

    def flatten(self) -> None:
        """To one dim, through a global pooling or at once."""
        if len(self.shape) == 3 and self.chance():
            if self.chance():
                self.add("Pooling", "0=1 4=1")
            else:
                self.add("Reduction", "0=3 1=0 -23303=1,2 5=1")
                self.add("Reduction", "0=3 1=0 -23303=1,1 5=1")
            self.shape = self.shape[:1]
            if self.chance():
                self.add("Reshape", "0=-1")
        count = 1
        for extent in self.shape:
            count *= extent
        self.add("Flatten")
        self.shape = (count,)


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    builder = Builder(draw)
    steps = {
        "weighted": builder.weighted,
        "activation": builder.activation,
        "scalar": builder.scalar,
        "sum": builder.weighted_sum,
        "gate": builder.gate,
        "idle": builder.idle,
        "flatten": builder.flatten,
    }
    names = draw(st.lists(st.sampled_from((*steps, "weighted", "weighted")), min_size=1, max_size=6))
    if builder.number(0, 2) == 0:
        builder.flatten()
    for name in names:
        steps[name]()
    return net(*builder.lines, seed=draw(st.integers(0, 99)))


SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def silent(line: str) -> None:
    pass


def outcome(graph: Graph, arithmetic: Arithmetic, upstream: bool) -> tuple[str, bytes] | str:
    """Both files of an optimized network, or why the real tool cannot do it."""
    result = copy.deepcopy(graph)
    try:
        optimize(result, arithmetic=arithmetic, upstream=upstream, report=silent)
    except UnsupportedError as error:
        return str(error)
    return format_param(result), format_weights(result, fp16=False)


def run_fastpath(graph: Graph, inputs: Mapping[str, np.ndarray], blobs: Sequence[str]) -> dict[str, np.ndarray]:
    with fastpath.Net.from_graph(graph) as network, network.create_extractor() as extractor:
        for name, values in inputs.items():
            extractor.input(name, values)
        return {name: np.array(extractor.extract(name)[1]) for name in blobs}


def run_runtime(graph: Graph, inputs: Mapping[str, np.ndarray], blobs: Sequence[str]) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as name:
        files = Path(name) / "net.param", Path(name) / "net.bin"
        write_model(graph, *files, fp16=False)
        return run_wheel(*files, inputs, blobs)


@pytest.mark.parametrize("run", [run_fastpath, run_runtime])
@SETTINGS
@given(networks())
def test_results_stay(run: Callable[..., dict[str, np.ndarray]], graph: Graph) -> None:
    after = copy.deepcopy(graph)
    optimize(after, arithmetic=NUMPY_ARITHMETIC, report=silent)
    assert len(after.layers) <= len(graph.layers)
    inputs, wanted = random_inputs(graph), graph.output_names()
    assert after.output_names() == wanted
    results = run(graph, inputs, graph.blob_names()), run(after, inputs, wanted)
    largest = max(float(np.abs(values).max()) for values in results[0].values())
    for blob in wanted:
        np.testing.assert_allclose(results[1][blob], results[0][blob], rtol=0, atol=TOLERANCE * largest)


@SETTINGS
@given(networks())
def test_both_arithmetics_write_the_same_bytes(graph: Graph) -> None:
    for upstream in (False, True):
        assert outcome(graph, NUMPY_ARITHMETIC, upstream) == outcome(graph, SPEC_ARITHMETIC, upstream)


@SETTINGS
@given(networks())
def test_a_second_time_changes_little(graph: Graph) -> None:
    """What is left matches no elimination any more; a fold may become possible behind another one."""
    optimize(graph, arithmetic=NUMPY_ARITHMETIC, report=silent)
    hints = graph.blob_shapes()
    again = copy.deepcopy(graph)
    optimize(again, arithmetic=NUMPY_ARITHMETIC, report=silent)
    assert len(again.layers) <= len(graph.layers)
    assert {blob: hints[blob] for blob in again.blob_shapes()} == again.blob_shapes()
