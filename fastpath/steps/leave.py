"""From sums to floats, or to int8 blobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fastpath.kernels import Kernels
from fastpath.layers.common import Array, Floats
from fastpath.layers.epilogue import Epilogue
from fastpath.steps.convolution8 import Convolution8
from fastpath.steps.workshop import Workshop

MAP_RUN = 8192
"""Floats that one row of a tile holds, of as many pixels as that takes."""

Tile = tuple[tuple[object, ...], NDArray[np.int32], slice]
"""The arguments of the kernel that sums up some rows, the sums (channels, n), and the pixels that they become."""


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

    def by_tiles(
        self, accumulate: Callable[..., None], calls: Sequence[Tile], shape: tuple[int, int, int]
    ) -> Callable[[], Array]:
        """What computes the sums of all tiles, one after the other, and makes a blob of this shape of them."""

        def convolve() -> Array:
            top = np.empty((shape[0], shape[1] * shape[2]), self.dtype)
            for arguments, sums, part in calls:
                accumulate(*arguments)
                self(sums, top[:, part])
            return top.reshape(shape)

        return convolve


class MapExit:
    """Turns the sums of a convolution that stand pixel after pixel into floats that do."""

    def __init__(
        self, kernels: Kernels, workshop: Workshop, convolution: Convolution8, excess: NDArray[np.int64], step: int
    ) -> None:
        """Of the `step` sums of a pixel, those past the output channels are ignored."""
        self.workshop, self.convolution, self.step = workshop, convolution, step
        self.rectify = kernels.encode.rectify
        self.widest = max(MAP_RUN // convolution.num_output, 1) if step == convolution.num_output else 1
        self.excess = excess.astype(np.int32)
        self.epilogues: dict[int, Epilogue] = {}

    def tile(self, sums: NDArray[np.int32], top: Floats, skip: Floats | None, *, rectified: bool) -> Callable[[], None]:
        """What writes `top` (pixels, channels) from sums (pixels, step), and adds `skip` and rectifies if asked to."""
        pixels, n = top.shape
        repeat = next(count for count in range(min(self.widest, pixels), 0, -1) if pixels % count == 0)
        if repeat not in self.epilogues:
            self.epilogues[repeat] = self.convolution.epilogue(None, repeat)
        shape, epilogue = (pixels // repeat, repeat * n), self.epilogues[repeat]
        runs = sums.reshape(shape) if self.step == n else sums[:, :n]
        excess = np.tile(self.excess, repeat) if self.excess.any() else None
        values = top.reshape(shape) if skip is None else self.workshop.floats[: top.size].reshape(shape)
        added = None if skip is None else skip.reshape(shape)
        out, rectify, bits = top.reshape(shape), self.rectify, self.workshop.bits

        def leave() -> None:
            if excess is None:
                np.copyto(values, runs, casting="unsafe")
            else:
                np.subtract(runs, excess, out=values, casting="unsafe", dtype=np.int32)
            epilogue(values.T)
            if added is None:
                return
            if rectified:
                np.add(values, added, out=values)
                rectify(bits.data, bits.start, out.size)
                np.copyto(out, values)
            else:
                np.add(values, added, out=out)

        return leave
