"""Every malformed file of the golden group `formats`, and big files cut short: a clear error, in little memory."""

from __future__ import annotations

import time
import tracemalloc
import warnings
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from fastpath.commands.verdicts.loading import load
from golden import vectors
from spec.errors import AssayError, FormatError
from spec.formats.npy import read_npy
from spec.formats.param import read_param
from spec.formats.param_bin import read_param_bin
from spec.formats.weights import read_model
from tests.golden_files import case_folder

DAMAGED = [
    case.id
    for case in vectors.cases("formats")
    if {"malformed", "fuzz"} & set(case.flags) or not case.facts.get("observed", {}).get("accepted", True)
]

LONGEST_SECONDS = 2.0

SMALL = 1_000_000
"""So many bytes are nobody's concern: what Python takes for a few hundred layers."""


def peak_of(read: Callable[[], object]) -> tuple[int, AssayError | None]:
    """The most bytes in use at once while reading, and the error. Any other exception is raised."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
        error = None
    except AssayError as caught:
        error = caught
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak, error


def test_there_are_many() -> None:
    assert len(DAMAGED) >= 170


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files(name: str) -> None:
    folder = case_folder(name)
    size = sum(path.stat().st_size for path in folder.glob("net.*"))
    start = time.monotonic()
    peak, error = peak_of(lambda: load(folder))
    assert time.monotonic() - start < LONGEST_SECONDS
    assert peak < 2 * size + SMALL
    if error is not None:
        assert isinstance(error, FormatError)
        assert Path(error.file).parent == folder
        assert error.place or "cannot be read" in error.message
        assert error.message


COUNT = 2_000_000


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of eight million bytes."""
    folder = tmp_path_factory.mktemp("big")
    (folder / "net.param").write_text(f"7767517\n2 2\nInput a 0 1 a\nInnerProduct f 1 1 a b 0=1 1=1 2={COUNT}\n")
    (folder / "net.bin").write_bytes(bytes(4) + array("f", [0.5]).tobytes() * (COUNT + 1))
    return folder


@pytest.mark.parametrize("missing", [0, 1, 4, 5, 4 * COUNT // 2, 4 * COUNT])
def test_big_models_cut_short_take_twice_their_size_at_most(big: Path, missing: int, tmp_path: Path) -> None:
    data = (big / "net.bin").read_bytes()
    cut = tmp_path / "net.bin"
    cut.write_bytes(data[: len(data) - missing])
    peak, error = peak_of(lambda: read_model(big / "net.param", cut))
    assert peak <= 2 * len(data) + SMALL
    assert (error is None) == (missing == 0)
    if isinstance(error, FormatError):
        assert (error.file, error.place.split()[0]) == (str(cut), "byte")


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (read_param, b"7767517\n2147483647 2147483647\n"),
        (read_param, b"7767517\n1 1\nInput a 0 1 a -23300=2147483647,1\n"),
        (read_param, b"7767517\n1 1\nInput a 2147483647 1 a\n"),
        (read_param_bin, (7767517).to_bytes(4, "little") + b"\xff\xff\xff\x7f" * 2),
        (read_npy, b"\x93NUMPY\x01\x00\xff\xff{"),
    ],
    ids=["layers", "array", "bottoms", "binary layers", "npy header"],
)
def test_claims_are_not_believed(read: Callable[[Path], object], content: bytes, tmp_path: Path) -> None:
    """A number of layers, elements or bytes that the file cannot hold is refused before anything is reserved for it."""
    path = tmp_path / "file"
    path.write_bytes(content)
    peak, error = peak_of(lambda: read(path))
    assert peak < SMALL
    assert isinstance(error, FormatError)
    assert error.file == str(path)
    assert error.place


def test_claims_about_weights_are_not_believed(tmp_path: Path) -> None:
    (tmp_path / "net.param").write_text("7767517\n2 2\nInput a 0 1 a\nInnerProduct f 1 1 a b 0=1 2=2147483647\n")
    (tmp_path / "net.bin").write_bytes(bytes(64))
    peak, error = peak_of(lambda: read_model(tmp_path / "net.param", tmp_path / "net.bin"))
    assert peak < SMALL
    assert isinstance(error, FormatError)
    assert (error.file, error.place) == (str(tmp_path / "net.bin"), "byte 4")
