"""Exchange a few words in a function of the spec, for a while."""

from __future__ import annotations
import __future__ as features

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """A wrong rule: `changes` are words of the function at `target` (module:name) and what stands there instead.

    `groups` are the golden groups that can see it.
    """

    name: str
    fault: str
    target: str
    changes: tuple[tuple[str, str], ...]
    groups: tuple[str, ...]

    @property
    def searches(self) -> bool:
        """Whether the mutant is in what the divergences are made of, so that the spec's own have to be computed."""
        return self.target == "spec.calibration.kl:target_bin"


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """The function with its words exchanged, wherever it was imported. ValueError if the words are not in it."""
    function = function_of(mutant.target)
    original = function.__code__
    function.__code__ = mutated_code(function, mutant)
    try:
        yield
    finally:
        function.__code__ = original


def function_of(target: str) -> FunctionType:
    module, _, path = target.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    assert isinstance(found, FunctionType)
    return found


def mutated_code(function: FunctionType, mutant: Mutant) -> Any:
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in mutant.changes:
        if source.count(old) != 1:
            raise ValueError(f"{mutant.name}: {source.count(old)} times {old!r} in {mutant.target}")
        source = source.replace(old, new)
    namespace: dict[str, Any] = {}
    code = compile(source, f"<{mutant.name}>", "exec", flags=features.annotations.compiler_flag, dont_inherit=True)
    exec(code, dict(function.__globals__), namespace)
    return namespace[function.__name__].__code__
