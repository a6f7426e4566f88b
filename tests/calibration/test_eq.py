"""The eq search: the fast one, which repeats nothing, chooses what the literal one chooses."""

from __future__ import annotations

import itertools
from array import array
from typing import Any

import numpy as np
import pytest

import fastpath.calibration.eq as fast
import spec.calibration.eq as spec
from fastpath.calibration import eq_weights
from fastpath.calibration.weight_scales import weight_scales
from spec.binary32 import REFERENCE
from spec.blob import Blob, as_blob
from spec.graph import Layer, float_weight
from spec.layers import FORWARD


def silent(line: str) -> None:
    pass


def float_layer(kind: str, random: np.random.Generator, weights: int, **params: int) -> Layer:
    layer = Layer(kind, "x", ["a"], ["b"])
    for name, value in params.items():
        layer.set(name, value)
    layer.set("weight_data_size", weights)
    layer.set("bias_term", 1)
    values = array("f", random.normal(size=weights))
    layer.weights["weight_data"] = float_weight("weight_data", values, "tagged")
    bias = array("f", random.normal(size=params["num_output"]))
    layer.weights["bias_data"] = float_weight("bias_data", bias, "raw")
    return layer


def pairs_of(layer: Layer, bottoms: list[np.ndarray]) -> tuple[list[tuple[Any, Any]], list[tuple[Blob, Blob]]]:
    """The samples for both engines, with the reference outputs of the spec's float layer."""
    blobs = [as_blob(bottom) for bottom in bottoms]
    tops = [FORWARD[layer.type](layer, [blob], REFERENCE)[0] for blob in blobs]
    return (
        [(bottom, np.array(top)) for bottom, top in zip(bottoms, tops, strict=True)],
        list(zip(blobs, tops, strict=True)),
    )


LAYERS: dict[str, tuple[str, int, dict[str, int], tuple[int, ...]]] = {
    "convolution": (
        "Convolution",
        36,
        {"num_output": 2, "kernel_w": 3, "pad_left": 1, "activation_type": 1},
        (2, 3, 3),
    ),
    "strided": ("Convolution", 12, {"num_output": 3, "kernel_w": 2, "stride_w": 2}, (1, 4, 4)),
    "depthwise": ("ConvolutionDepthWise", 8, {"num_output": 2, "kernel_w": 2, "group": 2}, (2, 3, 3)),
    "grouped": ("ConvolutionDepthWise", 8, {"num_output": 4, "kernel_w": 1, "group": 2}, (4, 2, 2)),
    "vector": ("InnerProduct", 15, {"num_output": 3}, (5,)),
    "matrix": ("InnerProduct", 8, {"num_output": 2}, (3, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_fast_search_is_the_literal_one(name: str) -> None:
    kind, weights, params, shape = LAYERS[name]
    random = np.random.default_rng(len(name))
    layer = float_layer(kind, random, weights, **params)
    bottoms = [random.normal(size=shape).astype(np.float32) for _ in range(2)]
    fast_pairs, spec_pairs = pairs_of(layer, bottoms)
    start = weight_scales(layer, "kl", upstream=False, report=silent)
    ours_said: list[str] = []
    spec_said: list[str] = []
    ours = fast.search_scales(layer, fast_pairs, start, 40.0, report=ours_said.append)
    expected = spec.search_scales(layer, spec_pairs, start, 40.0, report=spec_said.append)
    assert ours == expected
    assert ours_said == spec_said


@pytest.mark.parametrize("kept", [0, 10**6])
def test_samples_of_several_shapes_are_searched_together(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eq_weights, "KEPT_COLUMNS", kept)
    random = np.random.default_rng(3)
    layer = float_layer("Convolution", random, 24, num_output=3, kernel_w=2)
    shapes = [(2, 2, 3), (2, 2, 3), (2, 3, 3), (2, 2, 3)]
    fast_pairs, spec_pairs = pairs_of(layer, [random.normal(size=shape).astype(np.float32) for shape in shapes])
    start = weight_scales(layer, "kl", upstream=False, report=silent)
    ours = fast.search_scales(layer, fast_pairs, start, 40.0, report=silent)
    assert ours == spec.search_scales(layer, spec_pairs, start, 40.0, report=silent)


def test_the_search_finds_better_scales() -> None:
    random = np.random.default_rng(0)
    layer = float_layer("InnerProduct", random, 64, num_output=4)
    bottoms = [random.normal(size=16).astype(np.float32) for _ in range(3)]
    pairs, _ = pairs_of(layer, bottoms)
    start = weight_scales(layer, "kl", upstream=False, report=silent)
    scales, bottom = fast.search_scales(layer, pairs, start, 20.0, report=silent)
    assert fast.similarity(layer, pairs, scales, bottom) > fast.similarity(layer, pairs, start, 20.0)


def test_infinite_scales_stay() -> None:
    random = np.random.default_rng(1)
    layer = float_layer("InnerProduct", random, 6, num_output=2)
    layer.weight("weight_data").values[:3] = array("f", [0.0] * 3)
    fast_pairs, spec_pairs = pairs_of(layer, [random.normal(size=3).astype(np.float32)])
    start = weight_scales(layer, "kl", upstream=False, report=silent)
    ours = fast.search_scales(layer, fast_pairs, start, 30.0, report=silent)
    assert ours == spec.search_scales(layer, spec_pairs, start, 30.0, report=silent)
    assert ours[0][0] == float("inf")


def test_candidates_surround_the_start_and_leave_it_out() -> None:
    for start in (1.0, 254.0, 1e-3):
        tries = spec.candidates(float(np.float32(start)))
        assert tries == fast.candidates(float(np.float32(start)))
        assert tries[0] == pytest.approx(start / 2) and tries[-1] == pytest.approx(start * 1.985)
        assert all(a < b for a, b in itertools.pairwise(tries))


def test_cosines_agree() -> None:
    random = np.random.default_rng(2)
    for size in (1, 7, 5000):
        a, b = (random.normal(size=size).astype(np.float32) for _ in range(2))
        assert fast.cosine(a, b) == spec.cosine(a.tolist(), b.tolist())
    assert np.isnan(fast.cosine(np.zeros(3, np.float32), np.ones(3, np.float32)))
    assert np.isnan(spec.cosine([0.0], [1.0]))
