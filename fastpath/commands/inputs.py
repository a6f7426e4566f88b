"""Input blobs from files: numpy arrays as they are, pictures by the rules of calibration."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

from fastpath.calibration.images import decode_image
from fastpath.calibration.pixels import PIXEL_CHANNELS, input_blob
from spec.errors import FormatError, UsageError
from spec.formats.files import read_bytes

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class ImageOptions:
    """How a picture becomes a blob: resize to `size` (w, h; a side of 0 keeps the aspect ratio), then convert, then
    x * norm - mean * norm for each channel.
    """

    size: tuple[int, int]
    pixel: str
    mean: tuple[float, ...]
    norm: tuple[float, ...]


def image_options(function: _F) -> _F:
    """Add --shape, --pixel, --mean and --norm to a command and hand them over as `image: ImageOptions`."""

    @functools.wraps(function)
    def with_image(*args: Any, shape: str, pixel: str, mean: str, norm: str, **kwargs: Any) -> Any:
        channels = PIXEL_CHANNELS[pixel]
        width, height = (int(number) for number in numbers("--shape", shape, 2))
        options = ImageOptions(
            (width, height), pixel, numbers("--mean", mean, channels), numbers("--norm", norm, channels)
        )
        return function(*args, image=options, **kwargs)

    decorated: Any = with_image
    for option in (
        click.option("--shape", default="0,0", show_default=True, help="w,h that pictures are resized to; 0: kept."),
        click.option("--pixel", type=click.Choice(list(PIXEL_CHANNELS)), default="BGR", show_default=True),
        click.option("--mean", default="0", help="Subtracted from each channel: one number, or one per channel."),
        click.option("--norm", default="1", help="Multiplied to each channel: one number, or one per channel."),
    ):
        decorated = option(decorated)
    result: _F = decorated
    return result


def threads_option(function: _F) -> _F:
    """Add --threads. They are processes: Python runs one thread at a time."""
    return click.option(
        "--threads",
        "--thread",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="How many processes share the inputs; also as thread=N. Results do not depend on it.",
    )(function)


def without_threads(words: Sequence[str], threads: int) -> tuple[list[str], int]:
    """The words that are no thread=N, and the last N, or else `threads`. UsageError for an N that is no number."""
    others = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in ("thread", "threads"):
            others.append(word)
        elif not value.isdecimal() or int(value) < 1:
            raise UsageError(f"malformed {word}: expected a number of processes")
        else:
            threads = int(value)
    return others, threads


def numbers(option: str, text: str, count: int) -> tuple[float, ...]:
    """`count` numbers separated by commas, brackets allowed; one number stands for all."""
    try:
        values = [float(word) for word in text.strip("[] ").split(",")]
    except ValueError as error:
        raise UsageError(f"{option}: expected numbers separated by commas, but got {text!r}") from error
    if len(values) == 1:
        values *= count
    if len(values) < count:
        raise UsageError(f"{option}: expected {count} numbers, but got {len(values)}")
    return tuple(values[:count])


def load_input(path: str, image: ImageOptions) -> np.ndarray:
    """The blob in an .npy file or a picture; FormatError naming the file if it is neither."""
    if Path(path).suffix == ".npy":
        try:
            array: np.ndarray = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise FormatError(path, "", f"expected a numpy array: {error}") from error
        return np.ascontiguousarray(array, np.float32) if array.dtype != np.int32 else array
    try:
        return input_blob(decode_image(read_bytes(path), path), image.size, image.pixel, image.mean, image.norm)
    except ValueError as error:
        raise FormatError(path, "", str(error)) from error
