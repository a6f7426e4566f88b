"""All candidates of an activation scale side by side, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fastpath.calibration.chains import total_of
from fastpath.calibration.eq_form import TILE, Form, Pair, Sums, cosines, is_exact, multiply, quantized
from fastpath.calibration.eq_scales import SumsOfScales, sums_of_scales, takes
from fastpath.calibration.statistics import Floats
from fastpath.layers.common import Scratch
from fastpath.layers.epilogue import descales

SIDE_BY_SIDE = 1 << 25
"""Numbers of all candidates of an activation scale that are in memory at once."""

FEWEST_PIXELS = 8
MOST_PIXELS = 32
"""Pixels of one matrix product."""

UNROLLED = 1 << 18
"""Numbers of unrolled codes in one matrix product, about, so that they stay in cache."""


def bottom_totals(
    form: Form, pairs: Sequence[Pair], weight_scales: Sequence[float], tries: Sequence[float]
) -> Iterator[Floats]:
    """For each sample the cosines between the float and the int8 outputs, for each activation scale."""
    codes = form.codes(weight_scales)
    exact = is_exact(codes)
    scales = np.array(weight_scales, np.float32).repeat(form.outputs)
    scales_of_tries = np.array(tries, np.float32)
    factors = np.stack([descales(scale, scales) for scale in scales_of_tries], axis=1)
    scratch = Scratch()
    compiled: dict[tuple[int, ...], SumsOfScales | None] = {}
    for bottom, top in pairs:
        image = form.image(bottom)
        x = np.ascontiguousarray(top, np.float32).ravel()
        xx = total_of(x * x)
        if not form.in_rows(bottom) and takes(form, image, x, codes, factors):
            if image.shape not in compiled:
                compiled[image.shape] = sums_of_scales(form, image, codes, factors)
            sums_of = compiled[image.shape]
            if sums_of is not None:
                yield cosines(xx, *sums_of(image, x, scales_of_tries))
                continue
        step = min(max(SIDE_BY_SIDE // (image.size + x.size), 1), len(tries))
        found = []
        for first in range(0, len(tries), step):
            some = scales_of_tries[first : first + step]
            y = _side_by_side(form, image, codes, exact, some, factors[:, first : first + step], scratch)
            if form.in_rows(bottom):
                y = y.swapaxes(0, 1)
            y = np.ascontiguousarray(y).reshape(-1, 1, len(some))
            rows = max(TILE // len(some), 1)
            sums = Sums(np.zeros((2, 1, len(some)), np.float32), rows)
            for start in range(0, len(y), rows):
                sums.add(x[start : start + rows, None], y[start : start + rows])
            found.append(cosines(xx, sums.yy, sums.xy)[0])
        yield np.concatenate(found)


def _side_by_side(
    form: Form, image: Floats, codes: Floats, exact: bool, tries: Floats, factors: Floats, scratch: Scratch
) -> Floats:
    """The int8 outputs (num_output, pixels, tries) for each activation scale; `factors` (num_output, tries) descale."""
    windows = form.windows(quantized(image, tries, scratch))
    k, outputs, (h, w) = codes.shape[1], len(codes), windows.shape[3:5]
    matrix = codes.reshape(form.groups, -1, k)
    top = scratch.array("top", (outputs, h * w * len(tries)))
    by_group = top.reshape(form.groups, matrix.shape[1], -1)
    pixels = min(max(UNROLLED // (k * len(tries)), FEWEST_PIXELS), MOST_PIXELS)
    high, wide = max(pixels // w, 1), -(-w // -(-w // pixels))
    factors = np.tile(factors, high * wide)
    for y in range(0, h, high):
        for left in range(0, w, wide):
            part = windows[:, :, :, y : y + high, left : left + wide]
            columns = scratch.array("columns", part.shape)
            np.copyto(columns, part)
            columns = columns.reshape(form.groups, k, -1)
            first = (y * w + left) * len(tries)
            place = slice(first, first + columns.shape[2])
            multiply(matrix, columns, exact, by_group[:, :, place])
            tile = top[:, place]
            tile *= factors[:, : columns.shape[2]]
            if form.bias is not None:
                tile += form.bias[:, None]
            form.activation(tile)
    return top.reshape(outputs, h * w, len(tries))
