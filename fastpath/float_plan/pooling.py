"""Max pooling of a float plan, on the bits of numbers that are not negative."""

from __future__ import annotations

from functools import partial

from fastpath import kernels
from fastpath.float_plan.calls import Call
from fastpath.float_plan.places import Cells, Place


def max_pooling(kernel: int, cells: Cells, bottom: Place, before: tuple[int, int], top: Place) -> list[Call]:
    """Windows of 2 by 2 or 3 by 3 with stride 2, `before` (rows, columns) of borders before the first pixel.

    Borders are zeros: every window has a pixel, and no pixel is less.
    """
    start = cells.buffer.start
    return [
        partial(
            kernels.wide().cells.largest,
            cells.buffer.data,
            start + bottom.tap(-before[0], -before[1]),
            bottom.geometry.plane,
            bottom.geometry.pitch,
            kernel,
            top.channels,
            start + top.tap(0, 0),
            top.geometry.plane,
            top.geometry.pitch,
            top.geometry.h,
            top.geometry.w,
        )
    ]
