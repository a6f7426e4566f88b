"""ncnn-assay golden: every recorded case of the real tools on spec and on fastpath, by one command."""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import click

from fastpath.commands.command_line import invoke, report
from fastpath.commands.verdicts.judge import result
from golden import deviations, vectors
from golden.vectors import Case
from spec.errors import UsageError

OUTCOMES = ("passed", "explained", "failed")


@click.command("golden")
@click.argument("names", nargs=-1, metavar="[CASE | GROUP]...")
@click.option("--engine", type=click.Choice(deviations.ENGINES), help="Only this engine; both by default.")
@click.option("--explain", is_flag=True, help="Print the verdict of every case, not of the failed ones only.")
def command(names: tuple[str, ...], engine: str | None, explain: bool) -> int:
    """Run the golden cases, all or those named, and print how many agree with the real tools.

    A case passes, or its difference is one that golden/deviations.toml names and explains, or it fails. Status 1 if one
    fails, or if an entry of that file matches no case.
    """
    cases = chosen(names)
    engines = deviations.ENGINES if engine is None else (engine,)
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    agreements: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    explained: dict[str, list[str]] = defaultdict(list)
    failed = []
    for name in engines:
        for group in sorted({case.group for case in cases}):
            start = time.monotonic()
            for case in (each for each in cases if each.group == group):
                outcome, sentence, verdict = result(case, name)
                counts[name, group][outcome] += 1
                agreements[name, group] += verdict.how
                if outcome == "failed":
                    failed.append(f"{case.id} on {name}: {sentence}")
                elif outcome == "explained":
                    explained[sentence].append(f"{case.id} on {name}")
                if explain:
                    print(f"{case.id} on {name}: {outcome} {sentence}".rstrip())
            report(f"{name}, {group}: {time.monotonic() - start:.1f} s")
    failed += [f"{entry.name}: explains no case of golden/vectors" for entry in unmatched()]
    print_counts(engines, counts, agreements)
    for sentence, where in explained.items():
        print(f"\n{sentence}\n    {', '.join(sorted(where))}")
    for line in failed:
        print(f"FAILED {line}", file=sys.stderr)
    return 1 if failed else 0


def chosen(names: Sequence[str]) -> list[Case]:
    """The cases and groups of these names, or all; UsageError for a name that is neither."""
    if not names:
        return vectors.cases()
    found = []
    for name in names:
        try:
            found += [vectors.case(name)] if "/" in name else vectors.cases(name)
        except KeyError:
            groups = ", ".join(vectors.groups())
            raise UsageError(f"{name} is neither a case nor one of the groups {groups}") from None
    return found


def unmatched() -> list[deviations.Deviation]:
    """The known deviations that speak of no case."""
    ids = [case.id for case in vectors.cases()]
    return [entry for entry in deviations.deviations() if not any(entry.matches(case_id) for case_id in ids)]


def print_counts(
    engines: Sequence[str],
    counts: dict[tuple[str, str], Counter[str]],
    agreements: dict[tuple[str, str], Counter[str]],
) -> None:
    """One line for each group and engine: cases by outcome, and how the outputs in them agree."""
    print(f"{'group':<14}{'engine':<10}" + "".join(f"{outcome:>11}" for outcome in OUTCOMES) + "   outputs")
    for group in sorted({group for _, group in counts}):
        for engine in engines:
            numbers = "".join(f"{counts[engine, group][outcome]:>11}" for outcome in OUTCOMES)
            how = ", ".join(f"{count} {way}" for way, count in agreements[engine, group].most_common() if count)
            print(f"{group:<14}{engine:<10}{numbers}   {how}")
    for engine in engines:
        total = sum((counts[key] for key in counts if key[0] == engine), Counter[str]())
        print(f"{'all':<14}{engine:<10}" + "".join(f"{total[outcome]:>11}" for outcome in OUTCOMES))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return invoke(command, argv)
