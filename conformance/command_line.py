"""Suites that any implementation of ncnn's int8 can run.

Exit status: 0 conforms, 1 deviates, 2 the harness or the adapter is broken.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO

import click

from conformance.adapter import Adapter, AdapterBroken, Rounding
from conformance.adapters import IN_PROCESS, open_adapter
from conformance.again import Step
from conformance.case import Case
from conformance.case_file import read_case
from conformance.copying import copy_cases
from conformance.deviations import Deviation, read_deviations, unmatched
from conformance.diagnosis import Tracer
from conformance.levels import text
from conformance.page import as_html
from conformance.parallel import run_in_processes
from conformance.report import Report, ReportFault, as_junit, as_markdown, as_text, label, read_report, write_report
from conformance.runner import BAD, Result, exit_status, run, select
from conformance.suites import SUITES, all_cases, smoke_cases
from conformance.tensor import Tensor

BROKEN = 2
ROUNDINGS: tuple[Rounding, Rounding] = ("reference", "other")
DEVIATIONS = Path(__file__).parent / "adapters"
FORMATS = {"text": as_text, "markdown": as_markdown, "junit": as_junit, "html": as_html}
FILES = ("html", "junit", "markdown")
"""Formats that `run` can write to a file beside the table."""

PROGRAM = "The program of the adapters subprocess and file stands at the end, behind two dashes: -- ./program ARGUMENTS"

SHOWN_VALUES = 16
FAILED_CASES = Path("conformance-failures")
"""Where generated cases that fail are left."""


def parser(program: str) -> argparse.ArgumentParser:
    """The arguments."""
    result = argparse.ArgumentParser(prog=program, description=__doc__)
    commands = result.add_subparsers(dest="command", required=True)
    for name, help_text in (
        ("list", "print the ids of the cases"),
        ("copy", "write cases as plain files: .param, .bin, .npy, expected"),
        ("smoke", "run the few cases that tell whether an adapter works at all"),
        ("run", "run cases against an implementation"),
        ("deviations", "print a list of deviations to start from: today's failures"),
    ):
        command = commands.add_parser(name, help=help_text, epilog="" if name in ("list", "copy") else PROGRAM)
        command.add_argument("--suite", choices=list(SUITES), default="", help="one suite; without it all")
        command.add_argument("--only", action="append", default=[], metavar="GLOB", help="cases whose id matches")
        if name == "copy":
            command.add_argument("folder", type=Path, help="a folder for each case is made in it")
        if name in ("list", "copy"):
            continue
        _add_adapter(command)
        if name == "deviations":
            command.add_argument("--init", type=Path, metavar="FILE", help="write the list to a file that is not there")
            continue
        command.add_argument("--deviations", type=Path, help="TOML file of known deviations; else the one beside")
        command.add_argument("--report", type=Path, help="write the JSONL stream here")
        command.add_argument("--format", choices=list(FORMATS), default="text", help="of what is printed")
        for name_of_format in FILES:
            command.add_argument(f"--{name_of_format}", type=Path, metavar="FILE", help=f"write {name_of_format} too")
        command.add_argument("--diagnose", action="store_true", help="explain failures with the spec's trace")
        command.add_argument("--jobs", type=int, default=1, metavar="N", help="processes; each opens the adapter")
        if name == "run":
            command.add_argument("--generated", type=int, default=0, metavar="N", help="N examples for each property")
            command.add_argument("--seed", type=int, default=0, help="of the generated examples")
            command.add_argument("--case", type=Path, action="append", default=[], help="a saved case, alone")
            command.add_argument("--failures", type=Path, default=FAILED_CASES, help="where generated cases are saved")
    explain = commands.add_parser("explain", help="print a case: why it is there, the network, the numbers")
    explain.add_argument("id", help="of a case, or the path of a saved one")
    explain.add_argument("--trace", action="store_true", help="print every step of a recurrent layer")
    summary = commands.add_parser("summary", help="one table of several reports")
    summary.add_argument("reports", nargs="+", type=Path)
    summary.add_argument("--format", choices=list(FORMATS), default="text")
    return result


def _add_adapter(command: argparse.ArgumentParser) -> None:
    names = ", ".join((*IN_PROCESS, "subprocess", "file"))
    command.add_argument(
        "--adapter",
        "--implementation",
        action="append",
        required=True,
        help=f"{names}, or package.module:factory; several make one table",
    )
    command.add_argument("--rounding", choices=ROUNDINGS, default=ROUNDINGS[1], help="what a file program claims")
    command.add_argument("--layers", default="RNN,LSTM,GRU", help="layer types that a file program claims")
    command.add_argument("--timeout", type=float, default=60.0, help="seconds that a program has for a case")
    command.add_argument("--validate", action="store_true", help="hold every message against its schema")


@click.command(
    "conformance",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND [ARGUMENTS]...")
def command(words: tuple[str, ...]) -> int:
    """Run suites against an implementation.

    COMMAND is one of list, copy, smoke, run, deviations, explain and summary; each explains itself with --help.
    """
    return main(words or ("--help",), program="ncnn-assay conformance")


def main(arguments: Sequence[str] | None = None, program: str = "python -m conformance") -> int:
    """The exit status of one command; what stands after `--` is the command of a program under test."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    tested: list[str] = []
    if "--" in words:
        at = words.index("--")
        words, tested = words[:at], words[at + 1 :]
    options = parser(program).parse_args(words)
    try:
        return _COMMANDS.get(options.command, _run)(options, tested)
    except ImportError as error:
        print(f"broken: {error}; what only some commands need comes with ncnn-assay[conformance]", file=sys.stderr)
        return BROKEN
    except (AdapterBroken, ReportFault, OSError) as error:
        print(f"broken: {error}", file=sys.stderr)
        return BROKEN


