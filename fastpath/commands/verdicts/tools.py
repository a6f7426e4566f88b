"""Runs of the real tools: the same files, the same messages, the same exit status."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastpath.commands import ncnn2int8, ncnnoptimize
from fastpath.commands.verdicts.verdict import Verdict
from golden.vectors import Case
from spec.errors import AssayError, UsageError
from spec.formats.files import read_bytes
from spec.formats.memory_header import custom_layer_hints, format_id_header, format_memory_header
from spec.formats.merge import merge_graphs, namespace_of
from spec.formats.param import format_param, parse_param, read_param
from spec.formats.param_bin import format_param_bin

FOOTPRINT = re.compile(r"footprint = \S+ KB = \S+ MB")
"""What depends on the machine in the log of ncnnoptimize."""

OUR_WORD = re.compile(r"^error: ", flags=re.MULTILINE)
"""This project's word before errors."""

MAINS: dict[str, Callable[[Sequence[str]], int]] = {"ncnn2int8": ncnn2int8.main, "ncnnoptimize": ncnnoptimize.main}

Command = dict[str, Any]


def judge_command(case: Case, command: Command, folder: Path, engine: str, verdict: Verdict) -> None:
    """Run a command of the case in `folder` as the record did, and note what differs."""
    argv = [str(word) for word in command["argv"]]
    named = {*command.get("outputs", []), *command.get("outputs_not_made", []), *_written_words(command)}
    for name in named:
        (folder / name).unlink(missing_ok=True)
    status, messages = run_tool(str(command["tool"]), argv, folder, engine)
    verdict.said += messages
    expected = expected_files(case, command)
    if case.provenance["class"] == "by-hand":
        named = set(expected)  # only these were worked out
    written = {name: (folder / name).read_bytes() for name in named if (folder / name).is_file()}
    if "exit" not in command:
        _judge_crash(status, messages, written, verdict)
        return
    if (status != 0) != (command["exit"] != 0):
        verdict.differ("exit", f"status {status}, but the real tool's is {command['exit']}: {messages.strip()}")
    _compare_files(written, expected, verdict)
    if command["tool"] == "ncnnmerge" and set(written) == set(expected):
        _compare_networks(written, expected, verdict)
    log = recorded_log(case, command)
    if log is not None:
        verdict.compare_texts("log", _masked(messages), _masked(log))


def run_tool(tool: str, argv: Sequence[str], folder: Path, engine: str) -> tuple[int, str]:
    """Run a tool in `folder`; return its exit status and what it printed on stderr."""
    stderr = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stderr(stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if tool in MAINS:
            status = MAINS[tool](["--upstream", "--engine", engine, "--", *argv])
        else:
            try:
                stderr.write(ncnn2mem(argv) if tool == "ncnn2mem" else ncnnmerge(argv))
                status = 0
            except AssayError as error:
                stderr.write(f"error: {error}\n")
                status = 1
    return status, stderr.getvalue()


def ncnn2mem(argv: Sequence[str]) -> str:
    """Write the binary param file and both headers; return the messages."""
    if len(argv) != 4:
        raise UsageError("expected PARAM BIN ID_HEADER MEMORY_HEADER")
    param, model, id_header, memory_header = argv
    graph = read_param(param, allow_custom=True)
    weights = read_bytes(model)
    binary = format_param_bin(graph)
    Path(f"{param}.bin").write_bytes(binary)
    Path(id_header).write_text(format_id_header(graph, param, id_header))
    Path(memory_header).write_text(format_memory_header({f"{param}.bin": binary, model: weights}, memory_header))
    return "".join(f"{line}\n" for line in custom_layer_hints(graph, param))


def ncnnmerge(argv: Sequence[str]) -> str:
    """Write several networks as one; return the messages."""
    if len(argv) < 6 or len(argv) % 2:
        raise UsageError("expected PARAM BIN PARAM BIN ... MERGED_PARAM MERGED_BIN")
    *sources, merged_param, merged_bin = argv
    merged = merge_graphs([(namespace_of(path), read_param(path, allow_custom=True)) for path in sources[::2]])
    weights = b"".join(read_bytes(path) for path in sources[1::2])
    Path(merged_param).write_text(format_param(merged))
    Path(merged_bin).write_bytes(weights)
    return ""


def expected_files(case: Case, command: Command) -> dict[str, bytes]:
    """The files that the real tool wrote, by name."""
    found = {name: case.data(name) for name in command.get("outputs", [])}
    words = _written_words(command)
    if "param_same_as" in command:
        found[words[0]] = case.data(str(command["param_same_as"]))
    for twin in command.get("outputs_same_as", []):
        found[words[1 if twin.endswith(".bin") else 0]] = case.data(twin)
    return found


def recorded_log(case: Case, command: Command) -> str | None:
    """What the real tool printed on stderr; None if the record does not say."""
    if "stderr" in command:
        return case.text(str(command["stderr"]))
    if "stderr_same_as_flag" in command:
        flag = str(command["stderr_same_as_flag"])
        return next(str(other["stderr_text"]) for other in case.commands if flag in other["argv"][4:5])
    text = command.get("stderr_text")
    return None if text is None else str(text)


def _written_words(command: Command) -> list[str]:
    """The arguments that name outputs, for the tools that take them in third and fourth place."""
    return [str(word) for word in command["argv"][2:4]] if command["tool"] in MAINS else []


def _judge_crash(status: int, messages: str, written: dict[str, bytes], verdict: Verdict) -> None:
    if status == 0 or not messages or written:
        verdict.differ("clean", f"expected an error and no files, but got status {status} and {sorted(written)}")
    verdict.differ("crash", f"the real tool crashes; status {status}: {messages.strip()}")


def _compare_files(written: dict[str, bytes], expected: dict[str, bytes], verdict: Verdict) -> None:
    if set(written) != set(expected):
        verdict.differ("files", f"wrote {sorted(written) or 'nothing'}, but the real tool {sorted(expected)}")
    for name in sorted(set(written) & set(expected)):
        kind = name.rsplit(".", 1)[-1]
        ours, theirs = written[name], expected[name]
        if kind in ("param", "h"):
            verdict.compare_texts(kind, *(data.decode("utf-8", "surrogateescape") for data in (ours, theirs)))
        elif ours == theirs:
            verdict.how["equal"] += 1
        else:
            verdict.differ(kind, f"{name}: {_first_byte(ours, theirs)}")


def _compare_networks(written: dict[str, bytes], expected: dict[str, bytes], verdict: Verdict) -> None:
    """Whether the merged param file means the same, however it is laid out."""
    for name in written:
        if name.endswith(".param") and written[name].decode() != format_param(parse_param(expected[name])):
            verdict.differ("network", f"{name}: not the same layers")


def _first_byte(ours: bytes, theirs: bytes) -> str:
    place = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    return f"byte {place} of {len(ours)}, where the record has {len(theirs)} bytes"


def _masked(log: str) -> str:
    return OUR_WORD.sub("", FOOTPRINT.sub("footprint = * KB = * MB", log))
