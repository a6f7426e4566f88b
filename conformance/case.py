"""A case: a small network, what goes in, what must come out, how closely, and how anybody knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from conformance.tensor import Tensor

Provenance = Literal["derived", "observed", "by-hand"]
"""Computed by the spec; seen in a real ncnn; worked out on paper."""


@dataclass(frozen=True)
class Source:
    """Where expected values come from; `detail` names generator or runtime, or shows the working."""

    kind: Provenance
    detail: str


@dataclass(frozen=True)
class Case:
    """One case. Ids never change once they are published."""

    id: str
    note: str
    flags: tuple[str, ...]
    layers: tuple[str, ...]
    """Layer types that an implementation must have to run the case."""
    param: str
    """Text of the .param file."""
    bin: bytes
    """Content of the .bin file."""
    inputs: dict[str, Tensor]
    expected: dict[str, dict[str, Tensor]]
    """Blob to behaviour to result. With one behaviour it is simply what must come out."""
    level: str
    """See `conformance.levels`."""
    tolerance: str
    """Name of the tolerance for implementations that do not round exp and tanh correctly; empty: the level stays."""
    source: Source
    details: dict[str, int] = field(default_factory=dict)
    """Numbers that a diagnosis needs, by name."""

    @property
    def outputs(self) -> list[str]:
        """The blobs to extract."""
        return list(self.expected)
