"""Runs of ncnn2table: weight rows and the rows of first layers digit for digit; all other rows within a tolerance, or
moved by a near tie.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fastpath.calibration.calibrate as fast_calibrate
import spec.calibration.calibrate as spec_calibrate
from fastpath.calibration.kl import TARGET_BINS, divergences, normalised
from fastpath.commands import ncnn2table
from fastpath.commands.verdicts.verdict import Verdict
from golden.vectors import Case
from spec.formats.param import read_param

ACTIVATION_TOLERANCE = 2e-6
"""Relative. The last bits of float layers differ between builds of ncnn, and between ncnn and BLAS; a table row also
has six decimals only."""

DEEP_TOLERANCE = 1e-5
"""The same after a hundred layers: what the makers of the recorded tables allow."""

LAST_DECIMAL = 1.01e-6

NEAR_TIE = 1e-3
"""Two thresholds tie if their divergences differ by less than this, relatively: then the last bits of a float layer
decide which one kl takes."""

MOST_MOVED = 0.05
"""The largest share of a table's activation rows that near ties may move."""


@dataclass
class Called:
    """One run of the command. `calibration` is what either engine's `calibrate` returned, if it did."""

    status: int
    stdout: str
    stderr: str
    calibration: Any


@dataclass
class Comparison:
    """How two tables compare. `moved` lists activation rows that a near tie moved, `wrong` everything unexplained."""

    weights: int = 0
    activations: int = 0
    exact: int = 0
    moved: list[str] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)


def judge_table(case: Case, command: Mapping[str, Any], folder: Path, engine: str, verdict: Verdict) -> None:
    """Make the table of a recorded command, and note what differs from the real one."""
    outputs = [*command.get("outputs", []), *command.get("outputs_not_made", [])]
    for name in outputs:
        (folder / name).unlink(missing_ok=True)
    argv = [str(word) for word in command["argv"]]
    upstream = ["--upstream"] if "method=eq" in argv else []
    called = call([*argv, *upstream, "--engine", engine], folder)
    verdict.said += called.stderr
    written = [name for name in outputs if (folder / name).is_file()]
    if "exit" not in command:
        if called.status == 0 or written or not called.stderr:
            verdict.differ("clean", f"expected an error and no files, but got status {called.status} and {written}")
        verdict.differ("crash", f"the real tool crashes; status {called.status}: {_last_line(called.stderr)}")
        return
    if called.status != command["exit"]:
        message = _last_line(called.stderr)
        verdict.differ("exit", f"status {called.status}, but the real tool's is {command['exit']}: {message}")
    if written != command.get("outputs", []):
        verdict.differ("files", f"wrote {written or 'nothing'}, but the real tool {command.get('outputs')}")
    if called.status != command["exit"]:
        return
    _compare_messages(case, command, called, verdict)
    exact = first_layers(folder / argv[0]) if written else set()
    for name in written:
        _compare_tables(folder / name, case.text(name), called.calibration, exact, verdict)


def first_layers(param: Path) -> set[str]:
    """The layers that read the samples themselves: their rows depend on no float layer."""
    graph = read_param(param)
    inputs = graph.input_names()
    return {layer.name for layer in graph if layer.bottoms and layer.bottoms[0] in inputs}