def _list(options: argparse.Namespace, _: list[str]) -> int:
    for case in select(all_cases(options.suite), options.only):
        print(case.id)
    return 0


def _copy(options: argparse.Namespace, _: list[str]) -> int:
    count = copy_cases(select(all_cases(options.suite), options.only), options.folder)
    print(f"{count} cases in {options.folder}")
    return 0


def _explain(options: argparse.Namespace, _: list[str]) -> int:
    return explain(options.id, trace=options.trace)


def _summary(options: argparse.Namespace, _: list[str]) -> int:
    print(FORMATS[options.format]([_read(path) for path in options.reports]))
    return 0


def _init(options: argparse.Namespace, tested: list[str]) -> int:
    adapter = _open(options, options.adapter[0], tested)
    with contextlib.closing(adapter):
        results = list(run(adapter, select(all_cases(options.suite), options.only)))
    content = starter(results)
    if options.init is None:
        print(content)
        return 0
    with options.init.open("x", encoding="utf-8") as file:
        file.write(content + "\n")
    print(f"{content.count('[[deviation]]')} entries in {options.init}: give each a reason", file=sys.stderr)
    return 0


def _run(options: argparse.Namespace, tested: list[str]) -> int:
    reports: list[Report] = []
    status = 0
    for name in options.adapter:
        adapter = _open(options, name, tested)
        with contextlib.closing(adapter):
            report, one = _run_one(options, name, adapter, tested)
        reports.append(report)
        status = max(status, one)
    print(FORMATS[options.format](reports))
    for name in FILES:
        path = getattr(options, name)
        if path is not None:
            path.write_text(FORMATS[name](reports) + "\n", encoding="utf-8")
    if options.command == "smoke" and status:
        print("the smoke run fails: look at the adapter first", file=sys.stderr)
    return status


def _run_one(options: argparse.Namespace, name: str, adapter: Adapter, tested: list[str]) -> tuple[Report, int]:
    """The report of one implementation, and its exit status."""
    smoke = options.command == "smoke"
    deviations = find_deviations(options.deviations, name)
    saved = [] if smoke else [read_case(path) for path in options.case]
    offered = smoke_cases(options.suite) if smoke else all_cases(options.suite)
    chosen = saved or list(select(offered, options.only))
    tracer = spec_tracer() if options.diagnose else None
    if options.jobs > 1:
        results = run_in_processes(options.jobs, partial(_open, options, name, tested), chosen, deviations, tracer)
    else:
        results = run(adapter, chosen, deviations, tracer)
    results = shown(results, len(chosen), label(adapter.identity))
    if not smoke and options.generated:
        from conformance.generated import run_generated

        generated = run_generated(adapter, options.generated, options.seed, options.failures, options.only)
        results = (result for part in (results, generated) for result in part)
    path = options.report
    if path is not None and len(options.adapter) > 1:
        path = path.with_stem(f"{path.stem}-{name}")
    suite = options.suite or "all"
    with _report_stream(path) as stream:
        finished = list(write_report(stream, adapter.identity, suite, results))
    if not finished:
        raise AdapterBroken(f"no case matches {' or '.join(map(repr, options.only)) or 'the suite'}")
    if all(result.outcome == "not-applicable" for result in finished):
        print(f"nothing that was asked applies to {label(adapter.identity)}", file=sys.stderr)
    false_entries = unmatched(deviations, (case.id for case in all_cases())) if deviations else []
    for entry in false_entries:
        print(f"the deviation {entry.id!r} matches no case", file=sys.stderr)
    return Report(adapter.identity, suite, tuple(finished)), exit_status(finished, false_entries)


_COMMANDS = {"list": _list, "copy": _copy, "explain": _explain, "summary": _summary, "deviations": _init}


