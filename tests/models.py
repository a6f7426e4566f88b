"""The networks that tests run on: those that the repository carries, and those of the shared corpus."""

from __future__ import annotations

from pathlib import Path

import pytest

from golden import manifest
from tests.shared import SHARED

CARRIED = manifest.ROOT / "models"

DIGITS = (
    "digits-cnn",
    "digits-cnn16-bn",
    "digits-lstm",
    "digits-bilstm",
    "digits-lstmproj",
    "digits-gru64",
    "digits-bigru",
    "digits-rnn",
)
"""Networks trained for this project."""

UPSTREAM_FILES = (
    "squeezenet_v1.1",
    "rfb320",
    "fastestdet",
    "ppocr-rec-lstm",
    "realesr-animevideov3-x2",
    "mtcnn-pnet",
    "mtcnn-rnet",
    "dtln1",
    "g2p-en-decoder",
)
"""Networks of others: only in the shared corpus."""


def model_folder(name: str) -> Path:
    """The folder of a network; skips the test where it is not here."""
    folder = CARRIED / name
    if folder.is_dir():
        return folder
    if SHARED is not None and (SHARED / "models" / name).is_dir():
        return SHARED / "models" / name
    pytest.skip(f"the network {name} is only in the shared corpus, which is not beside this checkout")


def optimized_files(folder: Path) -> tuple[Path, Path]:
    """The float model that was quantized: opt.*, where float.bin serves if opt.bin is the same, or float.*."""
    param = folder / "opt.param"
    if not param.exists():
        return folder / "float.param", folder / "float.bin"
    return param, folder / ("opt.bin" if (folder / "opt.bin").exists() else "float.bin")
