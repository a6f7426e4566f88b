"""The commands check and regen that all generators of vectors have."""

from __future__ import annotations

import argparse
from pathlib import Path


def check_or_write(file: Path, text: str, description: str | None) -> int:
    """Exit status 1 where `check` finds a difference."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("command", choices=["check", "regen"])
    if parser.parse_args().command == "regen":
        file.write_text(text, encoding="utf-8")
        return 0
    same = file.exists() and file.read_text(encoding="utf-8") == text
    print("nothing differs" if same else f"{file.name} would change")
    return 0 if same else 1
