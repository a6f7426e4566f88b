"""Depthwise convolutions before a 1 by 1 kernel: some rows of both at a time, while those in between are in cache."""

from __future__ import annotations

from fastpath.float_plan.calls import Call
from fastpath.float_plan.convolution import Filter, pointwise
from fastpath.float_plan.depthwise import DepthwiseFilter, DoublePlanes, depthwise
from fastpath.float_plan.places import Cells, Geometry, Place
from fastpath.layers.window import Pads

ROWS = 16
"""Rows of one band: whole vectors, whatever the pitch."""

FEWEST_NUMBERS = 250_000
"""A blob in between that has fewer stays in cache as it is."""


def banded(
    deep: DepthwiseFilter, doubles: DoublePlanes, dense: Filter, cells: Cells, bottom: Place, pads: Pads, top: Place
) -> list[Call]:
    """Both layers: from the bottom of the depthwise one to the top of the other."""
    geometry = top.geometry
    calls: list[Call] = []
    for row in range(0, geometry.h, ROWS):
        rows = min(ROWS, geometry.h - row)
        band = cells.take(Geometry(rows, geometry.w, geometry.pad), bottom.channels)
        cells.give(band)
        band = band.part(0, bottom.channels)
        calls += depthwise(deep, doubles, bottom, pads, row, band)
        made = slice(row * geometry.pitch, (row + rows) * geometry.pitch)
        calls += pointwise(dense, band.runs_and_ones, top.runs[:, made])
    return calls
