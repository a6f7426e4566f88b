"""Who may know whom: the import rules of the house, read from the syntax trees."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"spec", "fastpath", "golden", "conformance", "tests"}

GRAPH_AND_TEXT = (
    "spec.errors",
    "spec.graph",
    "spec.layer_table",
    "spec.shape_expression",
    "spec.formats",
    "spec.optimize",
    "spec.quantization",
)
"""What the fast path shares with the spec: data and graph surgery, whose arithmetic is an argument."""


def imported_modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who knows whom"
            names = [alias.name for alias in node.names]
            yield from ((node.lineno, f"{node.module}.{name}") for name in names)


def allowed(importer: str, imported: str) -> bool:
    """Whether the module `importer` may import `imported` (a module, or a name in one)."""
    room, target = importer.split(".")[0], imported.split(".")[0]
    if target == "tests":
        return room == "tests"
    if room == "tests":
        return True
    if room == "spec":
        return target == "spec" or target in sys.stdlib_module_names
    if importer.startswith("fastpath.commands"):
        return target != "conformance" or importer == "fastpath.commands.main"
    if room == "fastpath":
        return target not in OURS or target == "fastpath" or imported.startswith(GRAPH_AND_TEXT)
    if room == "golden":
        return target not in OURS or target == "golden" or imported.startswith("spec.formats")
    if importer.startswith("conformance.adapters"):
        return True
    return target not in OURS or target in ("conformance", "golden")


def sources() -> list[Path]:
    return [path for room in sorted(OURS) for path in sorted((ROOT / room).rglob("*.py"))]


def violations(importer: str, source: str) -> list[str]:
    return [
        f"{importer}, line {line}: may not import {imported}"
        for line, imported in imported_modules(ast.parse(source))
        if not allowed(importer, imported)
    ]


def test_every_module_keeps_the_import_rules() -> None:
    found = []
    for path in sources():
        importer = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found += violations(importer, path.read_text())
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("spec.net", "import numpy"),
        ("spec.layers.rnn", "from fastpath import net"),
        ("fastpath.layers.rnn", "from spec.layers import rnn"),
        ("fastpath.net", "from spec.binary32 import f32"),
        ("conformance.runner", "import fastpath"),
        ("conformance.suites.recurrent", "from spec.layers.rnn import forward"),
        ("golden.manifest", "from tests import shared"),
    ],
)
def test_the_rules_forbid(importer: str, source: str) -> None:
    assert violations(importer, source)


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("spec.net", "from spec.layers import FORWARD\nimport math"),
        ("fastpath.net", "import numpy as np\nfrom spec.formats.param import read_param"),
        ("conformance.adapters.spec_adapter", "from spec.net import Net"),
        ("tests.test_x", "import spec.net, fastpath, tests.shared"),
    ],
)
def test_the_rules_allow(importer: str, source: str) -> None:
    assert not violations(importer, source)
