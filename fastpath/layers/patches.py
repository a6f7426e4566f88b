"""The padded bottom blob of a convolution, kept so that every window tap is a contiguous run of memory.

The padded image is split by the remainder of row and column by the stride into planes. In its plane, a tap of the
kernel sees the image shifted by a constant, row after row with the plane's own pitch; so the values it needs for many
output rows lie next to each other, with `pitch - out_w` unused ones at the end of every row.
"""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import Array, Floats
from fastpath.layers.window import Pads, Window

Slices = tuple[slice, slice, slice]


class Patches:
    """The planes of one bottom shape.

    `tap(i)` is the i-th kernel position (rows first) as a float32 array of shape (channels, plane): the output pixel
    (y, x) reads its column y * pitch + x.
    """

    def __init__(
        self, shape: tuple[int, int, int], window: Window, pads: Pads, size: tuple[int, int], fill: float
    ) -> None:
        channels, h, w = shape
        self.pads = pads
        self.out_h, self.out_w = size
        self.direct = window.kernel == (1, 1) and window.stride == (1, 1) and not any(pads)
        """Whether the bottom blob itself is the only plane."""
        stride_h, stride_w = window.stride
        rows = -(-(h + pads[0] + pads[1]) // stride_h)
        self.pitch = -(-(w + pads[2] + pads[3]) // stride_w)
        self.size = self.out_h * self.pitch
        """Columns of the output with its unused ones."""
        self.channels = channels
        self.planes: dict[tuple[int, int], Floats] = {}
        self.copies: list[tuple[Floats, Slices]] = []
        self.places: list[tuple[tuple[int, int], int]] = []
        for ky in range(window.kernel[0]):
            for kx in range(window.kernel[1]):
                down, phase_y = divmod(ky * window.dilation[0], stride_h)
                right, phase_x = divmod(kx * window.dilation[1], stride_w)
                self.places.append(((phase_y, phase_x), down * self.pitch + right))
        if self.direct:
            return
        for phase in {phase for phase, _ in self.places}:
            plane = np.full((channels, rows, self.pitch), fill, np.float32)
            self.planes[phase] = plane.reshape(channels, -1)
            first_y, first_x = (phase[0] - pads[0]) % stride_h, (phase[1] - pads[2]) % stride_w
            inner = plane[:, (first_y + pads[0]) // stride_h :, (first_x + pads[2]) // stride_w :]
            count_y, count_x = len(range(first_y, h, stride_h)), len(range(first_x, w, stride_w))
            self.copies.append(
                (
                    inner[:, :count_y, :count_x],
                    (slice(None), slice(first_y, None, stride_h), slice(first_x, None, stride_w)),
                )
            )

    def load(self, blob: Array) -> None:
        """Put a bottom blob (channels, h, w), float32 or int8, into the planes."""
        if self.direct:
            self.planes[0, 0] = np.asarray(blob, np.float32).reshape(self.channels, -1)
            return
        for target, source in self.copies:
            np.copyto(target, blob[source], casting="unsafe")

    def tap(self, index: int, start: int, count: int) -> Floats:
        """`count` columns from `start` on, as kernel position `index` sees them: (channels, count), a view."""
        phase, offset = self.places[index]
        return self.planes[phase][:, offset + start : offset + start + count]

    def tap_rows(self, index: int, y: int, count: int) -> Floats:
        """`count` output rows from `y` on, as kernel position `index` sees them: a (channels, count, out_w) view."""
        phase, offset = self.places[index]
        down, right = divmod(offset, self.pitch)
        rows = self.planes[phase].reshape(self.channels, -1, self.pitch)
        return rows[:, down + y : down + y + count, right : right + self.out_w]
