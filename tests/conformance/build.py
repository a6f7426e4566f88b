"""Small cases and adapters for the tests of the harness itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.adapter import Identity
from conformance.case import Case, Source
from conformance.tensor import Tensor, tensor

IDENTITY = Identity("toy", "1.2", "Python", "reference", ("ReLU",), platform="x86_64")


def toy_case(case_id: str = "toy/relu/plain", *, level: str = "exact", **changes: Any) -> Case:
    """One ReLU."""
    case = Case(
        id=case_id,
        note="Negative values become 0.",
        flags=(),
        layers=("ReLU",),
        param="7767517\n2 2\nInput in0 0 1 in0\nReLU relu 1 1 in0 out0\n",
        bin=b"",
        inputs={"in0": tensor((3,), [1.0, -2.0, 3.0])},
        expected={"out0": {"reference": tensor((3,), [1.0, 0.0, 3.0])}},
        level=level,
        tolerance="",
        source=Source("by-hand", "max(v, 0)"),
    )
    return replace(case, **changes)


class Toy:
    """An adapter made of one function."""

    def __init__(self, answer: Callable[[Case], dict[str, Tensor]], identity: Identity = IDENTITY) -> None:
        self.answer = answer
        self._identity = identity

    @property
    def identity(self) -> Identity:
        return self._identity

    def run(self, case: Case) -> dict[str, Tensor]:
        return self.answer(case)

    def close(self) -> None:
        pass


def right(case: Case) -> dict[str, Tensor]:
    return {blob: next(iter(results.values())) for blob, results in case.expected.items()}


def wrong(case: Case) -> dict[str, Tensor]:
    return {blob: tensor(value.shape, [9.0] * len(value.values())) for blob, value in right(case).items()}
