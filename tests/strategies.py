"""What hypothesis draws: geometries first, then sizes that fit, then numbers; small things first, to shrink well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Int8s = NDArray[np.int8]

SAME = (-233, -234)
"""The two kinds of automatic padding."""


@dataclass(frozen=True)
class ConvGeometry:
    """A convolution that fits its input: sizes are (h, w), pads are (top, bottom, left, right)."""

    channels: int
    size: tuple[int, int]
    num_output: int
    groups: int
    kernel: tuple[int, int]
    dilation: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]

    @property
    def params(self) -> dict[int, Any]:
        """The layer's parameters but for group, by id."""
        return {
            0: self.num_output,
            1: self.kernel[1],
            11: self.kernel[0],
            2: self.dilation[1],
            12: self.dilation[0],
            3: self.stride[1],
            13: self.stride[0],
            4: self.pads[2],
            14: self.pads[0],
            15: self.pads[3],
            16: self.pads[1],
            6: self.weight_count,
        }

    @property
    def weight_count(self) -> int:
        """Numbers in weight_data."""
        return self.num_output * (self.channels // self.groups) * math.prod(self.kernel)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The input's shape."""
        return (self.channels, *self.size)


@st.composite
def conv_geometry(draw: st.DrawFn, *, grouped: bool = False) -> ConvGeometry:
    """Kernels up to 3, dilations and strides up to 3, explicit and automatic padding; the input is drawn last, to fit.

    With `grouped` several groups, half of them depthwise.
    """
    kernel = draw(_pair(1, 3))
    dilation = draw(_pair(1, 3))
    stride = draw(_pair(1, 3))
    extent = (dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1)
    if draw(st.booleans()) and stride[0] <= extent[0] and stride[1] <= extent[1]:
        pads: tuple[int, ...] = (draw(st.sampled_from(SAME)),) * 4
        smallest = (1, 1)
    else:
        pads = draw(st.tuples(*(st.integers(0, 2),) * 4))
        smallest = (max(1, extent[0] - pads[0] - pads[1]), max(1, extent[1] - pads[2] - pads[3]))
    size = (draw(st.integers(smallest[0], smallest[0] + 6)), draw(st.integers(smallest[1], smallest[1] + 6)))
    groups = draw(st.integers(1, 4)) if grouped else 1
    depthwise = grouped and draw(st.booleans())
    channels = groups * (1 if depthwise else draw(st.integers(1, 3)))
    num_output = groups * (1 if depthwise else draw(st.integers(1, 3)))
    return ConvGeometry(
        channels, size, num_output, groups, kernel, dilation, stride, cast("tuple[int, int, int, int]", pads)
    )


def int8_tensors(shape: tuple[int, ...], *, lowest: int = -127) -> st.SearchStrategy[Int8s]:
    """int8 codes of this shape, extremes often; -128 only with `lowest=-128`."""
    codes = st.one_of(st.sampled_from([0, 1, -1, 127, lowest]), st.integers(lowest, 127))
    return hnp.arrays(np.int8, shape, elements=codes, fill=st.nothing())


def scales(*, zero: bool = False) -> st.SearchStrategy[float]:
    """Positive binary32 scales as calibration finds them, from 1e-3 to 1e5; with `zero` also 0."""
    positive = st.floats(2.0**-10, 2.0**17, width=32)
    return st.one_of(st.just(0.0), positive) if zero else positive


def floats32(magnitude: float = 2.0**10) -> st.SearchStrategy[float]:
    """Finite binary32 numbers up to this magnitude, with zeros of both signs and subnormals."""
    limit = float(np.float32(magnitude))
    return st.one_of(st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-130]), st.floats(-limit, limit, width=32))


def float_tensors(shape: tuple[int, ...], magnitude: float = 2.0**10) -> st.SearchStrategy[Floats]:
    """binary32 arrays of this shape."""
    return hnp.arrays(np.float32, shape, elements=floats32(magnitude), fill=st.nothing())


@st.composite
def near_ties(draw: st.DrawFn, scale: float, shape: tuple[int, ...]) -> Floats:
    """Inputs whose product with `scale` lies on a tie between two codes, or a few binary32 steps beside it.

    The tie is drawn first and divided by the scale; then the quotient moves by up to two units in the last place.
    """
    ties = draw(hnp.arrays(np.int16, shape, elements=st.integers(-129, 128), fill=st.nothing()))
    steps = draw(hnp.arrays(np.int8, shape, elements=st.integers(-2, 2), fill=st.nothing()))
    values = ((ties.astype(np.float64) + 0.5) / scale).astype(np.float32)
    bits = (values.view(np.int32) + steps).astype(np.int32)
    return np.frombuffer(bits.tobytes(), np.float32).reshape(shape)


def shapes(ranks: tuple[int, ...] = (1, 2, 3, 4), *, largest: int = 5) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of these numbers of dims."""
    return st.sampled_from(ranks).flatmap(lambda rank: st.tuples(*(st.integers(1, largest),) * rank))


def activations() -> st.SearchStrategy[tuple[int, list[float]]]:
    """A fused activation: its type and its parameters."""
    number = st.floats(-4.0, 4.0, width=32)
    return st.one_of(
        st.sampled_from([(0, cast("list[float]", [])), (1, []), (4, []), (5, [])]),
        st.tuples(st.just(2), st.lists(number, min_size=1, max_size=1)),
        st.tuples(st.just(3), st.lists(number, min_size=2, max_size=2)),
        st.tuples(st.just(6), st.tuples(st.floats(0.0625, 2.0, width=32), number).map(list)),
    )


def _pair(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high))
