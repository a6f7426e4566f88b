"""Figures that say how far one set of blobs is from another, added up over samples in binary64."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastpath.layers.common import Array

Labels = NDArray[np.int64]
"""One class per sample."""

DECIBELS = 10.0


@dataclass(frozen=True)
class Difference:
    """The sums from which all figures follow. Adding two gives the figures of both sets of samples together."""

    signal: float = 0.0
    """Sum of squares of the reference."""
    noise: float = 0.0
    """Sum of squares of the difference."""
    energy: float = 0.0
    """Sum of squares of the other blob."""
    product: float = 0.0
    """Sum of the products of both."""
    largest: float = 0.0
    """The largest magnitude of the difference."""
    count: int = 0
    peak: float = 0.0
    """The largest magnitude of the reference."""

    def __add__(self, other: Difference) -> Difference:
        return Difference(
            self.signal + other.signal,
            self.noise + other.noise,
            self.energy + other.energy,
            self.product + other.product,
            max(self.largest, other.largest),
            self.count + other.count,
            max(self.peak, other.peak),
        )

    @property
    def snr(self) -> float:
        """Signal-to-noise ratio in dB: infinite without noise, minus infinity for noise without signal."""
        return decibels(self.signal, self.noise)

    @property
    def cosine(self) -> float:
        """The cosine of the angle between both; 1 for two zero blobs, 0 if only one is zero."""
        if self.signal == 0.0 or self.energy == 0.0:
            return float(self.signal == self.energy)
        return self.product / math.sqrt(self.signal) / math.sqrt(self.energy)

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in dB, the peak being the largest magnitude of the reference."""
        return decibels(self.peak**2 * self.count, self.noise)


NO_DIFFERENCE = Difference()
"""The difference of no blobs: adding it changes nothing."""


def difference(reference: Array, other: Array) -> Difference:
    """How `other` differs from `reference`, a blob of the same number of elements. ValueError for another number."""
    if reference.size != other.size:
        raise ValueError(f"blobs of shapes {reference.shape} and {other.shape} cannot be compared")
    x = np.asarray(reference, np.float64).reshape(-1)
    y = np.asarray(other, np.float64).reshape(-1)
    gap = y - x
    return Difference(
        float(x @ x),
        float(gap @ gap),
        float(y @ y),
        float(x @ y),
        float(np.abs(gap).max(initial=0.0)),
        x.size,
        float(np.abs(x).max(initial=0.0)),
    )


def decibels(signal: float, noise: float) -> float:
    """The ratio of two powers in dB.

    >>> decibels(100.0, 1.0), decibels(1.0, 0.0)
    (20.0, inf)
    """
    if noise == 0.0:
        return math.inf
    return DECIBELS * math.log10(signal / noise) if signal > 0.0 else -math.inf


def top_classes(scores: Array, count: int) -> list[int]:
    """The classes of the `count` largest scores, the first of equals first.

    >>> top_classes(np.array([0.1, 0.7, 0.2], np.float32), 2)
    [1, 2]
    """
    flat = scores.reshape(-1)
    return [int(place) for place in np.argsort(-flat, kind="stable")[:count]]


def is_row(scores: Array) -> bool:
    """Whether a blob is a vector of scores, one per class."""
    return bool(scores.size == max(scores.shape) > 1)


def greedy_text(scores: Array, characters: list[str], blank: int = 0) -> str:
    """The text of a CTC network: the best class of every step, repetitions merged, blanks dropped.

    `scores` is (steps, classes). Class k is the k-th of `characters`; a class beyond them is a space.

    >>> greedy_text(np.eye(3, dtype=np.float32)[[1, 1, 0, 1, 2]], ["a", "b"])
    'aab'
    """
    classes = scores.reshape(-1, scores.shape[-1]).argmax(axis=1)
    kept = [int(c) for i, c in enumerate(classes) if c != blank and (i == 0 or c != classes[i - 1])]
    return "".join(characters[c - 1] if c <= len(characters) else " " for c in kept)


def edit_distance(a: str, b: str) -> int:
    """How many characters must be inserted, deleted or replaced to turn one text into the other.

    >>> edit_distance("kitten", "sitting")
    3
    """
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def as_json(record: object) -> bytes:
    """A record as JSON, which knows no infinity: such figures, like the SNR of equal blobs, become null."""
    return json.dumps(_finite(record), indent=1, ensure_ascii=False, allow_nan=False).encode()


def _finite(record: object) -> object:
    if isinstance(record, float):
        return record if math.isfinite(record) else None
    if isinstance(record, dict):
        return {key: _finite(value) for key, value in record.items()}
    if isinstance(record, list):
        return [_finite(value) for value in record]
    return record
