"""Statistics in a file, so that a long calibration can go on where it was interrupted."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastpath.calibration.statistics import Histogram, Range
from spec.errors import FormatError
from spec.formats.files import read_bytes, write_files

Flags = NDArray[np.bool_]
"""Which samples are done."""

SECONDS_BETWEEN = 5.0
"""How often the file is written at most."""


@dataclass
class Checkpoint:
    """A file with the statistics of the samples that are done.

    `fingerprint` stands for all that the statistics depend on: model, samples, settings. FormatError for a file with
    another fingerprint.
    """

    path: str
    fingerprint: str
    _saved: float = field(default=0.0, init=False)

    def load_ranges(self, done: Flags, ranges: list[Range]) -> tuple[Flags, list[Range]]:
        """Which samples of the first pass are done, and their ranges; what is given if there is nothing."""
        state = self._load()
        if state is None or len(state["absmax"]) != len(ranges) or len(state["ranges_done"]) != len(done):
            return done, ranges
        stored = zip(state["absmax"].tolist(), state["count"].tolist(), state["last"].tolist(), strict=True)
        return state["ranges_done"], [Range(*values) for values in stored]

    def load_histograms(self, done: Flags, histograms: list[Histogram]) -> tuple[Flags, list[Histogram]]:
        """Which samples of the second pass are done, and their histograms; what is given if there is nothing."""
        state = self._load()
        if state is None or len(state["zeros"]) != len(histograms) or len(state["histograms_done"]) != len(done):
            return done, histograms
        stored = zip(histograms, state["counts"], state["zeros"].tolist(), strict=True)
        return state["histograms_done"], [Histogram(empty.absmax, counts, zeros) for empty, counts, zeros in stored]

    def save_ranges(self, done: Flags, ranges: Sequence[Range], last: bool) -> None:
        """Write the file, unless it was written a moment ago; after the `last` sample in any case."""
        self._save(done, ranges, np.zeros(0, np.bool_), [], last)

    def save_histograms(
        self, done: Flags, ranges: Sequence[Range], histograms: Sequence[Histogram], last: bool
    ) -> None:
        """Write the file, unless it was written a moment ago; after the `last` sample in any case."""
        self._save(np.ones(len(done), np.bool_), ranges, done, histograms, last)

    def _save(
        self,
        ranges_done: Flags,
        ranges: Sequence[Range],
        histograms_done: Flags,
        histograms: Sequence[Histogram],
        last: bool,
    ) -> None:
        if not last and time.monotonic() - self._saved < SECONDS_BETWEEN:
            return
        buffer = io.BytesIO()
        np.savez(
            buffer,
            fingerprint=np.array(self.fingerprint),
            ranges_done=ranges_done,
            histograms_done=histograms_done,
            absmax=np.array([extent.absmax for extent in ranges]),
            count=np.array([extent.count for extent in ranges], np.int64),
            last=np.array([extent.last_sample for extent in ranges], np.int64),
            counts=np.array([histogram.counts for histogram in histograms], np.int64),
            zeros=np.array([histogram.zeros for histogram in histograms], np.int64),
        )
        write_files({self.path: buffer.getvalue()})
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Delete the file, once the table is written."""
        Path(self.path).unlink(missing_ok=True)

    def _load(self) -> dict[str, np.ndarray] | None:
        if not Path(self.path).exists():
            return None
        try:
            with np.load(io.BytesIO(read_bytes(self.path)), allow_pickle=False) as stored:
                state = {name: stored[name] for name in stored.files}
            fingerprint = str(state["fingerprint"])
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise FormatError(self.path, "", f"expected a checkpoint of ncnn2table: {error}") from error
        if fingerprint != self.fingerprint:
            raise FormatError(self.path, "", "the checkpoint belongs to another model, other samples or other settings")
        return state
