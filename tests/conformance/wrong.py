"""A wrong implementation that adapters can be made of by name."""

from __future__ import annotations

from tests.conformance.mutants import Mutant


def make() -> Mutant:
    """Reset and update gate are exchanged."""
    return Mutant("swap-R-U")
