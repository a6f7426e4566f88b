"""The command ncnn-assay: everything this project does, one subcommand each."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

from fastpath import kernels
from fastpath.commands.command_line import invoke

COMMANDS = {
    "demo": "fastpath.commands.demo",
    "run": "fastpath.commands.run",
    "optimize": "fastpath.commands.ncnnoptimize",
    "calibrate": "fastpath.commands.ncnn2table",
    "quantize": "fastpath.commands.ncnn2int8",
    "table": "fastpath.commands.table",
    "tune": "fastpath.commands.tune",
    "compare": "fastpath.commands.compare",
    "eval": "fastpath.commands.evaluate",
    "conformance": "conformance.command_line",
    "golden": "fastpath.commands.golden",
}
"""Subcommands, and the modules that hold each as `command`; a module is imported when its command is called."""


class Commands(click.Group):
    """A group whose commands are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command


def version_text() -> str:
    """Name, version, and how the kernels run."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("ncnn-assay")
    except PackageNotFoundError:
        number = "(not installed)"
    how = f"compiled: yes, level: {kernels.level()}" if kernels.COMPILED else "compiled: no, numpy computes"
    return f"ncnn-assay {number} ({how})"


@click.command("ncnn-assay", cls=Commands)
@click.version_option(version_text(), message="%(version)s")
def command() -> None:
    """Quantize ncnn models to int8, run them, and see what was lost."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return invoke(command, argv)
