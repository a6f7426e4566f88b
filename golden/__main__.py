"""`python -m golden check | list | explain | unpack | import | by-hand | seal`: keep and explain the golden data."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click

from golden import audit, by_hand, deviations, importer, manifest, vectors
from golden.vectors import Case


@click.group()
def main() -> None:
    """Keep and explain the golden data."""


@main.command()
def check() -> None:
    """Compare every data file with the manifest, and the vectors with themselves; status 1 for any fault."""
    faults = manifest.check() + audit.faults()
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"{len(manifest.load()['files'])} files as listed, {len(vectors.cases())} cases")


@main.command("list")
@click.argument("group", required=False)
def list_(group: str | None) -> None:
    """Name the cases of GROUP, or of all groups, and what each shows."""
    try:
        found = vectors.cases(group)
    except KeyError:
        _fail(f"{group}: not one of the groups {', '.join(vectors.groups())}")
    for case in found:
        print(f"{case.id:<44} {case.comment}")


@main.command()
@click.argument("name")
def explain(name: str) -> None:
    """Say what the case NAME shows, where it came from and how spec and fastpath fare.

    NAME may also be a data file or its folder, relative to golden/: then its provenance is printed.
    """
    try:
        print("\n".join(explanation(vectors.case(name))))
    except KeyError:
        try:
            print(json.dumps(manifest.provenance(name), indent=1))
        except KeyError:
            _fail(f"{name}: neither a case nor a listed file")


@main.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
def unpack(name: str, folder: Path) -> None:
    """Lay the files of the case or group NAME out in FOLDER/group/case, as the real tools left them."""
    try:
        found = [vectors.case(name)] if "/" in name else vectors.cases(name)
    except KeyError:
        _fail(f"{name}: neither a case nor a group")
    for case in found:
        print(case.unpack(folder))


@main.command("import")
@click.argument("corpus", type=click.Path(path_type=Path))
def import_(corpus: Path) -> None:
    """Make the vectors anew from the CORPUS of recorded runs, and seal them."""
    try:
        count = importer.import_corpus(corpus)
    except importer.CorpusError as error:
        _fail(str(error))
    manifest.seal()
    print(f"{count} cases")


@main.command("by-hand")
def by_hand_() -> None:
    """Write the vectors that are worked out by hand anew, and seal them."""
    by_hand.write()
    manifest.seal()


@main.command()
def seal() -> None:
    """List all data files anew, after a deliberate change."""
    manifest.seal()


def explanation(case: Case) -> Iterator[str]:
    """What there is to know of a case, line by line."""
    yield f"{case.id}: {case.comment}"
    yield from (f"  {flag}: {case.notes[flag]}" for flag in case.flags)
    yield "provenance"
    yield from (f"  {key}: {value}" for key, value in case.provenance.items())
    if case.needs:
        yield f"needs {', '.join(case.needs)}"
    for title, names in (("inputs", case.inputs), ("expected", case.expected)):
        if names:
            yield title
            yield from (f"  {name}: {len(case.data(name))} bytes" for name in names)
    if case.commands:
        yield "commands"
        for command in case.commands:
            ending = f"exit {command['exit']}" if "exit" in command else "crashed"
            yield f"  {command['tool']} {' '.join(command['argv'])}: {ending}"
    for run in case.facts.get("inference") or []:
        blobs = ", ".join(f"{blob} {tuple(output['shape'])}" for blob, output in run["outputs"].items())
        yield f"inference {run['param']} {run['bin']}: {blobs}"
    for key in ("observed", "observed_source_build", "note", "hand_written", "hand_edited"):
        if key in case.facts:
            yield f"{key}: {json.dumps(case.facts[key])}"
    yield "how they fare"
    for engine in deviations.ENGINES:
        entry = deviations.of_case(case.id, engine)
        differing = (
            f"differs in {', '.join(sorted(entry.differs))} ({entry.name}): {entry.reason}" if entry else "agrees"
        )
        yield f"  {engine}: {differing}"
    yield f"to run it: ncnn-assay golden {case.id}"


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
