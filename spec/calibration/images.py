"""Pictures as the real tool decodes them: 8 bits, three channels, blue first.

Grey becomes three equal channels, alpha is dropped, 16-bit samples keep their high byte. The spec reads what the
standard library can unpack: PNG, BMP and binary PNM. JPEG is for the fast path.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from spec.errors import FormatError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # samples of a pixel, by colour type
_PALETTE = 3


@dataclass(frozen=True)
class Image:
    """`pixels` holds height * width * 3 bytes: rows from top to bottom, pixels from left to right, blue, green, red."""

    width: int
    height: int
    pixels: bytes


def decode_image(data: bytes, file: str) -> Image:
    """The picture in `data`. `file` names it for messages; FormatError if it is no picture that this module reads."""
    try:
        if data.startswith(_PNG_SIGNATURE):
            return _decode_png(data, file)
        if data[:2] in (b"P5", b"P6"):
            return _decode_pnm(data, file)
        if data[:2] == b"BM":
            return _decode_bmp(data, file)
    except (struct.error, IndexError, ValueError, zlib.error) as error:
        raise FormatError(file, "", f"the picture is damaged: {error}") from error
    raise FormatError(file, "", "expected a PNG, BMP or binary PNM picture (the fast path also reads JPEG)")


def _decode_png(data: bytes, file: str) -> Image:
    width, height, depth, colour, interlaced = struct.unpack(">IIBBxxB", data[16:29])
    if interlaced:
        raise FormatError(file, "", "interlaced PNG is for the fast path")
    palette, packed = b"", b""
    position = len(_PNG_SIGNATURE)
    while position < len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        content = data[position + 8 : position + 8 + length]
        if kind == b"PLTE":
            palette = content
        elif kind == b"IDAT":
            packed += content
        position += length + 12
    samples = _PNG_SAMPLES[colour]
    rows = _unfiltered(
        zlib.decompress(packed), height, (width * samples * depth + 7) // 8, max(samples * depth // 8, 1)
    )
    pixels = bytearray()
    for row in rows:
        values = _png_samples(row, depth, width * samples, scale=colour != _PALETTE)
        if colour == _PALETTE:
            values = [palette[index * 3 + channel] for index in values for channel in range(3)]
        pixels += _blue_first(values, 3 if colour == _PALETTE else samples)
    return Image(width, height, bytes(pixels))


def _unfiltered(data: bytes, height: int, stride: int, step: int) -> list[bytearray]:
    """Undo the prediction of each row of a PNG: from the left, from above, from their mean, or by Paeth's rule."""
    rows: list[bytearray] = []
    above = bytearray(stride)
    for y in range(height):
        start = y * (stride + 1)
        row = bytearray(data[start + 1 : start + 1 + stride])
        if len(row) != stride:
            raise ValueError(f"row {y} is missing")
        for x in range(stride):
            left = row[x - step] if x >= step else 0
            corner = above[x - step] if x >= step else 0
            row[x] = (row[x] + _predicted(data[start], left, above[x], corner)) & 0xFF
        rows.append(row)
        above = row
    return rows


def _predicted(rule: int, left: int, above: int, corner: int) -> int:
    if rule == 4:
        estimate = left + above - corner
        return min((left, above, corner), key=lambda neighbour: abs(estimate - neighbour))
    return (0, left, above, (left + above) // 2)[rule]


def _png_samples(row: bytes | bytearray, depth: int, count: int, scale: bool) -> list[int]:
    """The samples of a row as bytes: the high byte of 16 bits; fewer than 8 bits widened to all 8 if `scale`."""
    if depth == 16:
        return list(row[::2])
    if depth == 8:
        return list(row)
    largest = (1 << depth) - 1
    per_byte = 8 // depth
    values = [row[i // per_byte] >> (8 - depth * (i % per_byte + 1)) & largest for i in range(count)]
    return [value * 255 // largest for value in values] if scale else values


def _blue_first(values: list[int] | bytes, samples: int) -> bytes:
    """Grey, grey and alpha, RGB or RGBA samples as blue, green, red."""
    order = (2, 1, 0) if samples >= 3 else (0, 0, 0)
    return bytes(values[start + channel] for start in range(0, len(values), samples) for channel in order)


def _decode_pnm(data: bytes, file: str) -> Image:
    numbers: list[int] = []
    position = 2
    while len(numbers) < 3:
        while data[position : position + 1].isspace():
            position += 1
        if data[position] == ord("#"):
            position = data.index(b"\n", position)
            continue
        end = position
        while data[end : end + 1].isdigit():
            end += 1
        numbers.append(int(data[position:end]))
        position = end
    width, height, largest = numbers
    samples = 3 if data[:2] == b"P6" else 1
    size = 2 if largest > 255 else 1
    body = data[position + 1 : position + 1 + width * height * samples * size]
    if len(body) != width * height * samples * size:
        raise ValueError("pixels are missing")
    return Image(width, height, _blue_first(body[::size], samples))


def _decode_bmp(data: bytes, file: str) -> Image:
    offset, header, width, height, bits, compression = struct.unpack("<IIiixxHI", data[10:34])
    if compression not in (0, 3) or bits not in (8, 24, 32):
        raise FormatError(file, "", f"a BMP of {bits} bits with compression {compression} is for the fast path")
    palette = data[14 + header : offset]
    stride = (width * bits // 8 + 3) // 4 * 4
    pixels = bytearray()
    for y in range(abs(height)):
        start = offset + (abs(height) - 1 - y if height > 0 else y) * stride
        row = data[start : start + width * bits // 8]
        if len(row) != width * bits // 8:
            raise ValueError(f"row {y} is missing")
        if bits == 8:
            row = b"".join(palette[index * 4 : index * 4 + 4] for index in row)
        step = 3 if bits == 24 else 4
        pixels += bytes(row[start + channel] for start in range(0, len(row), step) for channel in range(3))
    return Image(width, abs(height), bytes(pixels))
