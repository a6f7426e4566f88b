"""Inference: what the engines compute, and how near it must be to what the real runtimes gave."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastpath
from fastpath.commands.verdicts.verdict import Verdict
from golden.vectors import Case
from spec.binary32 import REFERENCE, Profile
from spec.blob import Blob
from spec.errors import AssayError, UnsupportedError
from spec.formats.npy import read_npy
from spec.net import Net

FUSED = Profile("fused", fused_multiply_add=True)
"""The descale and the bias of the vectorised convolutions and Dequantize are one operation."""

Level = tuple[float, float]
"""An absolute tolerance, and one as a part of the blob's largest magnitude; zeros where only the bits will do."""

TRANSCENDENTAL: dict[int, Level] = {4: (3e-7, 0.0), 5: (2e-6, 3e-7), 6: (2e-6, 3e-7)}
"""Sigmoid, mish and hard swish by activation_type: the wheel evaluates polynomials or another form, the portable layers
the C library's binary32 functions."""

LEVELS: dict[str, Level] = {
    # The C library's tanh and exp differ from correctly rounded ones by up to 2 units in the last place.
    "RNN": (1e-6, 0.0),
    "GRU": (1e-6, 0.0),
    # Vectorised sigmoid and tanh, absmax / 127 as one division.
    "LSTM": (5e-6, 0.0),
    # The descale of a run-time A is absmax / (127 * scale of B).
    "Gemm": (0.0, 5e-7),
    # A vectorised softmax.
    "MultiHeadAttention": (0.0, 2e-6),
    "SDPA": (0.0, 2e-6),
}
"""The int8 layers that are not compared bit for bit."""

FLOAT_LEVELS: dict[str, Level] = {"RNN": (2e-6, 0.0), "GRU": (1e-6, 0.0), "LSTM": (5e-6, 0.0), "Embed": (0.0, 0.0)}
FLOAT_LEVEL: Level = (0.0, 2.0**-20)
"""Float layers: real builds, and the BLAS of fastpath, add products in other orders."""

NETWORK_LEVEL: Level = (0.0, 1e-5)
"""Whole networks of several layers."""

ACTIVATED = ("Convolution", "ConvolutionDepthWise", "InnerProduct")

Array = NDArray[Any]


@dataclass(frozen=True)
class Output:
    """A blob that a run extracts, and the file to compare it with; `portable` if portable C++ layers made that file."""

    blob: str
    extract_type: int
    expected: str
    portable: bool


class Run:
    """One network with one set of inputs, on an engine."""

    def __init__(self, folder: Path, engine: str, param: str, bin: str, feeds: Mapping[str, str]) -> None:
        self.folder, self.engine, self.param, self.bin = folder, engine, folder / param, folder / bin
        self.feeds = {blob: folder / file for blob, file in feeds.items()}

    def outputs(self, wanted: Sequence[Output]) -> dict[str, Array]:
        """The blobs of this run's engine. AssayError where it refuses."""
        if self.engine == "spec":
            return {name: np.array(blob) for name, blob in self.spec_blobs(wanted, REFERENCE).items()}
        net = fastpath.Net()
        net.load_param(self.param)
        net.load_model(self.bin)
        with net.create_extractor() as extractor:
            for name in net.input_names():
                fed = np.array(read_npy(self.feeds[name])) if name in self.feeds else np.empty(0, np.float32)
                extractor.input(name, fed)
            return {each.blob: np.array(extractor.extract(each.blob, each.extract_type)[1]) for each in wanted}

    def spec_blobs(self, wanted: Sequence[Output], profile: Profile) -> dict[str, Blob]:
        """The blobs of the spec. Inputs that the case does not feed are empty (caches of attention)."""
        net = Net(profile)
        net.load_param(self.param)
        net.load_model(self.bin)
        with net.create_extractor() as extractor:
            for name in net.input_names():
                fed = read_npy(self.feeds[name]) if name in self.feeds else Blob((0,), "float32", [])
                extractor.input(name, fed)
            return {each.blob: extractor.extract(each.blob, each.extract_type)[1] for each in wanted}