def _open(options: argparse.Namespace, name: str, tested: list[str]) -> Adapter:
    return open_adapter(
        name,
        tested,
        rounding=options.rounding,
        layers=tuple(options.layers.split(",")),
        timeout=options.timeout,
        validating=options.validate,
    )


def shown(results: Iterable[Result], total: int, what: str) -> Iterator[Result]:
    """Pass results on; on a terminal, show how far the run has come."""
    if not sys.stderr.isatty():
        yield from results
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(results, what, total, console=Console(stderr=True), transient=True)


def _report_stream(path: Path | None) -> contextlib.AbstractContextManager[IO[str]]:
    if path is None:
        return contextlib.nullcontext(io.StringIO())
    return path.open("w", encoding="utf-8")


def find_deviations(path: Path | None, adapter: str) -> list[Deviation]:
    """The entries of a file, or of the one beside the adapter; none where neither is there."""
    beside = path or _beside(adapter)
    return read_deviations(beside) if path or beside.exists() else []


def _beside(adapter: str) -> Path:
    """A TOML file with the name of the adapter, or of the module that makes it."""
    module, colon, _ = adapter.partition(":")
    found = importlib.util.find_spec(module) if colon else None
    if found is not None and found.origin:
        return Path(found.origin).with_suffix(".toml")
    return DEVIATIONS / f"{adapter.partition('-')[0]}.toml"


def spec_tracer() -> Tracer:
    """The spec's trace of recurrent layers."""
    from conformance.adapters.spec_adapter import SpecAdapter

    return SpecAdapter().trace


def _read(path: Path) -> Report:
    with path.open(encoding="utf-8") as stream:
        return read_report(stream)


def starter(results: Sequence[Result]) -> str:
    """A TOML file with an entry for each case that fails, to be made shorter with globs and given reasons."""
    entries = [
        f'[[deviation]]\nid = {json.dumps(result.id)}\nreason = ""\nobserved = {json.dumps(result.message)}\n'
        for result in results
        if result.outcome in BAD
    ]
    return "\n".join(entries) or "# nothing deviates"


def explain(case_id: str, *, trace: bool) -> int:
    """Print one case, and with `trace` what the spec computes on the way."""
    path = Path(case_id)
    case = next((case for case in all_cases() if case.id == case_id), None)
    if case is None and path.suffix == ".json":
        case = read_case(path)
    if case is None:
        raise AdapterBroken(f"there is no case {case_id!r}")
    print("\n".join(describe(case)))
    if trace and case.details:
        print("\n".join(line for step in spec_tracer()(case) for line in describe_step(step)))
    return 0


def describe(case: Case) -> list[str]:
    """A case in words and numbers."""
    lines = [
        case.id,
        f"  {case.note}",
        f"  level {case.level}" + (f", or near:{case.tolerance} with other exp and tanh" if case.tolerance else ""),
        f"  {case.source.kind}: {case.source.detail}",
        f"  flags: {', '.join(case.flags) or 'none'}",
    ]
    if case.operation == "infer":
        lines += ["  network:", *(f"    {line}" for line in case.param.splitlines())]
        lines.append(f"  weights: {len(case.bin)} bytes")
    else:
        lines.append(f"  {case.operation}; to refuse the files is {case.refusal}")
        lines += [f"  {name}: {len(data)} bytes" for name, data in case.files.items()]
        lines += [f"  {name} = {value}" for name, value in case.options.items()]
    lines += [f"  {name} = {_numbers(blob)}" for name, blob in case.inputs.items()]
    for name, results in case.expected.items():
        level = f" [{case.levels[name]}]" if name in case.levels else ""
        for behaviour, blob in results.items():
            lines.append(f"  {name} by {behaviour} = {_numbers(blob)}{level}")
    return lines


def describe_step(step: Step) -> list[str]:
    """One time step in numbers."""
    return [
        f"  direction {step.direction}, time {step.time}:",
        f"    input codes {step.input_codes}, scale {text(step.input_scale)}",
        f"    hidden codes {step.hidden_codes}, scale {text(step.hidden_scale)}",
        *(f"    {name} = {[f'{value:.9g}' for value in values]}" for name, values in step.gates.items()),
        f"    hidden = {[f'{value:.9g}' for value in step.hidden]}",
        *([f"    cell = {[f'{value:.9g}' for value in step.cell]}"] if step.cell else []),
    ]


def _numbers(blob: Tensor) -> str:
    values = blob.values()
    shown = ", ".join(text(value) for value in values[:SHOWN_VALUES])
    rest = f", … ({len(values)} values)" if len(values) > SHOWN_VALUES else ""
    return f"{blob.dtype} {blob.shape}: {shown}{rest}"
