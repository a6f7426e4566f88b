"""A case: what is asked, of which files, what must come out, how closely, and how anybody knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from conformance.tensor import Tensor

Operation = Literal["infer", "parse", "table", "quantize"]
"""infer: run a small network. parse: load a model file, or refuse it. table: calibrate a float network with samples.
quantize: make an int8 network of a float one and a table."""

OPERATIONS: tuple[Operation, ...] = ("infer", "parse", "table", "quantize")

Provenance = Literal["derived", "observed", "by-hand"]
"""Computed by the spec; seen in a real ncnn; worked out on paper."""

Refusal = Literal["wrong", "allowed", "required"]
"""What it means to refuse the files: valid files must be taken, faulty ones refused; some may be treated either way."""


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
    """Text of the .param file, for `infer`."""
    bin: bytes
    """Content of the .bin file, for `infer`."""
    inputs: dict[str, Tensor]
    expected: dict[str, dict[str, Tensor]]
    """Blob (or row of a table, or file) to behaviour to result. With one behaviour it is simply what must come out."""
    level: str
    """See `conformance.levels`."""
    tolerance: str
    """Name of the tolerance for implementations that do not round exp and tanh correctly; empty: the level stays."""
    source: Source
    details: dict[str, int] = field(default_factory=dict)
    """Numbers that a diagnosis needs, by name."""
    operation: Operation = "infer"
    formats: tuple[str, ...] = ()
    """What an implementation must be able to read beyond `param` and `bin`."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Name to content, for operations other than `infer`."""
    options: dict[str, str] = field(default_factory=dict)
    """Settings of the operation: the method of a calibration, shapes, and so on."""
    refusal: Refusal = "wrong"
    group: str = ""
    """Cases of one group have one answer: every number of the first output is the same, and the same in all of them."""
    levels: dict[str, str] = field(default_factory=dict)
    """Results that have a level of their own."""

    @property
    def outputs(self) -> list[str]:
        """What to answer with."""
        return list(self.expected)

    def level_of(self, name: str) -> str:
        """The level of one result."""
        return self.levels.get(name, self.level)