class Reference:
    """The spec's blobs of a run by both profiles, computed when they are asked for."""

    def __init__(self, run: Run, wanted: Sequence[Output]) -> None:
        self._run, self._wanted = run, wanted

    @cached_property
    def plain(self) -> dict[str, Array]:
        """By the reference profile."""
        return {name: np.array(blob) for name, blob in self._run.spec_blobs(self._wanted, REFERENCE).items()}

    @cached_property
    def fused(self) -> dict[str, Array]:
        """With fused multiply-adds."""
        return {name: np.array(blob) for name, blob in self._run.spec_blobs(self._wanted, FUSED).items()}


def judge_inference(case: Case, folder: Path, engine: str, verdict: Verdict) -> None:
    """Compute every recorded output of the case and note what is not near enough."""
    for record in case.facts.get("inference") or []:
        wanted = [_output(blob, entry) for blob, entry in record["outputs"].items()]
        run = Run(folder, engine, record["param"], record["bin"], record["inputs"])
        judge_run(run, wanted, level_of(case, record), verdict)


def judge_run(run: Run, wanted: Sequence[Output], level: Level, verdict: Verdict) -> None:
    """Compute one run; note a refusal, or the outputs that are not near enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            blobs = run.outputs(wanted)
        except UnsupportedError as error:
            verdict.differ("unsupported", str(error))
            return
        except AssayError as error:
            verdict.said += f"{error}\n"
            verdict.differ("refusal", str(error))
            return
        reference = Reference(run, wanted)
        for output in wanted:
            expected = np.array(read_npy(run.folder / output.expected))
            agreement, sentence = compare(output, expected, blobs[output.blob], level, reference)
            if agreement:
                verdict.how[agreement] += 1
            else:
                verdict.differ("output", f"{run.param.name}, {output.blob}: {sentence}")


def compare(output: Output, expected: Array, got: Array, level: Level, reference: Reference) -> tuple[str, str]:
    """How the blob agrees with the real one: equal, fused, close; or "" and a sentence that says how it does not.

    fused: the real runtime fuses multiply-adds, and the spec gives its very bits when it does too.
    """
    if (got.shape, got.dtype) != (expected.shape, expected.dtype):
        return "", f"{got.dtype} {got.shape}, but the record has {expected.dtype} {expected.shape}"
    if np.array_equal(got, expected, equal_nan=got.dtype == np.float32):
        return "equal", ""
    limit = level[0] + level[1] * float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
    differing = (got != expected) & ~(np.isnan(got) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        worst = float(np.abs(got[differing].astype(np.float64) - expected[differing]).max())
    if got.dtype == np.float32 and worst <= limit:
        return "close", ""
    as_the_spec = not output.portable and np.array_equal(got, reference.plain[output.blob])
    if as_the_spec and np.array_equal(reference.fused[output.blob], expected):
        return "fused", ""
    return "", f"{worst:.3g} apart, at most {limit:.3g} allowed"


def level_of(case: Case, record: Mapping[str, Any]) -> Level:
    """How near the outputs of a run must be."""
    kind = case.facts.get("layer", {}).get("type", "")
    if case.provenance["class"] == "by-hand":
        return (0.0, 0.0)
    if case.group not in ("layers-int8", "by-hand") or not kind:
        return NETWORK_LEVEL if case.group != "layers-int8" else (0.0, 0.0)
    if record.get("name") == "float model":
        return FLOAT_LEVELS.get(kind, FLOAT_LEVEL)
    if kind in LEVELS:
        return LEVELS[kind]
    return TRANSCENDENTAL.get(_activation_type(case), (0.0, 0.0)) if kind in ACTIVATED else (0.0, 0.0)


def _activation_type(case: Case) -> int:
    """Parameter 9 of the case's layer."""
    params = case.facts["layer"].get("params", {})
    if isinstance(params, str):
        params = dict(word.split("=", 1) for word in params.split())
    return int(params.get("9", 0))


def _output(blob: str, entry: Mapping[str, Any]) -> Output:
    """The portable layers' file where the corpus kept one, else the wheel's."""
    variants = entry["variants"]
    generic = variants.get("generic")
    if isinstance(generic, dict):
        generic = generic.get("file")
    if generic == "same as plain":
        generic = variants["plain"]
    return Output(blob, int(entry["extract_type"]), str(generic or variants["plain"]), generic is not None)
