"""`python -m golden check | explain PATH | seal`: keep and explain the golden data."""

from __future__ import annotations

import json
import sys

import click

from golden import manifest


@click.group()
def main() -> None:
    """Keep and explain the golden data."""


@main.command()
def check() -> None:
    """Compare every data file with the manifest; status 1 if a file changed, is missing or is not listed."""
    faults = manifest.check()
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"{len(manifest.load()['files'])} files as listed")


@main.command()
@click.argument("path")
def explain(path: str) -> None:
    """Say where the data file PATH (relative to golden/) came from."""
    try:
        entry = manifest.provenance(path)
    except KeyError:
        print(f"{path}: not in the manifest", file=sys.stderr)
        sys.exit(1)
    print(json.dumps(entry, indent=1))


@main.command()
def seal() -> None:
    """List all data files anew, after a deliberate change."""
    manifest.seal()


if __name__ == "__main__":
    main()
