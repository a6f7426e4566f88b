"""Samples for this room's tools: lists, folders, pictures and numpy files, in any mixture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastpath.accuracy.network import Blobs
from fastpath.layers.common import Array
from spec.errors import FormatError, UsageError
from spec.formats.image_list import read_image_list

Load = Callable[[str], Array]
"""Makes the blob of one file."""

LIST_SUFFIXES = (".txt", ".list", ".lst")
"""A file of such a name lists samples."""

BLOB_SUFFIX = ".npy"


@dataclass(frozen=True)
class Piece:
    """A file, or one array of a stack in a file."""

    file: str
    position: int | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.file if self.position is None else f"{self.file}[{self.position}]"


@dataclass(frozen=True)
class Sample:
    """One sample: a piece for each input of the network."""

    inputs: tuple[str, ...]
    pieces: tuple[Piece, ...]
    source: Callable[[Piece], Array]

    @property
    def name(self) -> str:
        """What messages call the sample."""
        return ", ".join(piece.name for piece in self.pieces)

    def feeds(self) -> Blobs:
        """The blobs to feed, by input."""
        return {name: self.source(piece) for name, piece in zip(self.inputs, self.pieces, strict=True)}

    def load(self) -> list[Array]:
        """One blob for each input, in file order."""
        return list(self.feeds().values())


def counted(count: int, noun: str = "sample") -> str:
    """A number of things in words: 1 sample, 2 samples, 3 processes."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"


def one_sample(files: Mapping[str, str], load: Load) -> Sample:
    """The sample that has a file for each blob."""
    return Sample(tuple(files), tuple(Piece(file) for file in files.values()), _Source(load))


def open_samples(words: Sequence[str], inputs: Sequence[str], load: Load, *, stacks: bool = False) -> list[Sample]:
    """The samples that `words` name.

    A word is a picture, an .npy file, a folder of those, or a list of files (.txt). For a network of several inputs a
    word has a part for each, separated by commas. With `stacks`, .npy files hold many samples along their first axis.
    UsageError for parts that do not fit together, FormatError for lists that cannot be read.
    """
    source = _Source(load)
    samples = []
    for word in words:
        parts = word.split(",") if len(inputs) > 1 else [word]
        if len(parts) != len(inputs):
            raise UsageError(f"{word}: the network has {len(inputs)} inputs ({', '.join(inputs)}), separate by commas")
        columns = [_pieces(part, source, stacks) for part in parts]
        counts = {len(column) for column in columns}
        if len(counts) != 1 or not columns[0]:
            raise UsageError(f"{word}: expected as many samples for each input, but got {sorted(counts)}")
        samples += [Sample(tuple(inputs), pieces, source) for pieces in zip(*columns, strict=True)]
    return samples


def _pieces(part: str, source: _Source, stacks: bool) -> list[Piece]:
    path = Path(part)
    if path.is_dir():
        return [Piece(str(file)) for file in sorted(path.iterdir()) if file.is_file() and file.suffix != ".txt"]
    if path.suffix in LIST_SUFFIXES:
        return [Piece(_located(entry.path, path)) for entry in read_image_list(part)]
    if stacks and path.suffix == BLOB_SUFFIX:
        return [Piece(part, position) for position in range(len(source.stack(part)))]
    return [Piece(part)]


def _located(name: str, listing: Path) -> str:
    """A file as a list names it: from the working directory, as ncnn2table takes it, or else beside the list."""
    beside = listing.parent / name
    return str(beside) if not Path(name).exists() and beside.exists() else name


class _Source:
    """Loads pieces, and keeps the stack that it read last."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._file = ""
        self._array: Array = np.zeros(0, np.float32)

    def stack(self, file: str) -> Array:
        """The array of an .npy file. FormatError if it is none."""
        if file != self._file:
            self._array, self._file = read_array(file), file
        return self._array

    def __call__(self, piece: Piece) -> Array:
        if piece.position is None:
            return self._load(piece.file)
        array = self.stack(piece.file)[piece.position]
        return np.ascontiguousarray(array, array.dtype if array.dtype == np.int32 else np.float32)


def read_array(file: str) -> Array:
    """The array in an .npy file; FormatError naming the file if it is none."""
    try:
        array: Array = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FormatError(file, "", f"expected a numpy array: {error}") from error
    return array


def spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many samples, evenly from the whole list."""
    places = np.unique(np.linspace(0, len(samples) - 1, min(most, len(samples))).round().astype(int))
    return [samples[place] for place in places]
