"""Against what the real runtime gave: the golden layer cases and the recurrent networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastpath.layers import embed, gemm, gru, lstm, multi_head_attention, rnn, sdpa
from fastpath.net import Net
from golden import vectors
from spec.formats.weights import read_model
from tests.golden_files import case_folder
from tests.models import model_folder

PREPARE = {
    name: prepare
    for module in (embed, gemm, gru, lstm, multi_head_attention, rnn, sdpa)
    for name, prepare in module.PREPARE.items()
}

TOLERANCE = {"Embed": 2.0**-23, "RNN": 2e-6, "GRU": 1e-6, "LSTM": 5e-6, "Gemm": 5e-7, "SDPA": 2e-6}
"""Of the blob's maximum. RNN and GRU: exact but for the C library's tanhf and expf, and in float for the order of sums;
LSTM: vector approximations of both; Gemm, SDPA and MultiHeadAttention: fused multiply-adds."""
TOLERANCE["MultiHeadAttention"] = 2e-6

MODELS = {
    "digits-rnn": 1e-6,
    "digits-gru64": 1e-6,
    "digits-bigru": 1e-6,
    "digits-lstm": 1e-4,
    "digits-bilstm": 1e-4,
    "digits-lstmproj": 1e-4,
    "dtln1": 1e-5,
    "g2p-en-decoder": 1e-5,
}
"""Of the blob's maximum, with the other layers' fused multiply-adds in it. LSTM allows for a code that flips."""


def distance(ours: Any, theirs: Any) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours.astype(np.float64) - theirs).max()) / max(float(np.abs(theirs).max()), 1e-30)


@pytest.mark.parametrize("kind", sorted(TOLERANCE))
def test_layer_cases(kind: str) -> None:
    seen = 0
    for case in vectors.cases("layers-int8"):
        if case.facts.get("layer", {}).get("type") == kind:
            seen += sum(check_case(case_folder(case.id), run, kind) for run in case.facts["inference"])
    assert seen >= 10


def check_case(folder: Path, run: dict[str, Any], kind: str) -> int:
    graph = read_model(folder / run["param"], folder / run["bin"])
    (layer,) = [layer for layer in graph if layer.type == kind]
    inputs = [
        np.load(folder / run["inputs"][name]) if name in run["inputs"] else np.empty(0, np.float32)
        for name in layer.bottoms
    ]
    tops = dict(zip(layer.tops, PREPARE[kind](layer)(inputs), strict=True))
    for name, output in run["outputs"].items():
        assert distance(tops[name], np.load(folder / output["file"])) <= TOLERANCE[kind], (folder.name, name)
    return len(run["outputs"])


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("form", ["float", "int8"])
def test_networks(name: str, form: str) -> None:
    folder = model_folder(name)
    net = Net()
    net.load_param(folder / ("float.param" if form == "float" else "int8-kl.param"))
    net.load_model(folder / ("float.bin" if form == "float" else "int8-kl.bin"))
    for index in range(len(list(folder.glob("input-*-in0.npy")))):
        with net.create_extractor() as extractor:
            for blob in net.input_names():
                extractor.input(blob, np.load(folder / f"input-{index}-{blob}.npy"))
            for blob in net.output_names():
                expected = np.load(folder / f"output-{form}-{index}-{blob}.npy")
                limit = MODELS[name] if form == "int8" else 5e-3
                assert distance(extractor.extract(blob)[1], expected) <= limit, (index, blob)
