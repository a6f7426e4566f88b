"""The examples in the docstrings of the format modules are right."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import spec.formats

MODULES = [f"spec.formats.{module.name}" for module in pkgutil.iter_modules(spec.formats.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
