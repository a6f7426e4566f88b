"""Every int8 layer against the real runtimes, case by case; `-s` prints the table of what was equal and how."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from spec.blob import Blob, int8_blob
from spec.errors import GraphError
from spec.formats.npy import read_npy
from tests.layers_int8.corpus import FUSED, Output, Run, compute, runs

RUNS = runs("layers-int8")

REFUSED = {"quantize-nonfinite": "NaN and infinities have no int8 code; x86 builds give them -127"}
"""Runs that the spec refuses on purpose, and why."""

TRANSCENDENTAL = {4: (3e-7, 0.0), 5: (2e-6, 3e-7), 6: (2e-6, 3e-7)}
"""Sigmoid, mish and hard swish: the wheel evaluates polynomials or another form, the portable layers the C library's
binary32 functions. (Absolute tolerance, tolerance as a part of the blob's largest magnitude.)"""

TOLERANCES = {
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
"""The int8 forms that are not compared bit for bit: (absolute tolerance, part of the blob's largest magnitude)."""

FLOAT_TOLERANCES = {
    "RNN": (1e-6, 0.0),
    "GRU": (1e-6, 0.0),
    "LSTM": (5e-6, 0.0),
    "Embed": (0.0, 0.0),
}
"""The float forms; elsewhere 2**-20 of the largest magnitude, as real builds add fused products in another order."""

TABLE: Counter[tuple[str, str]] = Counter()


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Print what the tests counted."""
    yield
    kinds = sorted({kind for kind, _ in TABLE})
    outcomes = ("equal", "equal, fused", "close", "refused")
    print(f"\n{'outputs of':<28}" + "".join(f"{outcome:>14}" for outcome in outcomes))
    for kind in kinds:
        print(f"{kind:<28}" + "".join(f"{TABLE[kind, outcome]:>14}" for outcome in outcomes))


@pytest.mark.skipif(not RUNS, reason="the shared corpus is not beside this checkout")
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_real_outputs(run: Run) -> None:
    kind = f"{run.layer_type}, float" if run.float_form else run.layer_type
    if run.name in REFUSED:
        with pytest.raises(GraphError):
            compute(run)
        TABLE[kind, "refused"] += 1
        return
    reference = compute(run)
    fused = compute(run, FUSED)
    for output in run.outputs:
        expected = read_npy(output.expected)
        outcome = compare(run, output, expected, reference[output.blob], fused[output.blob])
        TABLE[kind, outcome] += 1


def compare(run: Run, output: Output, expected: Blob, reference: Blob, fused: Blob) -> str:
    """How the spec's blob agrees with the real one; fails the test where it does not."""
    assert (reference.shape, reference.dtype) == (expected.shape, expected.dtype)
    if reference.values == expected.values:
        return "equal"
    if not output.portable and fused.values == expected.values:
        return "equal, fused"
    absolute, part = tolerance(run)
    limit = absolute + part * max(map(abs, expected.values))
    worst = max(abs(got - real) for got, real in zip(reference.values, expected.values, strict=True))
    assert reference.dtype == "float32", f"{worst} codes apart"
    assert worst <= limit, f"{output.blob}: {worst} apart, more than {limit}"
    return "close"


def tolerance(run: Run) -> tuple[float, float]:
    """(absolute, part of the largest magnitude); zeros where only the bits will do."""
    if run.float_form:
        return FLOAT_TOLERANCES.get(run.layer_type, (0.0, 2.0**-20))
    if run.layer_type in TOLERANCES:
        return TOLERANCES[run.layer_type]
    if run.layer_type in ("Convolution", "ConvolutionDepthWise", "InnerProduct"):
        return TRANSCENDENTAL.get(run.params.get("9", 0), (0.0, 0.0))
    return (0.0, 0.0)


@pytest.mark.skipif(not RUNS, reason="the shared corpus is not beside this checkout")
def test_refusals_name_real_runs() -> None:
    assert set(REFUSED) <= {run.name for run in RUNS}


NETWORKS = runs("int8")

NETWORK_REFUSED = {
    "value-zero-blob": "a bottom scale of 0 makes every output NaN",
    "value-nan-weight": "a weight scale that is not a number",
}
"""Networks that the spec refuses on purpose, and why."""


@pytest.mark.skipif(not NETWORKS, reason="the shared corpus is not beside this checkout")
@pytest.mark.parametrize("run", NETWORKS, ids=lambda run: run.name)
def test_networks_that_the_real_tool_quantized(run: Run) -> None:
    if run.name in NETWORK_REFUSED:
        with pytest.raises(GraphError):
            compute(run)
        return
    blobs = compute(run)
    for output in run.outputs:
        expected = read_npy(output.expected)
        got = blobs[output.blob]
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        largest = max(map(abs, expected.values), default=0.0)
        for value, real in zip(got.values, expected.values, strict=True):
            assert math.isclose(value, real, rel_tol=0.0, abs_tol=1e-5 * largest), output.blob


@pytest.mark.skipif(not NETWORKS, reason="the shared corpus is not beside this checkout")
def test_network_refusals_name_real_runs() -> None:
    assert set(NETWORK_REFUSED) <= {run.name for run in NETWORKS}


def test_one_code_too_many_is_noticed() -> None:
    run = Run("made-up", "Convolution", {}, False, Path(), Path(), {}, ())
    output = Output("y", 1, Path(), portable=True)
    wanted, got = int8_blob((2,), [5, -7]), int8_blob((2,), [5, -6])
    assert compare(run, output, wanted, wanted, wanted) == "equal"
    with pytest.raises(AssertionError, match="1 codes apart"):
        compare(run, output, wanted, got, got)
