"""From sums to floats, or to int8 blobs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastpath.layers.common import Array, Floats
from fastpath.layers.epilogue import ZERO
from fastpath.rounding import BLOCK
from fastpath.steps.convolution8 import Convolution8

MAP_RUN = 4096
"""Floats that one row of a tile holds, of as many pixels as that takes."""


class Exit:
    """Turns sums into a float32 or int8 blob: what the layer does in numpy, from the kernels' integers."""

    def __init__(self, convolution: Convolution8, excess: NDArray[np.int64]) -> None:
        self.epilogue = convolution.epilogue(convolution.top_scale)
        self.dtype = np.float32 if convolution.top_scale is None else np.int8
        self.excess = excess.astype(np.int32)[:, np.newaxis] if excess.any() else None

    def __call__(self, sums: NDArray[np.int32], top: Array) -> None:
        """Write `top` (channels, n) from sums (channels, n)."""
        usable = top.dtype == np.float32 and (top.flags.c_contiguous or top.flags.f_contiguous)
        values = top if usable else np.empty(top.shape, np.float32)
        if self.excess is None:
            np.copyto(values, sums, casting="unsafe")
        else:
            np.subtract(sums, self.excess, out=values, casting="unsafe", dtype=np.int32)
        self.epilogue(values)
        if values is not top:
            np.copyto(top, values, casting="unsafe")


class MapExit:
    """Turns sums that stand pixel after pixel into floats that do, whole tiles of pixels at a time."""

    def __init__(self, convolution: Convolution8, excess: NDArray[np.int64], pixels: int, step: int) -> None:
        """Of the `step` sums of a pixel, those past the output channels are ignored."""
        n = convolution.num_output
        widest = max(MAP_RUN // n, 1) if step == n else 1
        self.repeat = next(count for count in range(min(widest, pixels), 0, -1) if pixels % count == 0)
        self.shape, self.step = (pixels // self.repeat, self.repeat * n), step
        self.rows = max(BLOCK // self.shape[1], 1)
        self.epilogue = convolution.epilogue(None, self.repeat)
        self.excess = np.tile(excess.astype(np.int32), self.repeat) if excess.any() else None

    def __call__(
        self, sums: NDArray[np.int32], top: Floats, skip: Floats | None = None, *, rectified: bool = False
    ) -> None:
        """Write `top` (pixels, channels) from sums (pixels, step), then add `skip` and rectify if that is asked for."""
        runs, values = sums[:, : top.shape[1]], top.reshape(self.shape)
        added = None if skip is None else skip.reshape(self.shape)
        if self.repeat > 1:
            runs = sums.reshape(self.shape)
        for first in range(0, self.shape[0], self.rows):
            part = slice(first, first + self.rows)
            if self.excess is None:
                np.copyto(values[part], runs[part], casting="unsafe")
            else:
                np.subtract(runs[part], self.excess, out=values[part], casting="unsafe", dtype=np.int32)
            self.epilogue(values[part].T)
            if added is not None:
                np.add(values[part], added[part], out=values[part])
            if rectified:
                np.maximum(values[part], ZERO, out=values[part])
