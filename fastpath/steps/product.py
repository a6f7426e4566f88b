"""InnerProduct: a vector of codes, or each of the rows of a matrix, times the weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastpath.kernels import Kernels
from fastpath.kernels.packing import GROUP, dense_form, pack_dense, round_up
from fastpath.kernels.source.capacity import ACCUMULATORS, FEATURES, PATCH
from fastpath.layers import recycle
from fastpath.layers.common import Array
from fastpath.steps.convolution8 import Convolution8, window_record
from fastpath.steps.dense import dense_weights, kernel_name
from fastpath.steps.leave import Exit
from fastpath.steps.storage import Storage
from fastpath.steps.workshop import Workshop

ROWS_TILE = 128 * 1024
"""Sums of a few rows of a matrix that become floats together."""

PIXEL = 16
"""Bytes of a row of codes are a multiple of this, unless it is short."""

PART = 8192
"""Columns of the matrix that one row of packed weights holds at most."""


def part_length(num_input: int) -> int:
    """The columns of each part of a matrix: equal parts, of whole vectors."""
    return round_up(-(-num_input // -(-num_input // PART)), 32)


def product_to_blob(
    kernels: Kernels, workshop: Workshop, product: Convolution8, bottom: Storage, top: tuple[int, ...]
) -> tuple[Callable[[], Array], str]:
    """An InnerProduct from the codes of its bottom blob to a float blob of this shape, and the name of its kernel."""
    matrix = product.weight[:, :, 0, 0]
    num_output, num_input = matrix.shape
    length, step = part_length(num_input), round_up(num_output, GROUP)
    form = dense_form(kernels, product.weight)
    parts = [
        pack_dense(kernels, product.weight[:, first : first + length], form) for first in range(0, num_input, length)
    ]
    leave = Exit(product, bottom.zero * matrix.sum(axis=1, dtype=np.int64))
    sums = workshop.sums.items[: len(parts) * step].reshape(len(parts), step)[:, :num_output]
    arguments = (bottom.feature(kernels), parts, length, workshop.scratch(kernels), step)
    run = kernels.dense.product

    def compute() -> Array:
        run(*arguments)
        blob = np.empty((num_output, 1), np.float32)
        total = sums[0] if len(parts) == 1 else np.add.reduce(sums, axis=0, dtype=np.int32)
        leave(total[:, np.newaxis], blob)
        return blob.reshape(top)

    return compute, f"{'bytes' if kernels.multiplies_bytes else 'words'}_1x4 {kernels.name}"


def rows_to_blob(
    kernels: Kernels, workshop: Workshop, product: Convolution8, bottom: Storage
) -> tuple[Callable[[], Array], str]:
    """The same for a matrix whose rows are the pixels of a feature map, one below the other."""
    weights, excess = dense_weights(kernels, product, bottom, lanes=False)
    n, step = product.num_output, round_up(product.num_output, GROUP)
    leave, shape = Exit(product, excess), (bottom.h, n)
    at_once = min(max(ROWS_TILE // step, 1), bottom.h)
    calls = []
    for first in range(0, bottom.h, at_once):
        count = min(at_once, bottom.h - first)
        window = window_record(kernels, product.window, count, 1)
        arguments = (bottom.feature(kernels, -first), window, weights, workshop.scratch(kernels), count, step, 1)
        sums = workshop.sums.items[: count * step].reshape(count, step)[:, :n]
        calls.append((arguments, sums.T, slice(first, first + count)))
    run = kernels.dense.accumulate

    def compute() -> Array:
        blob = recycle.blob(shape)
        for arguments, sums, part in calls:
            run(*arguments)
            leave(sums, blob[part].T)
        return blob

    return compute, kernel_name(kernels, weights)


def fits_rows(num_output: int, shape: tuple[int, int]) -> bool:
    """Whether there is room for the codes of a matrix (rows, num_input), and for the sums of one row."""
    rows, num_input = shape
    codes = rows * round_up(num_input, PIXEL)
    return num_input <= PART and codes <= FEATURES - PATCH and round_up(num_output, GROUP) <= ACCUMULATORS


def fits_product(num_output: int, num_input: int) -> bool:
    """Whether there is room for the codes of so many inputs, and for the sums of so many outputs."""
    return num_input <= FEATURES - PATCH and -(-num_input // PART) * round_up(num_output, GROUP) <= ACCUMULATORS
