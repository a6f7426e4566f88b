"""How a module of the law reads: every layer says whom it follows, and int8 layers keep their banners in one order."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SPEC = Path(__file__).resolve().parents[2] / "spec"

BANNERS = ("quantize input", "accumulate", "descale", "bias", "activation", "requantize")

INT8_LAYERS = {
    "convolution": "forward_int8",
    "convolution_depthwise": "forward_int8",
    "inner_product": "forward_int8",
    "rnn": "step",
    "lstm": "step",
    "gru": "step",
    "embed": "forward_int8",
    "gemm": "forward_int8",
    "multi_head_attention": "forward_int8",
    "sdpa": "forward_int8",
}
"""Modules of `spec.layers` with an int8 form, and the function that states it."""


def banners(source: str) -> list[str]:
    found = re.findall(r"^\s+# ([a-z0-9 ]+?)(?:  .*)?$", source, flags=re.MULTILINE)
    return [line for line in found if line in BANNERS]


@pytest.mark.parametrize(("module", "function"), INT8_LAYERS.items())
def test_int8_layers_keep_the_banners_in_order(module: str, function: str) -> None:
    source = (SPEC / "layers" / f"{module}.py").read_text()
    definitions = {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    text = ast.get_source_segment(source, definitions[function])
    assert text is not None
    found = banners(text)
    assert found[: len(BANNERS)] == list(BANNERS)
    assert len(found) % len(BANNERS) == 0, "a second pass begins with its own first banner"


def test_every_forward_says_what_it_follows() -> None:
    silent = []
    for path in sorted((SPEC / "layers").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name in ("forward", "forward_float", "forward_int8"):
                silent += [] if "Follows:" in (ast.get_docstring(node) or "") else [f"{path.name}: {node.name}"]
    assert not silent, "\n".join(silent)
