"""What the compiled eq search works on: buffers, images and their places, and numbers that are tame enough for it.

The kernels compute the steps of binary32 in binary64. That gives the same numbers as long as no product of two others
than 0 is too small, and no sum too large, to be a normal number of binary32; which `is_tame` makes sure of.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from librt.vecs import vec
from mypy_extensions import u8
from numpy.typing import NDArray

from fastpath import kernels
from fastpath.arena import ALIGNMENT, Buffer, byte_buffer
from fastpath.calibration.eq_form import Form
from fastpath.calibration.statistics import Floats
from fastpath.kernels import Kernels
from fastpath.kernels.source.capacity import FEATURES, SLACK
from fastpath.kernels.source.chains import LANES
from fastpath.kernels.source.functions import SPLIT
from fastpath.kernels.source.search import Bench, Output
from fastpath.kernels.source.similarity import DESCALES, REFERENCES, SHIFT, TOTALS
from fastpath.kernels.source.taps import IMAGES, RUN_SLACK
from fastpath.layers.activation import CLIP, NONE, RELU
from fastpath.layers.window import output_size, resolve_pads
from fastpath.steps.workshop import Workshop

BLOCK = 8
"""Numbers side by side that a kernel works on at a time."""

SMALLEST_FACTOR = 2.0**-38
"""Factors, biases and limits of this magnitude, or 0, make no output other than 0 smaller than 2**-61."""

SMALLEST_REFERENCE = 2.0**-60
"""Float outputs of this magnitude, or 0, make no product with such an output subnormal."""

LARGEST = 2.0**20
"""Numbers up to this magnitude let no sum of squares overflow."""


def is_tame(numbers: Floats, smallest: float = SMALLEST_FACTOR) -> bool:
    """Whether all numbers are 0, or neither very small nor very large."""
    magnitudes = np.abs(numbers)
    return bool((magnitudes <= LARGEST).all() and ((magnitudes >= smallest) | (magnitudes == 0)).all())


def is_tame_layer(form: Form) -> bool:
    """Whether kernels are there, and can do what the layer does with its sums."""
    tame = form.activation.type in (NONE, RELU, CLIP) and is_tame(form.activation.params)
    return kernels.COMPILED and tame and (form.bias is None or is_tame(form.bias))


class Buffers:
    """The buffers of one thread."""

    def __init__(self) -> None:
        self.images, self.sums, self.apart, self.totals, self.reference, self.descales = (
            _aligned(size)
            for size in (
                IMAGES + RUN_SLACK,
                2 * RUN_SLACK,
                IMAGES + RUN_SLACK,
                TOTALS,
                REFERENCES + LANES,
                DESCALES,
            )
        )
        self.owner: object = None
        """Whose images are in the buffer."""
        self._records: dict[str, Bench] = {}

    @cached_property
    def maps(self) -> Buffer[vec[u8]]:
        """Feature maps of bytes."""
        return byte_buffer(FEATURES + SLACK)

    @cached_property
    def workshop(self) -> Workshop:
        """What the steps of plans use."""
        return Workshop()

    def record(self, level: Kernels) -> Bench:
        """The buffers as a record of one level."""
        if level.name not in self._records:
            self._records[level.name] = level.search.Bench(
                self.images.data, self.images.start, self.sums.data, self.sums.start, self.apart.data,
                self.apart.start, self.reference.data, self.totals.data, self.totals.start, self.descales.data,
            )  # fmt: skip
        return self._records[level.name]


def _aligned(size: int) -> Buffer[vec[float]]:
    return Buffer(vec[float](np.zeros(size + ALIGNMENT)), np.float64, size)


class _Thread(threading.local):
    buffers: Buffers | None = None


_THREAD = _Thread()


def shared_buffers() -> Buffers:
    """The buffers that all searches of this thread use."""
    if _THREAD.buffers is None:
        _THREAD.buffers = Buffers()
    return _THREAD.buffers


@dataclass(frozen=True)
class Frame:
    """Images (channels, h, w) of one shape as kernels read them: with borders, and the columns of a row by phases.

    A phase is the remainder of a column by the stride. So what neighbouring pixels read at one place of the kernel
    lies together.
    """

    form: Form
    channels: int
    pads: tuple[int, int, int, int]
    size: tuple[int, int]
    padded: tuple[int, int]

    @classmethod
    def of(cls, form: Form, image: Floats) -> Frame:
        """For images like this one."""
        channels, h, w = image.shape
        pads = resolve_pads(form.layer, form.window, h, w, int8=True)
        size = output_size(form.layer, form.window, h, w, pads)
        return cls(form, channels, pads, size, (h + pads[0] + pads[1], w + pads[2] + pads[3]))

    @property
    def pixels(self) -> int:
        """Pixels of an output channel."""
        return self.size[0] * self.size[1]

    @property
    def columns(self) -> int:
        """Columns of one phase."""
        return -(-self.padded[1] // self.form.window.stride[1])

    @property
    def row(self) -> int:
        """Numbers of a row."""
        return self.form.window.stride[1] * self.columns

    def arranged(self, images: Sequence[Floats], dtype: type[np.generic]) -> NDArray[np.generic]:
        """Images side by side: (channels, padded h, row, images)."""
        stride = self.form.window.stride[1]
        result = np.zeros((self.channels, self.padded[0], stride, self.columns, len(images)), dtype)
        above, below, left, right = self.pads
        for i, image in enumerate(images):
            padded = image
            if any(self.pads):
                padded = np.pad(image, [(0, 0), (above, below), (left, right)], constant_values=self.form.fill)
            for phase in range(stride):
                part = padded[:, :, phase::stride]
                result[:, :, phase, : part.shape[2], i] = part
        return result.reshape(self.channels, self.padded[0], self.row, len(images))

    def taps(self, h: int) -> NDArray[np.int64]:
        """For each weight of an output, how far in h rows of each channel its code is from the first."""
        window = self.form.window
        stride, channels = window.stride[1], self.channels // self.form.groups
        channel, y, x = np.indices((channels, *window.kernel)).reshape(3, -1)
        x *= window.dilation[1]
        places: NDArray[np.int64] = (channel * h + y * window.dilation[0]) * self.row
        return places + x % stride * self.columns + x // stride


def output_record(level: Kernels, form: Form, channel: int) -> Output:
    """What becomes of the sums of an output channel."""
    bias = 0.0 if form.bias is None else float(form.bias[channel])
    low, high, clips = -math.inf, math.inf, False
    if form.activation.type == RELU:
        low, clips = 0.0, True
    elif form.activation.type == CLIP:
        (low, high), clips = form.activation.params[:2].tolist(), True
    record: Output = level.search.Output(bias, low, high, clips)
    return record


def lanes_of(totals: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The sums of y * y and x * y in a buffer, (count, 2, LANES)."""
    return totals[: count * 2 * LANES].reshape(count, 2, LANES)


def load_factors(table: NDArray[np.float64], factors: Floats) -> None:
    """Bring descale factors (num_output, scales) into a buffer, as products with `SPLIT` and with `SHIFT`."""
    outputs, count = factors.shape
    target = table[: outputs * 2 * LANES].reshape(outputs, 2, LANES)[:, :, :count]
    np.multiply(factors, SPLIT, out=target[:, 0], dtype=np.float64)
    np.multiply(factors, SHIFT, out=target[:, 1], dtype=np.float64)
