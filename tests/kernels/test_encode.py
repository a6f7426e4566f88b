"""From bit patterns of binary32 numbers to codes, against rounding in binary64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastpath.arena import byte_buffer, int_buffer
from fastpath.kernels.source.capacity import FEATURES, FLOATS, SLACK
from tests.kernels.levels import every_level, kernels_of

SIDES = [-1, 0, 1]
"""The number below a half, the half, the number above."""


def near_halves() -> list[float]:
    """Every half that codes meet with its neighbours, small and large numbers, and those with no fraction."""
    halves = [np.float32(n + 0.5) for n in range(131)]
    neighbours = [np.nextafter(half, np.float32(half + side)) if side else half for half in halves for side in SIDES]
    others = [0.0, 1e-45, 1e-38, 1e-9, 0.25, 1.0, 64.0, 127.0, 127.49, 128.0, 1e9, 3e38, math.inf]
    return [float(value) for value in [*neighbours, *others]]


def code(value: float, sign: int) -> int:
    """Half away from zero, clamped; `sign` multiplies codes of negative numbers."""
    size = math.floor(min(abs(value), 127.0) + 0.5)
    return sign * size if math.copysign(1.0, value) < 0 else size


@every_level()
@pytest.mark.parametrize(("sign", "zero"), [(-1, 128), (0, 0)])
@pytest.mark.parametrize(("channels", "pixel"), [(6, 6), (5, 8)])
def test_codes(level: str, sign: int, zero: int, channels: int, pixel: int) -> None:
    kernels, w, first, end = kernels_of(level), 11, 1, 15
    values = np.array([*near_halves(), *(-value for value in near_halves())], np.float32)
    values = np.resize(values, (end - first) * w * channels)
    bits, map_ = int_buffer(2 * FLOATS), byte_buffer(FEATURES + SLACK)
    bits.items[: values.size] = values.view(np.int32)
    map_.items[:] = 77
    row = w * pixel + 3
    kernels.encode.rows(
        bits.data, bits.start, first, end, w, channels, kernels.records.Feature(map_.data, map_.start, row, pixel),
        sign, zero,
    )  # fmt: skip
    rows = np.lib.stride_tricks.as_strided(map_.items, (end + 1, w, pixel), (row, pixel, 1))
    expected = np.array([code(float(value), sign) + zero for value in values]).reshape(-1, w, channels)
    assert np.array_equal(rows[first:end, :, :channels], expected)
    assert (rows[first:end, :, channels:] == 77).all()
    assert (rows[0] == 77).all() and (rows[end] == 77).all()


@every_level()
def test_rectify(level: str) -> None:
    kernels, bits = kernels_of(level), int_buffer(2 * FLOATS)
    values = np.array([1.5, -1.5, -0.0, 0.0, -1e-45, 3e38, -3e38, -7.0], np.float32)
    bits.items[: values.size] = values.view(np.int32)
    kernels.encode.rectify(bits.data, bits.start + 1, values.size - 2)
    expected = np.array([1.5, 0, 0, 0, 0, 3e38, 0, -7.0], np.float32)
    assert np.array_equal(bits.items[: values.size], expected.view(np.int32))


@every_level()
def test_parts_out_of_range(level: str) -> None:
    kernels, bits, map_ = kernels_of(level), int_buffer(2 * FLOATS), byte_buffer(FEATURES + SLACK)
    with pytest.raises(ValueError, match="part out of range"):
        kernels.encode.rectify(bits.data, FLOATS, FLOATS + 1)
    with pytest.raises(ValueError, match="part out of range"):
        kernels.encode.run(bits.data, -1, 4, map_.data, 0, 0, 0)
    with pytest.raises(ValueError, match="feature map too small"):
        kernels.encode.run(bits.data, 0, 4, map_.data, FEATURES + 1, 0, 0)
