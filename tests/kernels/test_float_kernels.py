"""The kernels in binary64: exp and tanh against many more digits, rounding to 24 bits, planes against plain loops."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
from numpy.typing import NDArray

from fastpath.arena import double_buffer
from fastpath.kernels import Kernels
from fastpath.kernels.source.planes import PLANE_SLACK, PLANES, TAPS
from fastpath.kernels.source.recurrent import BAND, EXP_BAND, SPLIT, STATES
from tests.kernels.levels import every_level, kernels_of

getcontext().prec = 60

Doubles = NDArray[np.float64]

COUNT = 400
"""Numbers that interpreted kernels are tried on."""


def count_of(level: Kernels) -> int:
    return COUNT if level.name == "interpreted" else STATES


def arguments(count: int, limit: float) -> NDArray[np.float32]:
    """Numbers of all magnitudes up to the limit, both signs."""
    random = np.random.default_rng(11)
    magnitudes = np.concatenate(
        [random.uniform(0, limit, count // 2), 10.0 ** random.uniform(-30, 1, count - count // 2)]
    )
    return np.array(magnitudes.clip(0, limit) * random.choice([-1.0, 1.0], count), np.float32)


def test_split_rounds_to_24_bits_with_ties_to_even() -> None:
    random = np.random.default_rng(3)
    ties = (random.integers(2**23, 2**24, 50000) + 0.5) * 2.0 ** random.integers(-60, 60, 50000)
    products = random.standard_normal(50000).astype(np.float32).astype(np.float64) * random.standard_normal(
        50000
    ).astype(np.float32)
    for values in (ties, -ties, products):
        shifted = values * SPLIT
        assert np.array_equal(shifted - (shifted - values), values.astype(np.float32).astype(np.float64))


@every_level()
def test_tanh_is_right_to_a_quarter_of_the_band(level: str) -> None:
    kernels = kernels_of(level)
    n = count_of(kernels)
    values = arguments(n, 20.0)
    source, out = double_buffer(2 * STATES), double_buffer(2 * STATES)
    source.items[:n] = values
    kernels.recurrent.exp_minus_one(source.data, 0, out.data, 0, n)
    for x, e in list(zip(values.tolist(), out.items[:n].tolist(), strict=True))[:: n // COUNT]:
        power = (2 * Decimal(x)).exp()
        exact = (power - 1) / (power + 1)
        assert abs(Decimal(e / (e + 2.0)) / exact - 1) < Decimal(BAND) / 4


@every_level()
def test_doubt_covers_what_exp_is_off_by(level: str) -> None:
    kernels = kernels_of(level)
    n = count_of(kernels)
    gates = arguments(n, 39.9)
    source, out = double_buffer(2 * STATES), double_buffer(2 * STATES)
    source.items[:n] = -gates / 2
    kernels.recurrent.exp_minus_one(source.data, 0, out.data, 0, n)
    for x, e in list(zip((-gates).tolist(), out.items[:n].tolist(), strict=True))[:: n // COUNT]:
        exact = Decimal(x).exp()
        assert abs(Decimal(e) + 1 - exact) < Decimal(EXP_BAND) * (2 + abs(Decimal(x))) * (1 + exact) / 2


@every_level()
def test_sigmoid_divisors_are_those_of_binary32(level: str) -> None:
    kernels = kernels_of(level)
    n = count_of(kernels)
    gates = arguments(n, 39.0)
    data, doubt = double_buffer(2 * STATES), double_buffer(2 * STATES)
    data.items[:n] = gates
    kernels.recurrent.exp_plus_one(data.data, n, doubt.data)
    expected = np.array([np.float32(1) + np.float32(math.exp(-float(g))) for g in gates], np.float32)
    sure = doubt.items[:n] == 0
    assert sure.mean() > 0.99
    assert np.array_equal(data.items[:n][sure], expected[sure].astype(np.float64))


@every_level()
@pytest.mark.parametrize("value", [41.0, -50.0, math.inf, -math.inf, math.nan])
def test_gates_out_of_range_are_doubted(level: str, value: float) -> None:
    data, doubt = double_buffer(2 * STATES), double_buffer(2 * STATES)
    data.items[0] = value
    kernels_of(level).recurrent.exp_plus_one(data.data, 1, doubt.data)
    assert doubt.items[0] != 0


@every_level()
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 5), (1, 1)])
def test_depthwise_sums(level: str, kernel: tuple[int, int], stride: int) -> None:
    random = np.random.default_rng(7)
    channels, h, w = 3, 9, 11
    planes = random.integers(-50, 50, (channels, h, w)).astype(np.float64)
    weights = random.integers(-9, 9, (channels, *kernel)).astype(np.float64)
    bias = random.integers(-9, 9, channels).astype(np.float64)
    out_h, out_w = (h - kernel[0]) // stride + 1, (w - kernel[1]) // stride + 1
    x, o = double_buffer(2 * PLANES + PLANE_SLACK), double_buffer(2 * PLANES + PLANE_SLACK)
    table, biases = double_buffer(TAPS), double_buffer(TAPS)
    x.items[: planes.size], table.items[: weights.size] = planes.reshape(-1), weights.reshape(-1)
    biases.items[:channels] = bias
    kernels_of(level).planes.depthwise(
        x.data,
        h * w,
        w,
        table.data,
        0,
        *kernel,
        1,
        1,
        stride,
        stride,
        biases.data,
        0,
        channels,
        o.data,
        out_h,
        True,
        out_w,
    )
    pitch = w if stride == 1 else out_w
    got = o.items[: channels * out_h * pitch].reshape(channels, out_h, pitch)[:, :, :out_w]
    for c in range(channels):
        for y in range(out_h):
            for column in range(out_w):
                top, left = y * stride, column * stride
                window = planes[c, top : top + kernel[0], left : left + kernel[1]]
                assert got[c, y, column] == max(bias[c] + (window * weights[c]).sum(), 0)


@every_level()
@pytest.mark.parametrize("kernel", [2, 3])
def test_maxima(level: str, kernel: int) -> None:
    random = np.random.default_rng(8)
    channels, h, w = 2, 9, 13
    planes = random.integers(-5, 5, (channels, h, w)).astype(np.float64)
    out_h, out_w = (h - kernel) // 2 + 1, (w - kernel) // 2 + 1
    x, o = double_buffer(2 * PLANES + PLANE_SLACK), double_buffer(2 * PLANES + PLANE_SLACK)
    x.items[: planes.size] = planes.reshape(-1)
    kernels_of(level).planes.max_pool(x.data, h * w, w, kernel, channels, o.data, out_h, out_w)
    got = o.items[: channels * out_h * out_w].reshape(channels, out_h, out_w)
    for c in range(channels):
        for y in range(out_h):
            for column in range(out_w):
                assert got[c, y, column] == planes[c, 2 * y : 2 * y + kernel, 2 * column : 2 * column + kernel].max()
