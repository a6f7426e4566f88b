"""The golden data are what the manifest says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from golden import manifest


def test_every_file_is_as_listed() -> None:
    assert manifest.check() == []


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "golden"
    shutil.copytree(manifest.ROOT / "models" / "digits-rnn", folder / "models" / "digits-rnn")
    listed = manifest.load()
    listed["files"] = {name: entry for name, entry in listed["files"].items() if name.startswith("models/digits-rnn/")}
    listed["folders"] = {"models/digits-rnn": listed["folders"]["models/digits-rnn"]}
    (folder / "manifest.json").write_text(json.dumps(listed))
    monkeypatch.setattr(manifest, "ROOT", folder)
    monkeypatch.setattr(manifest, "MANIFEST", folder / "manifest.json")
    assert manifest.check() == []
    return folder


def test_a_changed_file_is_found(copy: Path) -> None:
    (copy / "models" / "digits-rnn" / "kl.table").write_text("changed")
    assert manifest.check() == ["models/digits-rnn/kl.table: changed since it was listed"]


def test_a_missing_file_is_found(copy: Path) -> None:
    (copy / "models" / "digits-rnn" / "kl.table").unlink()
    assert manifest.check() == ["models/digits-rnn/kl.table: listed, but not here"]


def test_an_unlisted_file_is_found(copy: Path) -> None:
    (copy / "models" / "stray.npy").write_bytes(b"")
    assert manifest.check() == [
        "models/stray.npy: here, but not listed",
        "models/stray.npy: no folder of the manifest says where it came from",
    ]
