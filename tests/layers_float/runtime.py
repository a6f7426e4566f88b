"""One layer as a network: run by the spec and by the ncnn wheel."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spec.formats.param import parse_param
from spec.formats.weights import load_weights
from spec.net import Net

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A layer line without names, its bottoms, its tops and the bytes of its weights."""

    type: str
    params: str
    bottoms: list[Array]
    tops: int = 1
    weights: bytes = b""

    @property
    def param(self) -> str:
        inputs = [f"Input in{index} 0 1 x{index}" for index in range(len(self.bottoms))]
        bottoms = [f"x{index}" for index in range(len(self.bottoms))]
        words = [self.type, "layer", str(len(bottoms)), str(self.tops), *bottoms, *self.top_names, self.params]
        return f"7767517\n{len(inputs) + 1} {len(bottoms) + self.tops}\n" + "\n".join([*inputs, " ".join(words)]) + "\n"

    @property
    def top_names(self) -> list[str]:
        return [f"y{index}" for index in range(self.tops)]


def raw(*arrays: Array) -> bytes:
    """Weight records without a tag."""
    return b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays)


def tagged(array: Array) -> bytes:
    """A weight record of binary32 with its tag."""
    return b"\0\0\0\0" + raw(array)


def run_spec(case: Case) -> list[Array]:
    graph = parse_param(case.param)
    load_weights(graph, case.weights)
    extractor = Net.from_graph(graph).create_extractor()
    for index, bottom in enumerate(case.bottoms):
        extractor.input(f"x{index}", bottom)
    return [np.array(extractor.extract(name)[1]) for name in case.top_names]


def run_wheel(case: Case) -> list[Array]:
    """In binary32, one thread, without packing and Winograd, and keeping every blob.

    The wheel may work in place on what it is given, so it gets copies.
    """
    ncnn = pytest.importorskip("ncnn")
    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage", "packing_layout"):
        setattr(net.opt, f"use_{option}", False)
    net.opt.use_winograd_convolution = False
    net.opt.lightmode = False
    with tempfile.TemporaryDirectory() as folder:
        param, model = Path(folder, "net.param"), Path(folder, "net.bin")
        param.write_text(case.param)
        model.write_bytes(case.weights)
        assert net.load_param(str(param)) == 0, f"the wheel rejects\n{case.param}"
        assert net.load_model(str(model)) == 0
    extractor = net.create_extractor()
    for index, bottom in enumerate(case.bottoms):
        extractor.input(f"x{index}", ncnn.Mat(np.ascontiguousarray(bottom)).clone())
    results = []
    for name in case.top_names:
        status, mat = extractor.extract(name)
        assert status == 0, f"the wheel cannot run\n{case.param}"
        results.append(np.array(mat).copy() if mat.dims else np.zeros((0, 6), np.float32))
    return results


@dataclass(frozen=True)
class Agreement:
    """How far spec and wheel may lie apart: `relative` to the larger of 1 and the largest magnitude, and why."""

    relative: float
    reason: str = field(compare=False)


def assert_agree(case: Case, agreement: Agreement) -> None:
    for ours, theirs in zip(run_spec(case), run_wheel(case), strict=True):
        assert ours.shape == theirs.shape, case.param
        if ours.size:
            scale = max(1.0, float(np.abs(theirs).max()))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=agreement.relative * scale, err_msg=case.param)
