"""What all commands share: how they are called, how they report, how they fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from spec.errors import AssayError

ENGINES = ("fastpath", "spec")
"""Who does the work: the compiled fast path, or the readable spec."""

_F = TypeVar("_F", bound=Callable[..., Any])


def report(line: str) -> None:
    """Print a line on stderr, as the C++ tools do with all their messages."""
    print(line, file=sys.stderr, flush=True)


def engine_option(function: _F) -> _F:
    """Add `--engine`."""
    return click.option(
        "--engine", type=click.Choice(ENGINES), default="fastpath", help="Who computes: fastpath (default) or spec."
    )(function)


def upstream_option(function: _F) -> _F:
    """Add `--upstream`."""
    return click.option(
        "--upstream", is_flag=True, help="Make the real tool's choices, faults included, for comparison."
    )(function)


def invoke(command: click.Command, argv: Sequence[str] | None) -> int:
    """Run `command` on `argv` (default: the process arguments) and return its exit status.

    `engine=NAME` is accepted for `--engine NAME`, in the manner of the C++ tools. Errors of this project and of the
    command line become one message on stderr and status 1 or 2.
    """
    arguments = [_dashed(argument) for argument in (sys.argv[1:] if argv is None else argv)]
    try:
        result = command.main(args=arguments, standalone_mode=False)
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        report("interrupted")
        return 130
    except AssayError as error:
        report(f"error: {error}")
        return 1
    return result if isinstance(result, int) else 0


def _dashed(argument: str) -> str:
    return f"--{argument}" if argument.startswith("engine=") else argument
