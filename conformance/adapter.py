"""What an implementation brings to be judged: who it is, what it can do, and one function."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from conformance.case import Case, Operation
from conformance.tensor import Tensor

Rounding = Literal["reference", "other"]
"""The rounding profile. reference: every float step is one binary32 operation in the written order, and exp and tanh
are computed in binary64 and rounded once. other: anything else, like fused multiply-adds, expf, polynomials."""

Claim = Literal["exact", "near", "stat"]
"""The tightest level: the stored bits; the named tolerance of each case; or statistics of the difference only."""

FILE_FORMATS = ("param", "bin")
"""What everybody reads who runs a case."""


@dataclass(frozen=True)
class Identity:
    """Who answers, and what it claims. Cases that need more are not applicable.

    `layers` are layer types, `operations` and `formats` what `Case.operation` and `Case.formats` may ask for: of files
    `param`, `bin`, `param.bin`, `images`; `values` if loaded values are told; `threads` if their number
    can be set; `nets` if a recurrent network may have several layers, `float` if its weights may be float;
    `fp16` if records of binary16 are read. `cpu` is what decides between several forms of the code, like `avx2`.
    """

    name: str
    version: str
    language: str
    rounding: Rounding
    layers: tuple[str, ...]
    operations: tuple[Operation, ...] = ("infer",)
    formats: tuple[str, ...] = FILE_FORMATS
    level: Claim | Literal[""] = ""
    platform: str = platform.machine()
    cpu: str = ""
    options: str = ""
    notes: tuple[str, ...] = ()

    @property
    def tightest(self) -> Claim:
        """The level that was claimed, or what the rounding profile implies."""
        return self.level or ("exact" if self.rounding == "reference" else "near")

    def lacks(self, case: Case) -> str:
        """What a case needs and this implementation does not claim; empty where it is applicable."""
        if case.operation not in self.operations:
            return f"the operation {case.operation} is not claimed"
        formats = [name for name in case.formats if name not in self.formats]
        if formats:
            return f"the format {', '.join(formats)} is not claimed"
        layers = [name for name in case.layers if name not in self.layers]
        return f"the layer {', '.join(layers)} is not claimed" if layers else ""

    def to_json(self) -> dict[str, Any]:
        """As the protocol and the report write it."""
        return {name: value for name, value in asdict(self).items() if value or name == "layers"}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Identity:
        """From the protocol's form."""
        lists = ("layers", "operations", "formats", "notes")
        fields: dict[str, Any] = {name: tuple(value) if name in lists else value for name, value in data.items()}
        return cls(**fields)


class SkippedCase(Exception):
    """The implementation knows of the case and does not run it; the message says why."""


class NotApplicable(Exception):
    """What the case asks for has no equal in the implementation; the message says what differs."""


class Refused(Exception):
    """The implementation refuses the files of a case as faulty; for some cases that is the right answer."""


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
        """What `case.operation` makes of the case: the tensors `case.outputs`.

        Refused, SkippedCase, NotApplicable, AdapterFault, or any error of the implementation.
        """

    def close(self) -> None:
        """Free what the adapter holds."""
