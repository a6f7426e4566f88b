"""Any program that speaks the protocol: one JSON object a line, in and out."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from typing import IO, Any

from conformance.adapter import AdapterBroken, AdapterFault, Identity, NotApplicable, Refused, SkippedCase
from conformance.case import Case
from conformance.schema import validate, validate_fully
from conformance.tensor import Tensor

PROTOCOL = 1


class SubprocessAdapter:
    """A program with the messages start, run and stop. It is started again after a crash or a timeout.

    Answers are checked as they come; with `validating`, messages of both directions are held against the schemas by
    jsonschema, for those who write such a program.
    """

    def __init__(self, command: list[str], *, timeout: float = 60.0, validating: bool = False) -> None:
        self.command = command
        self.timeout = timeout
        self.validating = validating
        self.sequence = 0
        self._start()

    @property
    def identity(self) -> Identity:
        """What the program said at the start."""
        return self._identity

    def run(self, case: Case) -> dict[str, Tensor]:
        """Ask and wait."""
        if self.process.poll() is not None:
            self._start()
        self.sequence += 1
        request = request_of(case, self.sequence)
        answer = self._ask(request, "run.schema.json", "ran.schema.json")
        if answer.get("seq") != self.sequence:
            raise AdapterBroken(f"the program answers case {answer.get('seq')}, but was asked for {self.sequence}")
        if "skipped" in answer:
            raise SkippedCase(answer["skipped"])
        if "not_applicable" in answer:
            raise NotApplicable(answer["not_applicable"])
        if "refused" in answer:
            raise Refused(answer["refused"])
        if "errored" in answer:
            raise AdapterFault(answer["errored"])
        return {name: Tensor.from_json(blob) for name, blob in answer["outputs"].items()}

    def close(self) -> None:
        """Say stop, then wait; a program that does not go is ended."""
        if self.process.poll() is None:
            try:
                self._send({"cmd": "stop"}, "stop.schema.json")
                self.process.wait(timeout=5)
            except (OSError, subprocess.TimeoutExpired):
                self._end()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def _start(self) -> None:
        try:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise AdapterBroken(f"{self.command[0]} cannot be started: {error.strerror}") from error
        self.lines: queue.Queue[str] = queue.Queue()
        assert self.process.stdout is not None
        threading.Thread(target=_read, args=(self.process.stdout, self.lines), daemon=True).start()
        try:
            answer = self._ask({"cmd": "start", "protocol": PROTOCOL}, "start.schema.json", "started.schema.json")
        except AdapterFault as error:
            raise AdapterBroken(f"the program does not answer to start: {error}") from error
        if answer.get("protocol") != PROTOCOL:
            raise AdapterBroken(f"the program speaks protocol {answer.get('protocol')}, not {PROTOCOL}")
        self._identity = Identity.from_json(answer["identity"])

    def _ask(self, request: dict[str, Any], request_schema: str, answer_schema: str) -> dict[str, Any]:
        try:
            self._send(request, request_schema)
        except OSError as error:
            raise AdapterFault(self._ended()) from error
        try:
            line = self.lines.get(timeout=self.timeout)
        except queue.Empty:
            self._end()
            raise AdapterFault(f"no answer within {self.timeout:g} s") from None
        if not line:
            raise AdapterFault(self._ended())
        try:
            answer: dict[str, Any] = json.loads(line)
            (validate_fully if self.validating else validate)(answer, answer_schema)
        except ValueError as error:
            raise AdapterBroken(f"the program's answer is not of the protocol: {error}") from error
        return answer

    def _send(self, message: dict[str, Any], schema: str) -> None:
        if self.validating:
            validate_fully(message, schema)
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def _ended(self) -> str:
        return f"the program ended with status {self.process.wait(timeout=5)}"

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()


def request_of(case: Case, sequence: int) -> dict[str, Any]:
    """The message that asks for a case."""
    request: dict[str, Any] = {"cmd": "run", "seq": sequence, "id": case.id, "operation": case.operation}
    if case.operation == "infer":
        request |= {
            "param": case.param,
            "bin": case.bin.hex(),
            "inputs": {name: blob.to_json() for name, blob in case.inputs.items()},
        }
        request |= {"options": case.options} if case.options else {}
    else:
        request |= {"files": {name: data.hex() for name, data in case.files.items()}, "options": case.options}
    return {**request, "outputs": case.outputs}


def _read(stream: IO[str], lines: queue.Queue[str]) -> None:
    """Every line, and an empty one at the end."""
    try:
        for line in stream:
            lines.put(line)
    except ValueError:
        pass
    lines.put("")
