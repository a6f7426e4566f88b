"""Pictures to blobs: both engines agree, with the real runtime as well."""

from __future__ import annotations

import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastpath.calibration.images as fast_images
import fastpath.calibration.pixels as fast
import spec.calibration.images as spec_images
import spec.calibration.pixels as spec
from spec.binary32 import f32
from spec.errors import FormatError

SIDES = st.integers(1, 12)
PIXELS = st.sampled_from(list(spec.PIXEL_CHANNELS))


@st.composite
def pictures(draw: st.DrawFn) -> fast_images.Pixels:
    height, width = draw(SIDES), draw(SIDES)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return random.integers(0, 256, (height, width, 3), np.uint8)


def spec_image(picture: fast_images.Pixels) -> spec_images.Image:
    return spec_images.Image(picture.shape[1], picture.shape[0], picture.tobytes())


@given(pictures(), SIDES, SIDES)
def test_both_engines_resize_alike(picture: fast_images.Pixels, width: int, height: int) -> None:
    assert fast.resized(picture, width, height).tobytes() == spec.resized(spec_image(picture), width, height).pixels


@settings(max_examples=60)
@given(pictures(), SIDES, SIDES, PIXELS)
def test_the_real_runtime_resizes_and_converts_alike(
    picture: fast_images.Pixels, width: int, height: int, pixel: str
) -> None:
    ncnn = pytest.importorskip("ncnn")
    kinds: dict[str, Any] = {
        "BGR": ncnn.Mat.PixelType.PIXEL_BGR,
        "RGB": ncnn.Mat.PixelType.PIXEL_BGR2RGB,
        "GRAY": ncnn.Mat.PixelType.PIXEL_BGR2GRAY,
        "RGBA": ncnn.Mat.PixelType.PIXEL_BGR2RGBA,
        "BGRA": ncnn.Mat.PixelType.PIXEL_BGR2BGRA,
    }
    rows, columns = picture.shape[:2]
    mat = ncnn.Mat.from_pixels_resize(picture, int(kinds[pixel]), columns, rows, width, height)
    ours = np.stack(fast.planes(fast.resized(picture, width, height), pixel))
    assert np.array_equal(np.array(mat), ours)


NUMBERS = st.floats(-300, 300, width=32)


@given(pictures(), st.tuples(st.integers(-1, 9), st.integers(-1, 9)), PIXELS, st.lists(NUMBERS, min_size=8, max_size=8))
def test_both_engines_make_the_same_blob(
    picture: fast_images.Pixels, size: tuple[int, int], pixel: str, numbers: list[float]
) -> None:
    channels = spec.PIXEL_CHANNELS[pixel]
    mean, norm = numbers[:channels], numbers[4 : 4 + channels]
    try:
        expected = spec.input_blob(spec_image(picture), size, pixel, mean, norm)
    except ValueError:
        with pytest.raises(ValueError, match="nothing is left"):
            fast.input_blob(picture, size, pixel, mean, norm)
        return
    ours = fast.input_blob(picture, size, pixel, mean, norm)
    assert ours.shape == expected.shape
    assert ours.ravel().tolist() == expected.values


def test_normalisation_rounds_once() -> None:
    """Values for which rounding the product first gives another number."""
    norm, mean = f32(0.017), f32(104.7)
    bias = f32(-mean * norm)
    plane = np.arange(256, dtype=np.uint8).reshape(16, 16)
    blob = fast.normalised([plane], [mean], [norm]).ravel().tolist()
    once = [f32(value * norm + bias) for value in range(256)]
    twice = [f32(f32(value * norm) + bias) for value in range(256)]
    assert blob == once
    assert once != twice


@pytest.mark.parametrize(
    ("source", "size", "target"),
    [
        ((640, 480), (224, 0), (224, 167)),
        ((640, 480), (224, -1), (224, 167)),
        ((480, 640), (0, 224), (167, 224)),
        ((640, 480), (0, 0), (640, 480)),
        ((640, 480), (-1, -5), (640, 480)),
        ((640, 480), (10, 20), (10, 20)),
        ((300, 1), (100, 0), (100, 0)),
    ],
)
def test_target_sizes(source: tuple[int, int], size: tuple[int, int], target: tuple[int, int]) -> None:
    width, height = source
    assert spec.target_size(spec_images.Image(width, height, b""), size) == target
    assert fast.target_size(np.zeros((height, width, 3), np.uint8), size) == target


def encoded(extension: str, picture: np.ndarray) -> bytes:
    done, data = cv2.imencode(extension, picture)
    assert done
    return data.tobytes()


@st.composite
def encoded_pictures(draw: st.DrawFn) -> bytes:
    """Files as OpenCV writes them: grey, colour, with alpha, of 8 or 16 bits."""
    extension = draw(st.sampled_from([".png", ".bmp", ".ppm", ".pgm"]))
    deep = extension != ".bmp" and draw(st.booleans())
    channels = {".pgm": [1], ".ppm": [3], ".bmp": [1, 3, 4], ".png": [1, 3, 4]}[extension]
    shape = (draw(SIDES), draw(SIDES), draw(st.sampled_from(channels)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return encoded(extension, random.integers(0, 65536 if deep else 256, shape, np.uint16 if deep else np.uint8))


@settings(max_examples=60)
@given(encoded_pictures())
def test_both_engines_decode_alike(data: bytes) -> None:
    ours, reference = fast_images.decode_image(data, "x"), spec_images.decode_image(data, "x")
    assert ours.shape == (reference.height, reference.width, 3)
    assert ours.tobytes() == reference.pixels


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("colour", [0, 3])
def test_packed_and_palette_png(depth: int, colour: int) -> None:
    """PNG files that OpenCV does not write, made by hand."""
    width, height = 5, 3
    random = np.random.default_rng(depth)
    stride = (width * depth + 7) // 8
    rows = b"".join(b"\0" + random.bytes(stride) for _ in range(height))
    palette = random.bytes(3 << depth)

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return len(content).to_bytes(4, "big") + kind + content + checksum.to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, colour, 0, 0, 0])
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    data += (
        (chunk(b"PLTE", palette) if colour == 3 else b"") + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    reference = spec_images.decode_image(data, "x")
    assert fast_images.decode_image(data, "x").tobytes() == reference.pixels


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"P6 3 3 255\nxx", b"BM" + b"\0" * 60], ids=repr
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    for decode in (spec_images.decode_image, fast_images.decode_image):
        with pytest.raises(FormatError, match=r"bad\.png"):
            decode(data, "bad.png")


def test_a_cut_png_is_refused_by_the_spec() -> None:
    data = encoded(".png", np.arange(300, dtype=np.uint8).reshape(10, 10, 3))
    with pytest.raises(FormatError, match="damaged"):
        spec_images.decode_image(data[: len(data) // 2], "cut.png")
