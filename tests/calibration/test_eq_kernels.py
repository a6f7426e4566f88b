"""The compiled eq search finds the cosines of the numpy search, digit for digit, at every level."""

from __future__ import annotations

import warnings
from array import array

import numpy as np
import pytest

from fastpath.calibration import eq_bench, eq_bottom, eq_samples, eq_scales, eq_weights
from fastpath.calibration.eq import candidates, quantized_layer
from fastpath.calibration.eq_bottom import bottom_totals
from fastpath.calibration.eq_form import Candidates, Form, Pair
from fastpath.calibration.eq_weights import batches
from fastpath.calibration.weight_scales import weight_scales
from fastpath.layers import PREPARE
from spec.graph import Layer, float_weight
from tests.calibration.test_eq import float_layer, silent
from tests.kernels.levels import every_compiled_level, forced

Floats = np.ndarray

SHAPES: dict[str, tuple[str, int, dict[str, int], tuple[int, ...]]] = {
    "short": ("Convolution", 81, {"num_output": 3, "kernel_w": 3}, (3, 11, 9)),
    "long": ("Convolution", 450, {"num_output": 5, "kernel_w": 3, "pad_left": 1, "activation_type": 1}, (10, 7, 8)),
    "strided": ("Convolution", 60, {"num_output": 5, "kernel_w": 2, "stride_w": 2, "pad_left": 1}, (3, 9, 8)),
    "wide steps": ("Convolution", 36, {"num_output": 4, "kernel_w": 3, "dilation_w": 2, "stride_w": 3}, (1, 15, 17)),
    "borders": ("Convolution", 36, {"num_output": 2, "kernel_w": 3, "pad_left": 1}, (2, 6, 5)),
    "depthwise": ("ConvolutionDepthWise", 36, {"num_output": 4, "kernel_w": 3, "group": 4, "stride_w": 2}, (4, 9, 9)),
    "grouped": ("ConvolutionDepthWise", 108, {"num_output": 6, "kernel_w": 3, "group": 2}, (4, 6, 7)),
    "vector": ("InnerProduct", 300, {"num_output": 3}, (100,)),
}


def layer_of(name: str) -> tuple[Layer, tuple[int, ...]]:
    kind, weights, params, shape = SHAPES[name]
    layer = float_layer(kind, np.random.default_rng(len(name)), weights, **params)
    if name == "borders":
        layer.set("pad_value", 3.0)
    return layer, shape


def samples_of(layer: Layer, shape: tuple[int, ...], count: int, scales: list[float]) -> list[Pair]:
    """Bottom blobs, with something like the float output for each."""
    random = np.random.default_rng(count)
    current = PREPARE[layer.type](quantized_layer(layer, scales, 40.0))
    bottoms = [random.normal(size=shape).astype(np.float32) for _ in range(count)]
    tops = [current([bottom])[0] for bottom in bottoms]
    return [
        (bottom, (top + random.normal(size=top.shape) * 0.1).astype(np.float32))
        for bottom, top in zip(bottoms, tops, strict=True)
    ]


def found_cosines(layer: Layer, pairs: list[Pair], scales: list[float]) -> list[Floats]:
    """The cosines of all candidates, of weight scales and of the activation scale."""
    form = Form.of(layer)
    with np.errstate(all="ignore"):
        current = PREPARE[layer.type](quantized_layer(layer, scales, 40.0))
        samples = batches(form, pairs, current, 40.0)
        found = []
        for group, start in enumerate(scales):
            tries = Candidates.of(form, group, candidates(start), 40.0)
            found += [batch.cosines(tries) for batch in samples]
            for batch in samples:
                batch.choose(group, 7 * group % 100 if group % 3 else None)
        return [*found, *bottom_totals(form, pairs, scales, candidates(40.0))]


def refuse(*arguments: object) -> None:
    raise AssertionError("numpy was asked")


def assert_equal(layer: Layer, pairs: list[Pair], scales: list[float], level: str, *, tame: bool = True) -> None:
    """Where numbers are `tame`, numpy has nothing to do but the activation scales of several groups."""
    with forced("interpreted"):
        expected = found_cosines(layer, pairs, scales)
    with forced(level), pytest.MonkeyPatch.context() as patch:
        if tame:
            patch.setattr(eq_weights.Columns, "extended", refuse)
            if layer.type != "ConvolutionDepthWise":
                patch.setattr(eq_bottom, "_side_by_side", refuse)
        found = found_cosines(layer, pairs, scales)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


@every_compiled_level()
@pytest.mark.parametrize("name", SHAPES)
def test_cosines_are_those_of_numpy(name: str, level: str) -> None:
    layer, shape = layer_of(name)
    scales = weight_scales(layer, "kl", upstream=False, report=silent)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "layer x: pad_value")
        assert_equal(layer, samples_of(layer, shape, 5, scales), scales, level)


@every_compiled_level()
def test_samples_fill_several_blocks_and_buffers(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty samples, in buffers that hold a few rows of ten of them."""
    layer, shape = layer_of("short")
    scales = weight_scales(layer, "kl", upstream=False, report=silent)
    monkeypatch.setattr(eq_samples, "IMAGES", 3 * 9 * 5 * 16)
    monkeypatch.setattr(eq_scales, "CACHED", 3 * 11 * 9 * 24)
    assert_equal(layer, samples_of(layer, shape, 20, scales), scales, level)


@every_compiled_level()
def test_limits_of_a_clip_hold(level: str) -> None:
    layer, shape = layer_of("short")
    layer.set("activation_type", 3)
    layer.set("activation_params", [-0.5, 0.75])
    scales = weight_scales(layer, "kl", upstream=False, report=silent)
    assert_equal(layer, samples_of(layer, shape, 4, scales), scales, level)


@every_compiled_level()
@pytest.mark.parametrize("bias", [1e-20, 1e10])
def test_numbers_that_are_not_tame_are_left_to_numpy(bias: float, level: str) -> None:
    layer, shape = layer_of("long")
    layer.weights["bias_data"] = float_weight("bias_data", array("f", [bias] * 5), "raw")
    scales = weight_scales(layer, "kl", upstream=False, report=silent)
    assert_equal(layer, samples_of(layer, shape, 4, scales), scales, level, tame=False)


def test_tame_numbers() -> None:
    assert eq_bench.is_tame(np.array([0.0, -1.0, 2.0**-38, 2.0**20], np.float32))
    for number in (2.0**-39, 2.0**21, np.inf, np.nan):
        assert not eq_bench.is_tame(np.array([1.0, number], np.float32))
