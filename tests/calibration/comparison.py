"""Compare a table of ours with the real tool's, row by row."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastpath.calibration.calibrate as fast_calibrate
from fastpath.calibration.calibrate import Calibration
from fastpath.calibration.kl import TARGET_BINS, divergences, normalised
from fastpath.commands import ncnn2table

ACTIVATION_TOLERANCE = 2e-6
"""Relative. The last bits of float layers differ between builds of ncnn, and between ncnn and BLAS; a table row also
has six decimals only."""

DEEP_TOLERANCE = 1e-5
"""The same after a hundred layers: what the makers of the recorded tables allow."""

LAST_DECIMAL = 1.01e-6

NEAR_TIE = 1e-3
"""Two thresholds tie if their divergences differ by less than this, relatively: then the last bits of a float layer
decide which one kl takes."""


@dataclass
class Outcome:
    """One run of the command."""

    status: int
    stdout: str
    stderr: str
    calibration: Calibration | None


@dataclass
class Comparison:
    """How two tables compare. `moved` lists activation rows that a near tie moved, `wrong` everything unexplained."""

    weights: int = 0
    activations: int = 0
    moved: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def run(argv: Sequence[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """Run ncnn2table in `folder` and keep what it found."""
    found: list[Calibration] = []
    real = fast_calibrate.calibrate

    def recording(*args: Any, **kwargs: Any) -> Calibration:
        found.append(real(*args, **kwargs))
        return found[-1]

    out, err = io.StringIO(), io.StringIO()
    with monkeypatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(fast_calibrate, "calibrate", recording)
        patch.chdir(folder)
        status = ncnn2table.main(list(argv))
    return Outcome(status, out.getvalue(), err.getvalue(), found[-1] if found else None)


def rows(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """The values of a table as text, by key, in file order."""
    lines = Path(path).read_text().split("\n")
    return {line.split(" ")[0]: line.split(" ")[1:-1] for line in lines if line}


def compare(
    ours: Path, real: Path, calibration: Calibration | None, tolerance: float = ACTIVATION_TOLERANCE
) -> Comparison:
    """Weight rows digit for digit; activation rows within the tolerance, or moved by a near tie."""
    mine, theirs = rows(ours), rows(real)
    result = Comparison()
    if list(mine) != list(theirs):
        result.wrong.append(f"keys: {list(mine)}, but the real tool has {list(theirs)}")
        return result
    for key, values in theirs.items():
        if "_param_" in key:
            result.weights += len(values)
            if mine[key] != values:
                result.wrong.append(f"{key}: {mine[key]}, but the real tool has {values}")
        else:
            result.activations += 1
            scale, expected = float(mine[key][0]), float(values[0])
            if not close(scale, expected, tolerance):
                _explain(key, scale, expected, calibration, result)
    return result


def close(mine: float, real: float, tolerance: float) -> bool:
    """Whether two scales differ by no more than the tolerance, or the last decimal of the table."""
    if mine == real or (np.isnan(mine) and np.isnan(real)):
        return True
    return abs(mine - real) <= max(tolerance * real, LAST_DECIMAL)


def _explain(key: str, mine: float, real: float, found: Calibration | None, result: Comparison) -> None:
    """Put a row that differs where it belongs: moved by a near tie, or wrong."""
    text = f"{key}: {mine:f}, but the real tool has {real:f}"
    difference = divergence_difference(key, real, found)
    if difference is not None and difference < NEAR_TIE:
        result.moved.append(f"{text}; the divergences differ by {difference:.1e}")
    else:
        result.wrong.append(f"{text}; the divergences differ by {difference}")


def divergence_difference(key: str, scale: float, found: Calibration | None) -> float | None:
    """How much worse, relatively, the threshold of `scale` is than the best one by the histogram of a layer."""
    layer = next((each for each in found.layers if each.layer.name == key), None) if found else None
    if layer is None or layer.histogram is None:
        return None
    curve = divergences(normalised(layer.histogram.counts))
    position = round(127 / scale * 2048 / layer.range.absmax - 0.5) - TARGET_BINS
    if not 0 <= position < len(curve):
        return None
    return float((curve[position] - curve.min()) / curve.min())


def words(command: str) -> Iterator[str]:
    """The arguments of a command line of the manifest, without the name of the tool."""
    yield from command.split()[1:]
