"""Derived cases come from the spec, so they prove nothing about it. The real runtime does.

ncnn's portable layers, and the wheel's RNN and GRU, take exp and tanh from the C library. With these instead of its
own, the spec has their bits in every case; every second is run here. The wheel's LSTM has vector forms of its own, and
is held to the tolerance of the case; the portable one is in the cases of the strict build.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
from collections.abc import Callable, Iterator

import pytest

from conformance.adapters.spec_adapter import SpecAdapter
from conformance.case import Case
from conformance.levels import judge
from conformance.suites import all_cases, recurrent
from conformance.tensor import Tensor
from spec.binary32 import f32
from spec.layers import gru, lstm, rnn

BELOW_HALF = "/below-half/"
"""The wheel rounds 0.49999997 to 1 there."""


def library_function(name: str) -> Callable[[float], float]:
    """A binary32 function of the C library, which the wheel calls too."""
    path = ctypes.util.find_library("m")
    if path is None:
        pytest.skip("the C library has no libm to be called")
    function = getattr(ctypes.CDLL(path), name)
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return lambda value: float(function(value))


@pytest.fixture
def spec_with_the_functions_of_c(monkeypatch: pytest.MonkeyPatch) -> Iterator[SpecAdapter]:
    expf, tanhf = library_function("expf"), library_function("tanhf")

    def logistic(value: float) -> float:
        return f32(1.0 / f32(1.0 + expf(-value)))

    for module in (rnn, gru, lstm):
        monkeypatch.setattr(module, "tanh", tanhf)
    for module in (gru, lstm):
        monkeypatch.setattr(module, "logistic", logistic)
    yield SpecAdapter()


def test_with_the_functions_of_c_the_spec_has_the_bits_of_the_portable_layers(
    spec_with_the_functions_of_c: SpecAdapter,
) -> None:
    """Of all three layers, and of a projection; and of what was recorded of RNN and GRU."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the values were seen with glibc")
    chosen = [case for case in all_cases("recurrent") if case.source.kind == "observed" and case.operation == "infer"]
    chosen = [case for case in chosen if "/strict-build/" in case.id or ("/real/" in case.id and "lstm" not in case.id)]
    assert {case.layers[0] for case in chosen} == {"RNN", "GRU", "LSTM"}
    assert len(chosen) == 33
    assert [case.id for case in chosen if not exactly(case, spec_with_the_functions_of_c.run(case))] == []


def exactly(case: Case, got: dict[str, Tensor]) -> bool:
    return judge("exact", case.expected, got).agrees


def test_with_the_functions_of_c_the_spec_has_the_bits_of_the_wheel(spec_with_the_functions_of_c: SpecAdapter) -> None:
    pytest.importorskip("ncnn")
    from conformance.adapters.wheel_adapter import WheelAdapter

    wheel = WheelAdapter()
    chosen = [case for case in recurrent.cases() if case.layers[0] != "LSTM" and BELOW_HALF not in case.id][::2]
    assert len(chosen) >= 800
    assert [case.id for case in chosen if spec_with_the_functions_of_c.run(case) != wheel.run(case)] == []


def test_what_was_observed_is_near_what_is_derived() -> None:
    """A case that takes two answers would else take anything for the second."""
    chosen = [case for case in recurrent.cases() if any(len(results) > 1 for results in case.expected.values())]
    assert chosen
    assert [case.id for case in chosen if apart(case)] == []


def apart(case: Case) -> str:
    first, second = (
        {name: list(results.values())[index % len(results)] for name, results in case.expected.items()}
        for index in (0, 1)
    )
    wanted = {name: {"reference": value} for name, value in first.items()}
    return judge(f"near:{case.tolerance}", wanted, second).message
