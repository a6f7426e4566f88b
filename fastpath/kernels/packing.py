"""Weights as the kernels read them."""

from __future__ import annotations

import numpy as np
from librt.vecs import vec
from mypy_extensions import i16, u8
from numpy.typing import NDArray

from fastpath.arena import byte_buffer, long_vec, word_buffer
from fastpath.kernels import Kernels
from fastpath.kernels.source.capacity import BLOCK, CHANNELS, PATCH
from fastpath.kernels.source.records import DepthwiseWeights, Weights

Codes = NDArray[np.int8]

BYTES_4X4, BYTES_2X4, BYTES_2X8, WORDS_2X4, LANES_16, LANES_32, PAIRS_28 = range(7)
"""Values of `Weights.form`."""

LANE_LENGTHS = {16: LANES_16, 32: LANES_32}
"""Lengths of the patches of codes from 0 to 127 that the lane kernels take."""

PAIRS_LENGTH = 28
"""Length of the patches of signed codes that a lane kernel takes: 3 by 3 by 3, rounded up."""

LANE_MIDDLE = 64
"""What the lane kernels take off such codes."""

LANES = 32
"""Output channels that a lane kernel computes at a time."""

LONGEST_RUN = 32
"""Bytes that one copy moves, at most, where a kernel row is copied in one piece."""

GROUP = 4
"""Rows of weights that most dot kernels read at a time."""

PAIR_OF_GROUPS = 8
"""Rows of weights that `bytes_2x8` reads at a time; a block holds a multiple of them."""

SHORT_PATCH = 384
"""Up to this length of patches `bytes_2x8` is the fastest dot kernel of 256-bit vectors: sums of lanes cost most."""


