"""The kernels that a script writes, and what the C compiler made of all of them."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess

import pytest

from fastpath import cpu_level, kernels
from fastpath.kernels import BUILT, write_source
from spec.errors import UsageError

VECTOR_CODE = {
    "vnni512": {
        "dot___bytes_4x4": "vpdpbusd.*zmm",
        "lanes___lanes_32": "vpmullw.*zmm",
        "depthwise___row_3x3": "vpmullw.*zmm",
        "requantize___linear": "vpmullq.*zmm",
        "requantize___stepped": "vpgather.*zmm",
        "pooling___max_3x3": "vpmaxub.*zmm",
        "move___panel": "vmovdqu.*zmm",
    },
    "vnni256": {"dot___bytes_4x4": "vpdpbusd.*ymm", "requantize___linear": "vpmullq.*ymm"},
    "avxvnni": {"dot___bytes_2x4": "vpdpbusd.*ymm"},
    "avx2": {"dot___words_2x4": "vpmaddwd.*ymm", "depthwise___row_3x3": "vpmullw.*ymm"},
    "base": {"dot___words_2x4": "pmaddwd.*xmm"},
}
"""An instruction that each kernel must have: where one check too many stops vectorisation it runs 30 times slower."""


def test_written_kernels_are_current() -> None:
    assert write_source.outdated() == []


@pytest.mark.parametrize("level", list(VECTOR_CODE))
def test_loops_are_vector_code(level: str) -> None:
    if level not in BUILT:
        pytest.skip(f"level {level} is not compiled in this installation")
    if shutil.which("objdump") is None:
        pytest.skip("no objdump to look at the compiled code with")
    library = importlib.util.find_spec(f"fastpath.kernels.{level}.group__mypyc")
    assert library is not None
    assert library.origin is not None
    command = ["objdump", "-d", "--no-show-raw-insn", library.origin]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    functions = re.split(r"^[0-9a-f]+ <(\S+)>:$", listing, flags=re.MULTILINE)
    bodies = dict(zip(functions[1::2], functions[2::2], strict=True))
    for name, instruction in VECTOR_CODE[level].items():
        body = bodies[f"CPyDef_fastpath___kernels___{level}___{name}"]
        assert re.search(instruction, body), f"{name} has no {instruction} at level {level}"


def test_the_best_runnable_level_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NCNN_ASSAY_LEVEL", raising=False)
    monkeypatch.setattr(kernels, "BUILT", ("vnni512", "avx2", "base"))
    monkeypatch.setattr(cpu_level, "cpu_features", lambda: frozenset({"avx2", "fma", "bmi2"}))
    assert kernels._choose() == "avx2"
    monkeypatch.setattr(cpu_level, "cpu_features", lambda: frozenset({"sse2"}))
    assert kernels._choose() == "base"
    monkeypatch.setattr(kernels, "BUILT", ())
    assert kernels._choose() == "interpreted"


def test_the_environment_names_a_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "BUILT", ("avx2", "base"))
    monkeypatch.setattr(cpu_level, "cpu_features", lambda: frozenset({"sse2"}))
    for name in ("base", "interpreted"):
        monkeypatch.setenv("NCNN_ASSAY_LEVEL", name)
        assert kernels._choose() == name
    for name in ("avx2", "vnni512", "fast"):
        monkeypatch.setenv("NCNN_ASSAY_LEVEL", name)
        with pytest.raises(UsageError, match="this installation runs base, interpreted"):
            kernels._choose()