def call(argv: Sequence[str], folder: Path) -> Called:
    """Run ncnn2table in `folder` and keep what it found."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
        _recording() as found,
    ):
        status = ncnn2table.main(list(argv))
    return Called(status, out.getvalue(), err.getvalue(), found[-1] if found else None)


@contextlib.contextmanager
def _recording() -> Iterator[list[Any]]:
    """Collect what `calibrate` of either engine returns."""
    found: list[Any] = []
    modules: list[Any] = [fast_calibrate, spec_calibrate]
    originals = [module.calibrate for module in modules]

    def recorded(original: Any) -> Any:
        def calibrate(*args: Any, **kwargs: Any) -> Any:
            found.append(original(*args, **kwargs))
            return found[-1]

        return calibrate

    for module, original in zip(modules, originals, strict=True):
        module.calibrate = recorded(original)
    try:
        yield found
    finally:
        for module, original in zip(modules, originals, strict=True):
            module.calibrate = original


def _compare_messages(case: Case, command: Mapping[str, Any], called: Called, verdict: Verdict) -> None:
    """The same stdout; and where the real tool ends with an error, its message is among ours."""
    stdout = case.text(command["stdout"]) if "stdout" in command else command.get("stdout_text")
    if stdout is not None:
        verdict.compare_texts("stdout", called.stdout, stdout)
    log = case.text(command["stderr"]) if "stderr" in command else str(command.get("stderr_text", ""))
    if command["exit"] != 0 and _last_line(log) not in called.stderr:
        verdict.differ("log", f"{_last_line(called.stderr)!r}, but the real tool says {_last_line(log)!r}")


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else ""


def _compare_tables(ours: Path, real: str, calibration: Any, exact: set[str], verdict: Verdict) -> None:
    result = compare(ours.read_text(), real, calibration, exact=exact)
    verdict.how["equal"] += result.weights + result.exact
    verdict.how["close"] += result.activations - result.exact - len(result.moved)
    verdict.how["near tie"] += len(result.moved)
    for key, sentence in result.wrong.items():
        verdict.texts.setdefault("rows", []).append((f"{key} ours", f"{key} theirs"))
        verdict.differ("rows", sentence)
    if len(result.moved) > MOST_MOVED * result.activations:
        verdict.differ("moved", f"{len(result.moved)} of {result.activations} rows moved: {result.moved[0]}")


def rows(text: str) -> dict[str, list[str]]:
    """The values of a table as text, by key, in file order."""
    return {line.split(" ")[0]: line.split(" ")[1:-1] for line in text.split("\n") if line}


def compare(
    ours: str,
    real: str,
    calibration: Any,
    tolerance: float = ACTIVATION_TOLERANCE,
    exact: Collection[str] = (),
) -> Comparison:
    """Weight rows and the activation rows of `exact` digit for digit; others within the tolerance, or a near tie."""
    mine, theirs = rows(ours), rows(real)
    result = Comparison()
    if list(mine) != list(theirs):
        result.wrong["keys"] = f"keys: {list(mine)}, but the real tool has {list(theirs)}"
        return result
    for key, values in theirs.items():
        if "_param_" in key:
            result.weights += len(values)
            if mine[key] != values:
                result.wrong[key] = f"{key}: {mine[key]}, but the real tool has {values}"
        else:
            result.activations += 1
            if key in exact:
                result.exact += 1
                if mine[key] != values:
                    result.wrong[key] = f"{key}: {mine[key]}, but the real tool has {values}"
                continue
            scale, expected = float(mine[key][0]), float(values[0])
            if not close(scale, expected, tolerance):
                _explain(key, scale, expected, calibration, result)
    return result


def close(mine: float, real: float, tolerance: float) -> bool:
    """Whether two scales differ by no more than the tolerance, or the last decimal of the table."""
    if mine == real or (np.isnan(mine) and np.isnan(real)):
        return True
    return abs(mine - real) <= max(tolerance * real, LAST_DECIMAL)


def _explain(key: str, mine: float, real: float, found: Any, result: Comparison) -> None:
    """Put a row that differs where it belongs: moved by a near tie, or wrong."""
    text = f"{key}: {mine:f}, but the real tool has {real:f}"
    difference = divergence_difference(key, real, found)
    if difference is not None and difference < NEAR_TIE:
        result.moved.append(f"{text}; the divergences differ by {difference:.1e}")
    else:
        result.wrong[key] = f"{text}; the divergences differ by {difference}"


def divergence_difference(key: str, scale: float, found: Any) -> float | None:
    """How much worse, relatively, the threshold of `scale` is than the best one by the histogram of a layer."""
    layer = next((each for each in found.layers if each.layer.name == key), None) if found else None
    if layer is None or layer.histogram is None:
        return None
    curve = divergences(normalised(np.asarray(layer.histogram.counts)))
    position = round(127 / scale * 2048 / layer.range.absmax - 0.5) - TARGET_BINS
    if not 0 <= position < len(curve):
        return None
    return float((curve[position] - curve.min()) / curve.min())
