"""From a decoded picture to an input blob: resize, choose channels, normalise, in this order.

Follows: ncnn tools/quantize/ncnn2table.cpp, src/mat_pixel.cpp, src/mat_pixel_resize.cpp and src/layer/scale.cpp @
a4d2ea1d.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from spec.binary32 import f32, fma
from spec.blob import Blob
from spec.calibration.images import Image

PIXEL_CHANNELS = {"RGB": 3, "BGR": 3, "GRAY": 1, "RGBA": 4, "BGRA": 4}
"""Channels of a blob, by the name of its pixel format."""

_COEFFICIENT_ONE = 2048  # resize coefficients are fixed-point numbers with 11 fraction bits
_OPAQUE = 255


def input_blob(image: Image, size: tuple[int, int], pixel: str, mean: Sequence[float], norm: Sequence[float]) -> Blob:
    """The blob (c, h, w) of a picture; `size` is the (w, h) of the command's `shape`.

    ValueError if a side of the picture comes out as 0. `mean` and `norm` have one number per channel.
    """
    width, height = target_size(image, size)
    if width < 1 or height < 1:
        raise ValueError(f"{image.width} x {image.height} pixels become {width} x {height}: nothing is left")
    return normalised(planes(resized(image, width, height), pixel), width, height, mean, norm)


def target_size(image: Image, size: tuple[int, int]) -> tuple[int, int]:
    """The width and height to resize to. A side that is not positive follows from the other one by the aspect ratio.

    The ratio is rounded to binary32 and the side truncated, so it may come out a pixel short:

    >>> target_size(Image(640, 480, b""), (224, 0))
    (224, 167)
    """
    width, height = size
    if width > 0 and height > 0:
        return width, height
    if width > 0:
        return width, math.trunc(image.height / f32(image.width / width))
    if height > 0:
        return math.trunc(image.width / f32(image.height / height)), height
    return image.width, image.height


def resized(image: Image, width: int, height: int) -> Image:
    """Bilinear interpolation in integers: rows first, then columns, each product shifted on its own."""
    if (width, height) == (image.width, image.height):
        return image
    columns = _taps(image.width, width)
    rows = _taps(image.height, height)
    source = image.pixels
    across = []
    for y in range(image.height):
        start = y * image.width
        across.append(
            [
                (source[(start + x0) * 3 + k] * c0 + source[(start + x1) * 3 + k] * c1) >> 4
                for x0, x1, c0, c1 in columns
                for k in range(3)
            ]
        )
    pixels = bytearray()
    for y0, y1, c0, c1 in rows:
        pixels += bytes(
            (((upper * c0) >> 16) + ((lower * c1) >> 16) + 2) >> 2
            for upper, lower in zip(across[y0], across[y1], strict=True)
        )
    return Image(width, height, bytes(pixels))


def _taps(source: int, target: int) -> list[tuple[int, int, int, int]]:
    """For each target position the two source positions and their coefficients."""
    scale = source / target
    taps = []
    for position in range(target):
        exact = f32((position + 0.5) * scale - 0.5)
        first = math.floor(exact)
        fraction = f32(exact - first)
        if first < 0:
            first, fraction = 0, 0.0
        if first >= source - 1:
            first, fraction = source - 2, 1.0
        taps.append((max(first, 0), first + 1, _coefficient(f32(1.0 - fraction)), _coefficient(fraction)))
    return taps


def _coefficient(share: float) -> int:
    return math.trunc(f32(f32(share * _COEFFICIENT_ONE) + 0.5))


def planes(image: Image, pixel: str) -> list[bytes]:
    """One plane of bytes per channel, in the order of the name; KeyError for names not in `PIXEL_CHANNELS`."""
    blue, green, red = image.pixels[0::3], image.pixels[1::3], image.pixels[2::3]
    opaque = bytes([_OPAQUE]) * len(blue)
    if pixel == "GRAY":
        return [bytes((77 * r + 150 * g + 29 * b) >> 8 for r, g, b in zip(red, green, blue, strict=True))]
    return {
        "RGB": [red, green, blue],
        "BGR": [blue, green, red],
        "RGBA": [red, green, blue, opaque],
        "BGRA": [blue, green, red, opaque],
    }[pixel]


def normalised(channels: list[bytes], width: int, height: int, mean: Sequence[float], norm: Sequence[float]) -> Blob:
    """Each value * norm + bias in one rounding, with bias = f32(-mean * norm), as machines with FMA do."""
    values: list[float] = []
    for plane, mean_value, norm_value in zip(channels, mean, norm, strict=True):
        factor = f32(norm_value)
        bias = f32(-f32(mean_value) * factor)
        table = [fma(float(byte), factor, bias) for byte in range(256)]
        values.extend(table[byte] for byte in plane)
    return Blob((len(channels), height, width), "float32", values)
