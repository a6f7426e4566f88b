"""The manifest of the golden data: every file with its hash, every folder with where it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
"""The folder of this package: paths in the manifest are relative to it."""

MANIFEST = ROOT / "manifest.json"

DATA_FOLDERS = ("models", "vectors")
"""Where data lies; everything below must be listed."""

PROVENANCE = ("observed", "derived", "by-hand")
"""observed: came out of the real tools or the real runtime. derived: computed by the spec, which it therefore cannot
prove. by-hand: worked out on paper, with the working shown."""


def load() -> dict[str, Any]:
    """The manifest."""
    manifest: dict[str, Any] = json.loads(MANIFEST.read_text())
    return manifest


def data_files() -> Iterator[Path]:
    """All data files that are here, sorted."""
    for folder in DATA_FOLDERS:
        yield from sorted(path for path in (ROOT / folder).rglob("*") if path.is_file())


def describe(path: Path) -> dict[str, Any]:
    """What the manifest says of one file: its hash and size, and of a family of vectors the number of cases."""
    data = path.read_bytes()
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    if path.suffix == ".json":
        entry["cases"] = json.loads(data)["count"]
    return entry


def check() -> list[str]:
    """Every fault: a file that changed, is missing or is not listed, a folder without provenance."""
    manifest = load()
    listed: dict[str, Any] = manifest["files"]
    found = {path.relative_to(ROOT).as_posix(): path for path in data_files()}
    faults = [f"{name}: listed, but not here" for name in listed if name not in found]
    faults += [f"{name}: here, but not listed" for name in found if name not in listed]
    faults += [
        f"{name}: changed since it was listed"
        for name, path in found.items()
        if name in listed and describe(path) != listed[name]
    ]
    folders = manifest["folders"]
    faults += [
        f"{name}: no folder of the manifest says where it came from" for name in found if _folder(name, folders) is None
    ]
    faults += [
        f"{folder}: provenance is {entry.get('provenance')!r}, not one of {', '.join(PROVENANCE)}"
        for folder, entry in folders.items()
        if entry.get("provenance") not in PROVENANCE
    ]
    return faults


def provenance(name: str) -> dict[str, Any]:
    """What the manifest says of the folder that holds the file `name`; KeyError if nothing."""
    folders: dict[str, Any] = load()["folders"]
    folder = _folder(name, folders)
    if folder is None:
        raise KeyError(name)
    entry: dict[str, Any] = folders[folder]
    return {"folder": folder, **entry}


def seal() -> None:
    """List all data files anew with their present hashes. The folders' entries stay as they are."""
    manifest = load()
    manifest["files"] = {path.relative_to(ROOT).as_posix(): describe(path) for path in data_files()}
    MANIFEST.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def _folder(name: str, folders: dict[str, Any]) -> str | None:
    """The longest listed folder that holds the file `name`."""
    holders = [folder for folder in folders if name.startswith(f"{folder}/")]
    return max(holders, key=len, default=None)
