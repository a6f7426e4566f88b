"""Every kernel at every level against plain int64 numpy."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastpath.arena import Buffer, byte_buffer, int_buffer, long_vec
from fastpath.kernels.packing import (
    BYTES_2X4,
    BYTES_2X8,
    BYTES_4X4,
    WORDS_2X4,
    fits_lanes,
    pack_dense,
    pack_depthwise,
    pack_depthwise_lanes,
    pack_lanes,
    pack_pairs,
    round_up,
)
from fastpath.kernels.source.capacity import ACCUMULATOR_SLACK, ACCUMULATORS, CHANNELS, FEATURES, POINTS, SLACK
from fastpath.steps.workshop import Workshop
from tests.kernels.levels import every_level, kernels_of

SEED = 20260722


@pytest.fixture(scope="module")
def arena() -> Buffer[Any]:
    return byte_buffer(FEATURES + SLACK)


@pytest.fixture(scope="module")
def target() -> Buffer[Any]:
    return byte_buffer(FEATURES + SLACK)


@pytest.fixture(scope="module")
def sums() -> Buffer[Any]:
    return int_buffer(ACCUMULATORS + ACCUMULATOR_SLACK)


def patches_in(arena: Buffer[Any], pixels: int, k: int, highest: int, seed: int) -> tuple[NDArray[np.int64], Any]:
    """Random bytes as patches one after the other, and the offsets that the kernels want."""
    values = np.random.default_rng(seed).integers(0, highest + 1, (pixels, k), dtype=np.int64)
    arena.items[: values.size + 64] = 255
    arena.items[: values.size] = values.reshape(-1)
    places = arena.start + np.minimum(np.arange(pixels + 8), pixels - 1) * k
    return values, long_vec(places, POINTS)


def random_weights(shape: tuple[int, ...], seed: int, lowest: int = -128) -> NDArray[np.int8]:
    weights = np.random.default_rng(seed).integers(lowest, 128, shape).astype(np.int8)
    weights.flat[:2] = [lowest, 127]
    return weights


@every_level()
@pytest.mark.parametrize("form", [BYTES_4X4, BYTES_2X4, BYTES_2X8, WORDS_2X4])
@pytest.mark.parametrize(("pixels", "k", "channels"), [(1, 32, 4), (5, 33, 6), (3, 96, 9)])
def test_dot(level: str, form: int, pixels: int, k: int, channels: int, arena: Buffer[Any], sums: Buffer[Any]) -> None:
    kernels = kernels_of(level)
    stride = round_up(k, 32)
    values, points = patches_in(arena, pixels, stride, 255, SEED)
    weights = random_weights((channels, k, 1, 1), SEED + 1)
    expected = values[:, :k] @ weights.reshape(channels, k).astype(np.int64).T
    packed = pack_dense(kernels, weights, form)
    padded = round_up(channels, 8)
    kernels.dense.multiply(arena.data, points, pixels, packed, sums.data, sums.start, padded, 1)
    rows = sums.items[: pixels * padded].reshape(pixels, padded)
    assert np.array_equal(rows[:, :channels], expected)
    plane = round_up(pixels + 4, 8)
    kernels.dense.multiply(arena.data, points, pixels, packed, sums.data, sums.start, 1, plane)
    planes = sums.items[: channels * plane].reshape(channels, plane)
    assert np.array_equal(planes[:, :pixels], expected.T)


@every_level()
def test_dot_over_several_blocks_of_weights(level: str, arena: Buffer[Any], sums: Buffer[Any]) -> None:
    kernels = kernels_of(level)
    k, channels = (8192, 20) if level != "interpreted" else (8192, 17)
    values, points = patches_in(arena, 1, k, 255, SEED)
    weights = random_weights((channels, k, 1, 1), SEED)
    packed = pack_dense(kernels, weights, BYTES_4X4 if kernels.multiplies_bytes else WORDS_2X4)
    assert len(packed.starts) > 1
    kernels.dense.multiply(arena.data, points, 1, packed, sums.data, sums.start, 20, 1)
    assert np.array_equal(sums.items[:channels], weights.reshape(channels, k).astype(np.int64) @ values[0])


@every_level()
@pytest.mark.parametrize("k", [5, 16, 20, 32])
def test_lanes(level: str, k: int, arena: Buffer[Any], sums: Buffer[Any]) -> None:
    kernels = kernels_of(level)
    pixels, channels = 3, 40
    values, points = patches_in(arena, pixels, round_up(k, 16), 127, SEED + k)
    weights = random_weights((channels, k, 1, 1), SEED + k, lowest=-127)
    assert fits_lanes(weights, 0)
    packed, excess = pack_lanes(kernels, weights)
    kernels.dense.multiply(arena.data, points, pixels, packed, sums.data, sums.start, 64, 1)
    found = sums.items[: pixels * 64].reshape(pixels, 64)[:, :channels] - excess
    assert np.array_equal(found, values[:, :k] @ weights.reshape(channels, k).astype(np.int64).T)


@every_level()
@pytest.mark.parametrize("sign", [-1, 1])
def test_lanes_at_their_limits(level: str, sign: int, arena: Buffer[Any], sums: Buffer[Any]) -> None:
    """The largest and the smallest sums of four products."""
    kernels = kernels_of(level)
    _, points = patches_in(arena, 2, 32, 0, SEED)
    arena.items[:32] = 127
    weights = np.full((32, 32, 1, 1), 127 * sign, np.int8)
    packed, excess = pack_lanes(kernels, weights)
    kernels.dense.multiply(arena.data, points, 2, packed, sums.data, sums.start, 32, 1)
    found = sums.items[:64].reshape(2, 32) - excess
    assert found[0].tolist() == [32 * 127 * 127 * sign] * 32
    assert found[1].tolist() == [0] * 32


@every_level()
def test_pairs(level: str, arena: Buffer[Any], sums: Buffer[Any]) -> None:
    kernels = kernels_of(level)
    values, points = patches_in(arena, 3, 28, 254, SEED)
    arena.items[: values.size] += 1
    weights = random_weights((33, 3, 3, 3), SEED, lowest=-127)
    assert fits_lanes(weights, 128)
    kernels.dense.multiply(arena.data, points, 3, pack_pairs(kernels, weights), sums.data, sums.start, 64, 1)
    rows = weights.transpose(0, 3, 2, 1).reshape(33, 27).astype(np.int64)
    expected = (values[:, :27] + 1 - 128) @ rows.T
    assert np.array_equal(sums.items[: 3 * 64].reshape(3, 64)[:, :33], expected)


@every_level()
@pytest.mark.parametrize("repeat", [1, 4])
@pytest.mark.parametrize("zero", [0, 128])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 3), (1, 1)])
def test_depthwise(
    level: str, repeat: int, zero: int, kernel: tuple[int, int], arena: Buffer[Any], sums: Buffer[Any]
) -> None:
    kernels = kernels_of(level)
    channels, out_h, out_w = 16, 2, 5
    h, w = out_h + kernel[0] - 1, out_w + kernel[1] - 1
    codes = np.random.default_rng(SEED).integers(-127 if zero else 0, 128, (h, w, channels))
    arena.items[: codes.size] = (codes + zero).reshape(-1)
    weights = random_weights((channels, 1, *kernel), SEED, lowest=-127)
    expected = sum(
        codes[y : y + out_h, x : x + out_w] * weights[:, 0, y, x].astype(np.int64)
        for y in range(kernel[0])
        for x in range(kernel[1])
    )
    packed = pack_depthwise(kernels, weights, zero, repeat if kernel == (3, 3) else 1)
    feature = kernels.records.Feature(arena.data, arena.start, w * channels, channels)
    window = kernels.records.Window(*kernel, 1, 1, 1, 1, out_h, out_w)
    for y in range(out_h):
        kernels.depthwise.sums(feature, window, packed, y, sums.data, sums.start)
        found = sums.items[: out_w * channels].reshape(out_w, channels)
        assert np.array_equal(found, np.asarray(expected)[y])


@every_level()
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (4, 1)])
def test_depthwise_in_lanes(level: str, stride: tuple[int, int], arena: Buffer[Any], target: Buffer[Any]) -> None:
    """Sums up to the largest, through stairs that take the code for the top byte of the sum."""
    kernels = kernels_of(level)
    channels, out_h, out_w, shift = 64, 4, 3, 12
    h, w = (out_h - 1) * stride[0] + 3, (out_w - 1) * stride[1] + 3
    codes = np.random.default_rng(SEED).integers(0, 128, (h, w, channels))
    weights = random_weights((channels, 1, 3, 3), SEED, lowest=-127)
    codes[:, :, 2:4] = 127
    weights[2], weights[3] = 127, -127
    arena.items[: codes.size] = codes.reshape(-1)
    packed, excess = pack_depthwise_lanes(kernels, weights)
    bottom = kernels.records.Feature(arena.data, arena.start, w * channels, channels)
    top = kernels.records.Feature(target.data, target.start, out_w * channels, channels)
    window = kernels.records.Window(3, 3, 1, 1, *stride, out_h, out_w)
    shop = Workshop()
    middle = (np.int64(128) << shift) - excess
    kernels.depthwise.convolve(bottom, window, packed, straight(kernels, middle, shift), top, shop.scratch(kernels))
    found = target.items[: out_h * out_w * channels].reshape(out_h, out_w, channels)
    for y in range(out_h):
        for x in range(out_w):
            part = codes[y * stride[0] : y * stride[0] + 3, x * stride[1] : x * stride[1] + 3]
            sums = (part * weights[:, 0].transpose(1, 2, 0).astype(np.int64)).sum(axis=(0, 1))
            assert np.array_equal(found[y, x], (sums >> shift) + 128)


def straight(kernels: Any, c: NDArray[np.int64], shift: int) -> Any:
    """Stairs whose byte is (sum + c) >> shift."""
    none, no_words = long_vec(np.zeros(0), 0), int_buffer(0).data
    ones = long_vec(np.ones(c.size), CHANNELS)
    no_bend, no_halves = (False, none, none, none, none), (False, no_words, 0, 0, 0)
    return kernels.records.Staircase(
        ones, long_vec(c, CHANNELS), shift, 0, 255, False, no_words, 0, none, c.size, 1, *no_bend, *no_halves
    )


@every_level()
@pytest.mark.parametrize(
    ("kernel", "stride"), [((3, 3), (2, 2)), ((3, 3), (1, 2)), ((2, 2), (2, 2)), ((1, 3), (1, 1)), ((5, 4), (1, 1))]
)
def test_max_pool(
    level: str, kernel: tuple[int, int], stride: tuple[int, int], arena: Buffer[Any], target: Buffer[Any]
) -> None:
    kernels = kernels_of(level)
    channels, out = 18, (2, 3)
    h, w = ((out[0] - 1) * stride[0] + kernel[0]), ((out[1] - 1) * stride[1] + kernel[1])
    values = np.random.default_rng(SEED).integers(0, 256, (h, w, channels), dtype=np.uint8)
    arena.items[: values.size] = values.reshape(-1)
    bottom = kernels.records.Feature(arena.data, arena.start, w * channels, channels)
    top = kernels.records.Feature(target.data, target.start, out[1] * 32, 32)
    window = kernels.records.Window(*kernel, 1, 1, *stride, *out)
    kernels.pooling.max_pool(bottom, window, channels, top, Workshop().scratch(kernels))
    found = target.items[: out[0] * out[1] * 32].reshape(*out, 32)[:, :, :channels]
    for y in range(out[0]):
        for x in range(out[1]):
            part = values[y * stride[0] : y * stride[0] + kernel[0], x * stride[1] : x * stride[1] + kernel[1]]
            assert np.array_equal(found[y, x], part.max(axis=(0, 1)))


@every_level()
@pytest.mark.parametrize("odd", [[], [1, 3], [0, 1, 2, 3, 4]], ids=["linear", "two odd channels", "stepped"])
@pytest.mark.parametrize("repeat", [1, 3])
@pytest.mark.parametrize("gap", [0, 2])
@pytest.mark.parametrize("bent", [False, True])
def test_requantize(
    level: str, odd: list[int], repeat: int, gap: int, bent: bool, sums: Buffer[Any], target: Buffer[Any]
) -> None:
    """byte = (sum * 3 >> 6) + 100; odd channels have a line that gives one less, and a table of the steps.

    With a bend, byte = (sum * -2 >> 6) + 50 for sums below 10.
    """
    kernels = kernels_of(level)
    channels, pixels, low, high, shift = 5, 7, 1, 255, 6
    stepped = len(odd) == channels
    totals = np.random.default_rng(SEED).integers(-5000, 5000, (pixels, channels))
    sums.items[: totals.size] = totals.reshape(-1)
    expected = np.clip((totals * 3 >> shift) + 100, low, high)
    if bent:
        expected = np.where(totals < 10, np.clip((totals * -2 >> shift) + 50, low, high), expected)
    c = np.full(channels, 100 << shift)
    c[odd] -= 1 << shift
    table = int_buffer(1048576 + CHANNELS * 256)
    reach = -(((100 - np.arange(256) - 1) << shift) // 3)
    if bent:
        reach = np.concatenate([reach, -(((50 - np.arange(256) - 1) << shift) // 2)])
    table.items[: channels * reach.size * repeat] = np.tile(reach, channels * repeat)
    stairs = kernels.records.Staircase(
        long_vec(np.full(channels * repeat, 3), CHANNELS),
        long_vec(np.tile(c, repeat), CHANNELS),
        shift,
        low,
        high,
        stepped,
        table.data,
        table.start,
        long_vec(np.array(odd), 0 if stepped else len(odd)),
        channels,
        repeat,
        bent,
        long_vec(np.full(channels * repeat, 10), CHANNELS),
        long_vec(np.full(channels * repeat, -2), CHANNELS),
        long_vec(np.tile(c - (50 << shift), repeat), CHANNELS),
        long_vec(np.full(channels * repeat, -1), CHANNELS),
        False,
        table.data,
        0,
        0,
        0,
    )
    words = word_vec()
    points = long_vec(np.zeros(0), 1)
    scratch = kernels.records.Scratch(target.data, 0, sums.data, sums.start, points, words, words, 0)
    width = channels + gap
    target.items[: pixels * width] = 77
    top = kernels.records.Feature(target.data, target.start, 0, width)
    kernels.requantize.row(scratch, sums.start, channels, pixels, stairs, top, 0)
    found = target.items[: pixels * width].reshape(pixels, width)
    assert np.array_equal(found[:, :channels], expected)
    assert (found[:, channels:] == 77).all()


@every_level()
@pytest.mark.parametrize(("repeat", "gap"), [(1, 0), (3, 0), (3, 2)])
@pytest.mark.parametrize("odd", [[], [1, 3]], ids=["all", "two odd channels"])
def test_requantize_by_halves(
    level: str, odd: list[int], repeat: int, gap: int, sums: Buffer[Any], target: Buffer[Any]
) -> None:
    """byte = (sum + 9000) * (5 * 2**7 + 99) >> 17, plus 30, with sums held between -9000 and 9000."""
    kernels = kernels_of(level)
    channels, pixels, shift, factor = 5, 7, 17, 5 * 128 + 99
    totals = np.random.default_rng(SEED).integers(-12000, 12000, (pixels, channels))
    totals[0, :2] = [-(2**30), 2**30]
    sums.items[: totals.size] = totals.reshape(-1)
    expected = ((totals.clip(-9000, 9000) + 9000) * factor >> shift) + 30
    parts, table, none = int_buffer(6 * CHANNELS), int_buffer(1048576 + CHANNELS * 256), long_vec(np.zeros(0), 0)
    rows = np.repeat([[-9000], [18000], [99], [5], [30 << 10]], channels, axis=1)
    parts.items[: rows.size * repeat] = np.tile(rows, repeat).reshape(-1)
    # Odd channels: the byte after b begins at this sum.
    reach = -(((30 - np.arange(256) - 1) << shift) // factor) - 9000
    table.items[: len(odd) * 256] = np.tile(reach, len(odd))
    stairs = kernels.records.Staircase(
        long_vec(np.full(channels, factor), channels),
        long_vec(np.full(channels, (29 << shift) + 9000 * factor), channels),
        shift,
        0,
        255,
        False,
        table.data,
        table.start,
        long_vec(np.array(odd), len(odd)),
        channels,
        repeat,
        False,
        *(none, none, none, none),
        True,
        parts.data,
        parts.start,
        7,
        10,
    )
    for channel in odd:
        expected[:, channel] = (((totals[:, channel] + 9000) * factor >> shift) + 30).clip(0, 255)
    words, width = word_vec(), channels + gap
    points = long_vec(np.zeros(0), 1)
    scratch = kernels.records.Scratch(target.data, 0, sums.data, sums.start, points, words, words, 0)
    target.items[: pixels * width] = 77
    top = kernels.records.Feature(target.data, target.start, 0, width)
    kernels.requantize.row(scratch, sums.start, channels, pixels, stairs, top, 0)
    found = target.items[: pixels * width].reshape(pixels, width)
    assert np.array_equal(found[:, :channels], expected)
    assert (found[:, channels:] == 77).all()


def word_vec() -> Any:
    from fastpath.arena import word_buffer

    return word_buffer(CHANNELS).data


@every_level()
@pytest.mark.parametrize("channels", [3, 5, 17])
def test_interleave_and_frame(level: str, channels: int, arena: Buffer[Any], target: Buffer[Any]) -> None:
    kernels = kernels_of(level)
    h, w, border, fill = 2, 5, 1, 9
    codes = np.random.default_rng(SEED).integers(-127, 128, (channels, h, w)).astype(np.int8)
    arena.items[: codes.size] = codes.reshape(-1).view(np.uint8)
    row = (w + 2 * border) * channels
    top = kernels.records.Feature(target.data, target.start + row + border * channels, row, channels)
    kernels.move.frame(top, h, w, border, border, border, border, fill)
    kernels.move.interleave(arena.data, arena.start, channels, h, w, 128, top)
    found = target.items[: row * (h + 2 * border)].reshape(h + 2 * border, w + 2 * border, channels)
    expected = np.full(found.shape, fill, np.int64)
    expected[1:-1, 1:-1] = codes.transpose(1, 2, 0).astype(np.int64) + 128
    assert np.array_equal(found, expected)


@every_level()
def test_buffers_that_are_too_small_are_refused(level: str, sums: Buffer[Any]) -> None:
    kernels = kernels_of(level)
    small = byte_buffer(100)
    with pytest.raises(ValueError, match="buffer too small"):
        kernels.depthwise.add_tap(small.data, 0, 0, word_vec(), 0, 1, sums.data, 0)
    with pytest.raises(ValueError, match="out of range"):
        kernels.move.fill(small.data, 0, 10, 0)


HEADER = 24
"""Bytes of a vec's buffer before its items; the first of them count its references."""


@every_level()
def test_calls_give_back_their_references(level: str) -> None:
    """Otherwise no plan would ever free its memory."""
    kernels = kernels_of(level)
    buffer = byte_buffer(FEATURES + SLACK)
    count = ctypes.c_ssize_t.from_address(buffer.items.ctypes.data - buffer.start - HEADER)
    before = count.value
    feature = kernels.records.Feature(buffer.data, buffer.start, 8, 1)
    kernels.move.fill(feature.data, buffer.start, 8, 0)
    del feature
    gc.collect()
    assert count.value == before
