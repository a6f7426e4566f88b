"""The twin of `spec.calibration.samples`: a picture or an npy file as a numpy array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastpath.calibration.images import decode_image
from fastpath.calibration.pixels import input_blob
from spec.formats.samples import ImageInput, NpyInput, check_npy_sample

Array = NDArray[Any]
"""A float32 blob, or an int32 blob of ids."""


def blob_of(data: bytes, file: str, how: ImageInput | NpyInput) -> Array:
    """The blob of one file. FormatError for a file of another kind, ValueError for a picture that vanishes."""
    if isinstance(how, ImageInput):
        return input_blob(decode_image(data, file), how.size, how.pixel, how.mean, how.norm)
    description, start = check_npy_sample(data, file, how)
    blob = np.frombuffer(data, np.dtype(description), math.prod(how.shape), start).reshape(how.shape)
    return _integers(blob) if how.integers else blob


def _integers(blob: Array) -> Array:
    """Ids for Embed: whole numbers as they are; other numbers are the bits of ids, as ncnn takes them."""
    if blob.dtype == np.int32:
        return blob
    if np.array_equal(blob, np.trunc(blob)):
        return blob.astype(np.int32)
    return blob.view(np.int32)
