"""What an implementation brings to be judged: who it is, what it can do, and one function."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from conformance.case import Case
from conformance.tensor import Tensor

Functions = Literal["correctly-rounded", "other"]
"""How exp and tanh come about: binary64 rounded once to binary32, or any other way (a C library, polynomials)."""


@dataclass(frozen=True)
class Identity:
    """Who answers. `layers` are the layer types it claims; cases with others are not applicable."""

    name: str
    version: str
    language: str
    functions: Functions
    layers: tuple[str, ...]
    platform: str = platform.machine()
    options: str = ""

    def to_json(self) -> dict[str, Any]:
        """As the protocol and the report write it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Identity:
        """From the protocol's form."""
        return cls(**{**data, "layers": tuple(data["layers"])})


class SkippedCase(Exception):
    """The implementation knows of the case and does not run it; the message says why."""


class AdapterFault(Exception):
    """The implementation answered with an error, or not at all."""


class AdapterBroken(Exception):
    """The adapter itself does not work: the verdict is about it, not about the implementation."""


@runtime_checkable
class Adapter(Protocol):
    """An implementation under test."""

    @property
    def identity(self) -> Identity:
        """Who answers."""

    def run(self, case: Case) -> dict[str, Tensor]:
        """The blobs `case.outputs` for `case.inputs`. SkippedCase, AdapterFault, or any error of the implementation."""

    def close(self) -> None:
        """Free what the adapter holds."""
