"""The stored cases of the other int8 layers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conformance import adapters
from conformance.adapters import open_adapter
from conformance.case import Case
from conformance.deviations import read_deviations
from conformance.runner import run
from conformance.suites import (
    all_cases,
    carried,
    consistency,
    consistency_answers,
    format_values,
    layer_cases,
    layers,
    recurrent_net_cases,
    recurrent_nets,
)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for case in all_cases("int8-layers") if case.operation == "infer" and not case.group]


@pytest.fixture(scope="module")
def own(cases: list[Case]) -> list[Case]:
    return [case for case in cases if case.id.split("/")[1] != "real"]


def test_every_int8_layer_has_cases_of_its_own(cases: list[Case], own: list[Case]) -> None:
    assert max(Counter(case.id for case in cases).values()) == 1
    families = Counter(case.layers[0] for case in own)
    assert set(families) == {
        "Quantize",
        "Dequantize",
        "Requantize",
        "Convolution",
        "ConvolutionDepthWise",
        "InnerProduct",
        "Embed",
        "Gemm",
        "SDPA",
        "MultiHeadAttention",
    }
    seen = {case.layers[0] for case in own if case.source.kind == "observed"}
    assert set(families) - seen == {"Dequantize"}
    assert {flag for case in own for flag in case.flags} <= set(layer_cases.FLAGS)


@pytest.mark.parametrize("name", ["spec", "fastpath"])
def test_passes_every_case_exactly(name: str, cases: list[Case]) -> None:
    results = run(open_adapter(name), cases)
    wrong = [(result.id, result.message) for result in results if result.outcome not in ("passed", "not-applicable")]
    assert not wrong


@pytest.mark.parametrize(("name", "deviating"), [("wheel", 16), ("wheel-plain", 2)])
def test_the_wheel_deviates_only_as_it_is_listed(name: str, deviating: int, cases: list[Case]) -> None:
    """Packing is what goes wrong in Requantize; without it vector rounding is left, and what the machine decides."""
    pytest.importorskip("ncnn")
    adapter = open_adapter(name)
    deviations = read_deviations(Path(adapters.__file__).parent / "wheel.toml")
    results = list(run(adapter, cases, deviations))
    assert {result.outcome for result in results} == {"passed", "deviating"}
    depending = [entry for entry in deviations if entry.depends_on]
    settled = [result for result in results if not any(entry.matches(result.id) for entry in depending)]
    more = 4 if name == "wheel" and adapter.identity.cpu == "sse2" else 0
    assert sum(result.outcome == "deviating" for result in settled) == deviating + more


@pytest.mark.parametrize(
    ("module", "file"),
    [
        (layer_cases, layers.FILE),
        (format_values, carried.VALUES),
        (consistency_answers, consistency.FILE),
        (recurrent_net_cases, recurrent_nets.FILE),
    ],
)
def test_what_the_generator_would_write_is_what_is_stored(module: Any, file: Path) -> None:
    assert module.content() == file.read_text(encoding="utf-8")