def round_up(value: int, unit: int) -> int:
    """The next multiple of `unit`.

    >>> round_up(33, 32), round_up(32, 32)
    (64, 32)
    """
    return -(-value // unit) * unit


def patch_order(weight: Codes, run: int = 0) -> Codes:
    """One row a channel, in the order of a panel, from weights (num_output, channels, kernel_h, kernel_w).

    With a `run`, the order is that of the runs of each kernel row.
    """
    axes = (0, 2, 3, 1) if run else (0, 3, 2, 1)
    return np.ascontiguousarray(weight.transpose(axes)).reshape(weight.shape[0], -1)


def run_length(weight: Codes, dilation_w: int, pixel: int) -> int:
    """How many values of a kernel row lie together in a feature map of so many bytes a pixel; 0 where they do not.

    Longer runs than `LONGEST_RUN` count as none, and so do kernels of one column.
    """
    _, channels, _, kernel_w = weight.shape
    run = channels * kernel_w
    return run if kernel_w > 1 and dilation_w == 1 and pixel == channels and run <= LONGEST_RUN else 0


def dense_form(kernels: Kernels, weight: Codes) -> int:
    """The form of dot kernel that a level runs best: AVX-512 has registers for 16 sums, the others for 8."""
    if not kernels.multiplies_bytes:
        return WORDS_2X4
    if kernels.name == "avxvnni":
        return BYTES_2X4
    short = weight[0].size <= SHORT_PATCH and round_up(weight.shape[0], GROUP) % PAIR_OF_GROUPS == 0
    return BYTES_2X8 if short and kernels.name == "vnni256" else BYTES_4X4


def pack_dense(kernels: Kernels, weight: Codes, form: int, run: int = 0) -> Weights:
    """Weights (num_output, channels, kernel_h, kernel_w) for a dot kernel, in blocks of whole groups of rows."""
    rows = patch_order(weight, run)
    k = round_up(rows.shape[1], 64 if form == BYTES_4X4 else 32)
    padded = np.zeros((round_up(rows.shape[0], GROUP), k), np.int16)
    padded[: rows.shape[0], : rows.shape[1]] = rows
    block_rows = BLOCK // k // PAIR_OF_GROUPS * PAIR_OF_GROUPS
    byte_blocks: list[vec[u8]] = []
    word_blocks: list[vec[i16]] = []
    starts, counts = [], []
    for first in range(0, padded.shape[0], block_rows):
        block = padded[first : first + block_rows]
        if form == WORDS_2X4:
            words = word_buffer(BLOCK + PATCH)
            words.items[: block.size] = block.reshape(-1)
            word_blocks.append(words.data)
            starts.append(words.start)
        else:
            octets = byte_buffer(BLOCK + PATCH)
            octets.items[: block.size] = (block + 128).reshape(-1)
            byte_blocks.append(octets.data)
            starts.append(octets.start)
        counts.append(block.shape[0])
    blocks = len(starts)
    packed: Weights = kernels.records.Weights(
        form,
        byte_blocks,
        word_blocks,
        long_vec(np.array(starts), blocks),
        long_vec(np.array(counts), blocks),
        weight.shape[1],
        k,
        run,
    )
    return packed


def pack_lanes(kernels: Kernels, weight: Codes, run: int = 0) -> tuple[Weights, NDArray[np.int64]]:
    """Weights (num_output, channels, kernel_h, kernel_w) for codes 0 to 127, and by how much its sums are too large.

    The weights must not hold -128, and no row must be longer than the longest of `LANE_LENGTHS`.
    """
    rows = patch_order(weight, run)
    k = min(length for length in LANE_LENGTHS if length >= rows.shape[1])
    packed = _lane_weights(kernels, rows, k, LANE_LENGTHS[k], weight.shape[1], run)
    return packed, -LANE_MIDDLE * rows.sum(axis=1, dtype=np.int64)


def pack_pairs(kernels: Kernels, weight: Codes, run: int = 0) -> Weights:
    """Weights (num_output, channels, kernel_h, kernel_w) with no more than `PAIRS_LENGTH` a row, for signed codes."""
    return _lane_weights(kernels, patch_order(weight, run), PAIRS_LENGTH, PAIRS_28, weight.shape[1], run)


def _lane_weights(kernels: Kernels, rows: Codes, k: int, form: int, channels: int, run: int) -> Weights:
    """Rows as [num_output / LANES][k][LANES], with zeros behind their values and behind the last of them."""
    padded = np.zeros((round_up(rows.shape[0], LANES), k), np.int16)
    padded[: rows.shape[0], : rows.shape[1]] = rows
    words = word_buffer(BLOCK)
    words.items[: padded.size] = padded.reshape(-1, LANES, k).swapaxes(1, 2).reshape(-1)
    starts, counts = long_vec(np.array([words.start]), 1), long_vec(np.array([padded.shape[0]]), 1)
    packed: Weights = kernels.records.Weights(form, [], [words.data], starts, counts, channels, k, run)
    return packed


def fits_lanes(weight: Codes, zero: int) -> bool:
    """Whether a lane kernel can compute with these weights and feature maps of this zero point."""
    num_output, channels, kernel_h, kernel_w = weight.shape
    longest = PAIRS_LENGTH if zero else max(LANE_LENGTHS)
    room = BLOCK // max(LANE_LENGTHS) // LANES * LANES
    return channels * kernel_h * kernel_w <= longest and num_output <= room and int(weight.min()) > -128


def fits_dense(weight: Codes) -> bool:
    """Whether the dot kernels can compute with these weights."""
    num_output, channels, kernel_h, kernel_w = weight.shape
    return round_up(num_output, LANES) <= CHANNELS and round_up(channels * kernel_h * kernel_w, 32) <= PATCH - 32


def pack_depthwise(kernels: Kernels, weight: Codes, zero: int, repeat: int) -> DepthwiseWeights:
    """Weights (channels, 1, kernel_h, kernel_w) of a depthwise layer, each kernel position `repeat` times."""
    taps = np.tile(weight.reshape(weight.shape[0], -1).T, (1, repeat))
    words = word_buffer(BLOCK)
    words.items[: taps.size] = taps.reshape(-1)
    packed: DepthwiseWeights = kernels.records.DepthwiseWeights(
        words.data, words.start, weight.shape[0], repeat, zero, False
    )
    return packed


def pack_depthwise_lanes(kernels: Kernels, weight: Codes) -> tuple[DepthwiseWeights, NDArray[np.int64]]:
    """Weights (channels, 1, 3, 3) for codes 0 to 127, channels a multiple of `LANES`, and the excess of its sums."""
    taps = weight.reshape(-1, LANES, 9).swapaxes(1, 2)
    words = word_buffer(BLOCK)
    words.items[: taps.size] = taps.reshape(-1)
    packed: DepthwiseWeights = kernels.records.DepthwiseWeights(
        words.data, words.start, weight.shape[0], 1, LANE_MIDDLE, True
    )
    return packed, -LANE_MIDDLE * weight.sum(axis=(1, 2, 3), dtype=np.int64)


def fits_depthwise(weight: Codes) -> bool:
    """Whether the depthwise kernels can compute with these weights: two products of codes must fit 16 bits."""
    return weight.shape[0] <= CHANNELS and weight.size <= BLOCK - 5 * CHANNELS and int(weight.min()) > -128


def fits_repeated(weight: Codes, run: int) -> bool:
    """Whether there is room for depthwise weights that stand there as often as a run of lanes takes."""
    channels, _, kernel_h, kernel_w = weight.shape
    return int(kernel_h * kernel_w * max(run, channels)) <= BLOCK - 5 * CHANNELS
