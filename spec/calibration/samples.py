"""What a sample file becomes: a picture or an npy file as a blob."""

from __future__ import annotations

from spec.blob import Blob, int32_blob
from spec.calibration.images import decode_image
from spec.calibration.pixels import input_blob
from spec.formats.npy import parse_npy
from spec.formats.samples import ImageInput, NpyInput, check_npy_sample


def blob_of(data: bytes, file: str, how: ImageInput | NpyInput) -> Blob:
    """The blob of one file. FormatError for a file of another kind, ValueError for a picture that vanishes.

    Follows: ncnn tools/quantize/ncnn2table.cpp @ a4d2ea1d.
    """
    if isinstance(how, ImageInput):
        return input_blob(decode_image(data, file), how.size, how.pixel, how.mean, how.norm)
    check_npy_sample(data, file, how)
    blob = parse_npy(data, file)
    return _integers(blob) if how.integers else blob


def _integers(blob: Blob) -> Blob:
    """Ids for Embed: whole numbers as they are; other numbers are the bits of ids, as ncnn takes them."""
    if blob.dtype == "int32":
        return blob
    values = blob.floats()
    if all(value == int(value) for value in values):
        return int32_blob(blob.shape, [int(value) for value in values])
    return Blob(blob.shape, "int32", memoryview(blob.array()).cast("B").cast("i").tolist())
