"""ncnn2int8 on real networks writes what the real tool wrote, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastpath.commands import ncnn2int8
from tests.models import DIGITS, UPSTREAM_FILES, model_folder, optimized_files

SPEC_MODELS = ("digits-cnn", "digits-lstm", "digits-rnn", "digits-gru64")
"""Small enough for the readable engine."""


def quantize(folder: Path, table: Path, target: Path, *options: str) -> tuple[bytes, bytes]:
    param, bin = optimized_files(folder)
    arguments = [str(param), str(bin), str(target / "o.param"), str(target / "o.bin"), str(table), *options]
    assert ncnn2int8.main([*arguments, "--upstream"]) == 0
    return (target / "o.param").read_bytes(), (target / "o.bin").read_bytes()


@pytest.mark.parametrize("name", (*DIGITS, *UPSTREAM_FILES))
def test_fastpath_writes_the_real_files(name: str, tmp_path: Path) -> None:
    folder = model_folder(name)
    written = quantize(folder, folder / "kl.table", tmp_path)
    assert written == ((folder / "int8-kl.param").read_bytes(), (folder / "int8-kl.bin").read_bytes())


@pytest.mark.parametrize("name", SPEC_MODELS)
def test_spec_writes_the_real_files(name: str, tmp_path: Path) -> None:
    folder = model_folder(name)
    written = quantize(folder, folder / "kl.table", tmp_path, "engine=spec")
    assert written == ((folder / "int8-kl.param").read_bytes(), (folder / "int8-kl.bin").read_bytes())


def test_weight_only_table(tmp_path: Path) -> None:
    folder = model_folder("digits-lstm")
    written = quantize(folder, folder / "weightonly.table", tmp_path)
    assert written == ((folder / "int8-weightonly.param").read_bytes(), (folder / "int8-weightonly.bin").read_bytes())
