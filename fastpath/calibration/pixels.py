"""The vectorised twin of `spec.calibration.pixels`: from a decoded picture to an input blob."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fastpath.calibration.images import Pixels
from fastpath.calibration.statistics import Floats
from fastpath.layers import recycle
from fastpath.layers.common import Scratch

PIXEL_CHANNELS = {"RGB": 3, "BGR": 3, "GRAY": 1, "RGBA": 4, "BGRA": 4}
"""Channels of a blob, by the name of its pixel format."""

TILE = 1 << 14
"""Numbers of a picture that are computed at a time, so that they stay in cache."""

_SCRATCH = Scratch()

_COEFFICIENT_ONE = np.float32(2048)  # resize coefficients are fixed-point numbers with 11 fraction bits
_OPAQUE = 255


def input_blob(
    image: Pixels, size: tuple[int, int], pixel: str, mean: Sequence[float], norm: Sequence[float]
) -> Floats:
    """The blob (c, h, w) of a picture; ValueError if a side comes out as 0."""
    width, height = target_size(image, size)
    if width < 1 or height < 1:
        was_height, was_width = image.shape[:2]
        raise ValueError(f"{was_width} x {was_height} pixels become {width} x {height}: nothing is left")
    return normalised(planes(resized(image, width, height), pixel), mean, norm)


def target_size(image: Pixels, size: tuple[int, int]) -> tuple[int, int]:
    """The width and height to resize to. A side that is not positive follows from the other one by the aspect ratio."""
    width, height = size
    source_height, source_width = image.shape[:2]
    if width > 0 and height > 0:
        return width, height
    if width > 0:
        return width, math.trunc(source_height / float(np.float32(source_width / width)))
    if height > 0:
        return math.trunc(source_width / float(np.float32(source_height / height))), height
    return source_width, source_height


def resized(image: Pixels, width: int, height: int) -> Pixels:
    """Bilinear interpolation in integers: rows first, then columns, each product shifted on its own."""
    if (height, width) == image.shape[:2]:
        return image
    x0, x1, cx0, cx1 = _taps(image.shape[1], width)
    y0, y1, cy0, cy1 = _taps(image.shape[0], height)
    channels = np.arange(image.shape[2])
    source = image.reshape(image.shape[0], -1).astype(np.int32)
    across, right = _SCRATCH.array("across", (2, len(source), width * len(channels)), np.int32)
    for products, taps, coefficients in ((across, x0, cx0), (right, x1, cx1)):
        places = taps[:, None] * len(channels) + channels
        source.take(places.ravel(), axis=1, out=products, mode="clip")  # other modes copy once more
        products *= np.repeat(coefficients, len(channels))
    across += right
    across >>= 4
    down = np.empty((height, across.shape[1]), np.uint8)
    step = min(max(TILE // across.shape[1], 1), height)
    tile = _SCRATCH.array("tile", (2, step, across.shape[1]), np.int32)
    for start in range(0, height, step):
        part = slice(start, min(start + step, height))
        upper, lower = tile[:, : part.stop - start]
        for products, taps, coefficients in ((upper, y0, cy0), (lower, y1, cy1)):
            across.take(taps[part], axis=0, out=products, mode="clip")
            products *= coefficients[part, None]
            products >>= 16
        upper += lower
        upper += 2
        upper >>= 2
        np.copyto(down[part], upper, casting="unsafe")
    return down.reshape(height, width, -1)


_Ints = NDArray[np.int32]


def _taps(source: int, target: int) -> tuple[_Ints, _Ints, _Ints, _Ints]:
    """For each target position the two source positions and their coefficients."""
    exact = ((np.arange(target) + 0.5) * (source / target) - 0.5).astype(np.float32)
    floor = np.floor(exact)
    first = floor.astype(np.int32)
    fraction = exact - floor
    fraction[first < 0] = 0
    first = np.maximum(first, 0)
    fraction[first >= source - 1] = 1
    first = np.minimum(first, source - 2)
    second = first + 1
    return np.maximum(first, 0), second, _coefficients(np.float32(1) - fraction), _coefficients(fraction)


def _coefficients(shares: Floats) -> _Ints:
    coefficients: _Ints = np.trunc(shares * _COEFFICIENT_ONE + np.float32(0.5)).astype(np.int32)
    return coefficients


def planes(image: Pixels, pixel: str) -> list[NDArray[np.uint8]]:
    """One plane of bytes (h, w) per channel, in the order of the name; KeyError for names not in `PIXEL_CHANNELS`."""
    blue, green, red = image[:, :, 0], image[:, :, 1], image[:, :, 2]
    if pixel == "GRAY":
        weighted = 77 * red.astype(np.int32) + 150 * green.astype(np.int32) + 29 * blue.astype(np.int32)
        return [(weighted >> 8).astype(np.uint8)]
    opaque = np.full(blue.shape, _OPAQUE, np.uint8)
    return {
        "RGB": [red, green, blue],
        "BGR": [blue, green, red],
        "RGBA": [red, green, blue, opaque],
        "BGRA": [blue, green, red, opaque],
    }[pixel]


def normalised(channels: Sequence[NDArray[np.uint8]], mean: Sequence[float], norm: Sequence[float]) -> Floats:
    """Each value * norm + bias in one rounding, with bias = f32(-mean * norm), as machines with FMA do."""
    blob = recycle.blob((len(channels), *channels[0].shape))
    for c, plane in enumerate(channels):
        factor = np.float32(norm[c])
        bias = -np.float32(mean[c]) * factor
        table = _fused(np.arange(256, dtype=np.float64), float(factor), float(bias))
        blob[c] = cv2.LUT(np.ascontiguousarray(plane), table)
    return blob


def _fused(values: NDArray[np.float64], factor: float, bias: float) -> Floats:
    """The values times `factor`, plus `bias`, with a single rounding to binary32.

    The products are exact in binary64. The sums are rounded to odd there, so that the second rounding is right.
    """
    products = values * factor
    totals = products + bias
    rest = totals - products
    lost = (products - (totals - rest)) + (bias - rest)
    even = totals.view(np.int64) & 1 == 0
    odd = np.where((lost != 0) & even, np.nextafter(totals, np.copysign(np.inf, lost)), totals)
    with np.errstate(over="ignore"):
        return odd.astype(np.float32)
