"""Command line: `python -m conformance list|run|smoke|deviations|explain|summary`.

Exit status: 0 conforms, 1 deviates, 2 the harness or the adapter is broken.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from conformance.adapter import AdapterBroken, Functions
from conformance.adapters import IN_PROCESS, open_adapter
from conformance.case import Case
from conformance.deviations import Deviation, read_deviations, unmatched
from conformance.diagnosis import Step, Tracer
from conformance.levels import text
from conformance.report import Report, ReportFault, as_junit, as_markdown, as_text, read_report, write_report
from conformance.runner import BAD, Result, exit_status, run, select
from conformance.suites import SUITES, all_cases
from conformance.tensor import Tensor

BROKEN = 2
FUNCTIONS: tuple[Functions, Functions] = ("correctly-rounded", "other")
DEVIATIONS = Path(__file__).parent / "adapters"
FORMATS = {"text": as_text, "markdown": as_markdown, "junit": as_junit}
SHOWN_VALUES = 16


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    result = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    commands = result.add_subparsers(dest="command", required=True)
    for name, help_text in (
        ("list", "print the ids of the cases"),
        ("run", "run cases against an implementation"),
        ("smoke", "run the few cases that tell whether an adapter works at all"),
        ("deviations", "print a list of deviations to start from: today's failures"),
    ):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("--suite", choices=sorted(SUITES), default="", help="one suite; without it all")
        command.add_argument("--only", action="append", default=[], metavar="GLOB", help="cases whose id matches")
        if name == "list":
            continue
        names = ", ".join((*IN_PROCESS, "subprocess", "file"))
        command.add_argument("--adapter", required=True, help=f"{names}, or package.module:factory")
        command.add_argument("--functions", choices=FUNCTIONS, default=FUNCTIONS[1], help="what a file program claims")
        command.add_argument("--layers", default="RNN,LSTM,GRU", help="layer types that a file program claims")
        command.add_argument("--deviations", type=Path, help="TOML file of known deviations")
        command.add_argument("--report", type=Path, help="write the JSONL stream here")
        command.add_argument("--format", choices=sorted(FORMATS), default="text")
        command.add_argument("--diagnose", action="store_true", help="explain failures with the spec's trace")
    explain = commands.add_parser("explain", help="print a case: why it is there, the network, the numbers")
    explain.add_argument("id")
    explain.add_argument("--trace", action="store_true", help="print every step of a recurrent layer")
    summary = commands.add_parser("summary", help="one table of several reports")
    summary.add_argument("reports", nargs="+", type=Path)
    summary.add_argument("--format", choices=sorted(FORMATS), default="text")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of one command; what stands after `--` is the command of a program under test."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    program: list[str] = []
    if "--" in words:
        at = words.index("--")
        words, program = words[:at], words[at + 1 :]
    options = parser().parse_args(words)
    try:
        if options.command == "list":
            for case in select(all_cases(options.suite), options.only):
                print(case.id)
            return 0
        if options.command == "explain":
            return explain(options.id, trace=options.trace)
        if options.command == "summary":
            print(FORMATS[options.format]([_read(path) for path in options.reports]))
            return 0
        return _run(options, program)
    except (AdapterBroken, ReportFault, OSError) as error:
        print(f"broken: {error}", file=sys.stderr)
        return BROKEN


def _run(options: argparse.Namespace, program: list[str]) -> int:
    smoke = options.command == "smoke"
    layers = tuple(options.layers.split(","))
    adapter = open_adapter(options.adapter, program, functions=options.functions, layers=layers)
    deviations = [] if options.command == "deviations" else _deviations(options)
    with contextlib.closing(adapter):
        chosen = select(all_cases(options.suite), options.only, smoke=smoke)
        tracer = _tracer() if options.diagnose else None
        with _report_stream(options.report) as stream:
            suite = options.suite or "all"
            results = list(write_report(stream, adapter.identity, suite, run(adapter, chosen, deviations, tracer)))
    if options.command == "deviations":
        print(starter(results))
        return 0
    false_entries = unmatched(deviations, (case.id for case in all_cases()))
    print(FORMATS[options.format]([Report(adapter.identity, suite, tuple(results))]))
    for entry in false_entries:
        print(f"the deviation {entry.id!r} matches no case", file=sys.stderr)
    status = exit_status(results, false_entries)
    if smoke and status:
        print("the smoke run fails: look at the adapter first", file=sys.stderr)
    return status


def _report_stream(path: Path | None) -> contextlib.AbstractContextManager[IO[str]]:
    if path is None:
        return contextlib.nullcontext(io.StringIO())
    return path.open("w", encoding="utf-8")


def _deviations(options: argparse.Namespace) -> list[Deviation]:
    path = options.deviations or DEVIATIONS / f"{options.adapter.partition('-')[0]}.toml"
    return read_deviations(path) if options.deviations or path.exists() else []


def _tracer() -> Tracer:
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
    case = next((case for case in all_cases() if case.id == case_id), None)
    if case is None:
        raise AdapterBroken(f"there is no case {case_id!r}")
    print("\n".join(describe(case)))
    if trace:
        print("\n".join(line for step in _tracer()(case) for line in describe_step(step)))
    return 0


def describe(case: Case) -> list[str]:
    """A case in words and numbers."""
    lines = [
        case.id,
        f"  {case.note}",
        f"  level {case.level}" + (f", or near:{case.tolerance} with other exp and tanh" if case.tolerance else ""),
        f"  {case.source.kind}: {case.source.detail}",
        f"  flags: {', '.join(case.flags) or 'none'}",
        "  network:",
        *(f"    {line}" for line in case.param.splitlines()),
        f"  weights: {len(case.bin)} bytes",
    ]
    lines += [f"  {name} = {_numbers(blob)}" for name, blob in case.inputs.items()]
    for name, results in case.expected.items():
        for behaviour, blob in results.items():
            lines.append(f"  {name} by {behaviour} = {_numbers(blob)}")
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


if __name__ == "__main__":
    sys.exit(main())
