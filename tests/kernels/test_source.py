"""The kernels that a script writes, and what the C compiler made of all of them."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess

import pytest

from fastpath import cpu_level, kernels
from fastpath.kernels import BUILT, write_source
from spec.errors import UsageError
from tests.kernels.vector_code import LEVELS_OF, PLAIN_CODE, REGISTER, VECTOR_CODE


def test_written_kernels_are_current() -> None:
    assert write_source.outdated() == []


def kernel_functions() -> set[str]:
    """module.function for everything in the source of the kernels, but not the methods of records."""
    return {
        f"{path.stem}.{node.name}"
        for path in write_source.SOURCE.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }


def test_every_kernel_is_on_the_list() -> None:
    """A new kernel says which instruction its loop must have, or why there is none."""
    assert kernel_functions() == VECTOR_CODE.keys() | PLAIN_CODE.keys()
    assert not VECTOR_CODE.keys() & PLAIN_CODE.keys()


def machine_code(level: str) -> dict[str, str]:
    """The machine code of each kernel of a level, as text."""
    if level not in BUILT:
        pytest.skip(f"level {level} is not compiled in this installation")
    if shutil.which("objdump") is None:
        pytest.skip("no objdump to look at the compiled code with")
    libraries = [
        importlib.util.find_spec(f"fastpath.kernels.{level}.{group}__mypyc") for group in ("group", "fused", "narrow")
    ]
    command = ["objdump", "-d", "--no-show-raw-insn", *(str(library.origin) for library in libraries if library)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    functions = re.split(r"^[0-9a-f]+ <(\S+)>:$", listing, flags=re.MULTILINE)
    prefix = f"CPyDef_fastpath___kernels___{level}___"
    return {
        name.removeprefix(prefix).replace("___", ".", 1): body
        for name, body in zip(functions[1::2], functions[2::2], strict=True)
        if name.startswith(prefix)
    }


@pytest.mark.parametrize("level", list(REGISTER))
def test_loops_are_vector_code(level: str) -> None:
    bodies = machine_code(level)
    scalar = [
        name
        for name, operation in VECTOR_CODE.items()
        if level in LEVELS_OF.get(name, REGISTER)
        and not re.search(rf"\sv?{operation}\S* .*%{REGISTER[level]}", bodies[name])
    ]
    assert not scalar, f"at level {level} these have none of their instructions on {REGISTER[level]}"


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
