"""Any program that reads files and writes files, run once a case.

    program FOLDER/net.param FOLDER/net.bin in0=FOLDER/in0.npy in1=FOLDER/in1.npy out0=FOLDER/out0.npy

Blobs whose files exist beforehand are inputs, the others are to be written. The program runs where the command was
given. Exit status 0: done; 77: skipped, with the reason on standard error; anything else is an error.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from conformance.adapter import AdapterBroken, AdapterFault, Identity, Rounding, SkippedCase
from conformance.adapters.arrays import from_array, to_array
from conformance.case import Case
from conformance.tensor import Tensor

SKIPPED = 77


class FileAdapter:
    """A program that is handed file names. It cannot speak for itself, so it is told what to claim."""

    def __init__(
        self,
        command: list[str],
        *,
        rounding: Rounding = "other",
        layers: tuple[str, ...] = ("RNN", "LSTM", "GRU"),
        timeout: float = 60.0,
    ) -> None:
        self.command = command
        self.timeout = timeout
        self._identity = Identity(
            Path(command[0]).name, "0", "unknown", rounding, layers, options=" ".join(command[1:])
        )

    @property
    def identity(self) -> Identity:
        """As the adapter was told."""
        return self._identity

    def run(self, case: Case) -> dict[str, Tensor]:
        """Write the files, run the program, read the files."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "net.param").write_text(case.param, encoding="utf-8")
            (folder / "net.bin").write_bytes(case.bin)
            for blob, values in case.inputs.items():
                np.save(folder / f"{blob}.npy", to_array(values))
            blobs = [f"{blob}={folder / blob}.npy" for blob in (*case.inputs, *case.outputs)]
            self._call([*self.command, str(folder / "net.param"), str(folder / "net.bin"), *blobs])
            return {blob: self._read(folder / f"{blob}.npy") for blob in case.outputs}

    def _call(self, command: list[str]) -> None:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=self.timeout, check=False)
        except OSError as error:
            raise AdapterBroken(f"{command[0]} cannot be started: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise AdapterFault(f"not done within {self.timeout:g} s") from error
        if done.returncode == SKIPPED:
            raise SkippedCase(done.stderr.strip() or "no reason given")
        if done.returncode != 0:
            raise AdapterFault(f"status {done.returncode}: {done.stderr.strip()[-500:]}")

    @staticmethod
    def _read(path: Path) -> Tensor:
        try:
            return from_array(np.load(path))
        except (OSError, ValueError, TypeError) as error:
            raise AdapterFault(f"{path.name} was not written, or is no blob: {error}") from error

    def close(self) -> None:
        """Nothing is held."""
