"""How the kernels are built: which levels a compiler can make, what it says when it cannot, and the mended C code."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

NOTHING = "ncnn-assay: no suitable C compiler (gcc 9 or newer), nothing is compiled: numpy computes, more slowly"

C_CODE = """
    VecU8 arg_data;
    arg_data = VecU8Api.unbox(obj_data);
    if (VEC_IS_ERROR(arg_data)) {
        CPy_TypeError("vec[u8]", obj_data); goto fail;
    }
    int64_t arg_start;
"""


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of setup.py, which then sets nothing up."""
    monkeypatch.setattr("setuptools.setup", lambda **_: None)
    monkeypatch.setenv("NCNN_ASSAY_COMPILE", "0")
    monkeypatch.chdir(ROOT)
    names = runpy.run_path(str(ROOT / "setup.py"))
    monkeypatch.delenv("NCNN_ASSAY_COMPILE")
    monkeypatch.delenv("NCNN_ASSAY_CPU", raising=False)
    return names


def compiler(folder: Path, script: str) -> str:
    """A compiler that does something before gcc, or instead of it."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    path = folder / "cc"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def levels(build: dict[str, Any], command: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("CC", command)
    return [level.name for level in build["levels_to_build"]()]


def test_no_compiler(
    build: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert levels(build, "no-such-compiler", monkeypatch) == []
    assert capsys.readouterr().err == f"{NOTHING}\n"


def test_a_gcc_without_some_flags(
    build: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    capsys.readouterr()
    old = 'case "$*" in *vnni*) echo "unrecognized option" >&2; exit 1;; esac; exec gcc "$@"'
    assert levels(build, compiler(tmp_path, old), monkeypatch) == ["base", "avx2"]
    assert capsys.readouterr().err == "ncnn-assay: compiling kernels for base, avx2\n"


def test_a_compiler_that_is_not_gcc(
    build: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """clang takes the flags, and makes code of the kernels that is slower than numpy."""
    capsys.readouterr()
    assert levels(build, compiler(tmp_path, 'exec gcc -D__clang__=1 "$@"'), monkeypatch) == []
    assert capsys.readouterr().err == f"{NOTHING}\n"


@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
def test_clang(build: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert levels(build, "clang", monkeypatch) == []


def test_classes_of_cpu(build: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {
        cpu: [level.name for level in build["LEVELS"] if build["wanted"](level, cpu)] for cpu in ("", "x86-64-v3")
    }
    assert wanted == {"": ["base", "avx2", "avxvnni", "vnni256", "vnni512"], "x86-64-v3": ["base", "avx2", "avxvnni"]}
    monkeypatch.setenv("NCNN_ASSAY_CPU", "pentium")
    with pytest.raises(SystemExit, match="NCNN_ASSAY_CPU=pentium: expected native"):
        build["levels_to_build"]()


def test_references_of_arguments_are_given_back_once(build: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "group.c"
    file.write_text(C_CODE)
    for _ in range(2):
        build["give_references_back"](file)
        assert file.read_text() == C_CODE.replace("    }\n", "    }\nVEC_U8_DECREF(arg_data);\n")
