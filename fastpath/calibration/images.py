"""Pictures by OpenCV: the twin of `spec.calibration.images` for all formats, JPEG among them.

OpenCV agrees with the real tool's decoder bit for bit on PNG, BMP and PNM. Their JPEG decoders differ by up to three
grey levels. A picture is not turned by its EXIF orientation, which the real tool's own decoder does not know.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from spec.errors import FormatError

Pixels = NDArray[np.uint8]
"""A decoded picture, (height, width, 3), blue first."""


def decode_image(data: bytes, file: str) -> Pixels:
    """The picture in `data`. `file` names it for messages; FormatError if OpenCV cannot read it."""
    image = None
    if data:
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error as error:
            raise FormatError(file, "", f"the picture is damaged: {error}") from error
    if image is None:
        raise FormatError(file, "", "expected a picture (JPEG, PNG, BMP, PNM, ...), but this cannot be decoded")
    return np.ascontiguousarray(image, np.uint8)
