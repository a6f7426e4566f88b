"""How the suite reaches each implementation."""

from __future__ import annotations

from conformance.adapter import Adapter, AdapterBroken

IN_PROCESS = ("spec", "fastpath", "wheel", "wheel-plain")
"""Adapters that need no argument."""


def open_adapter(name: str, command: list[str] | None = None) -> Adapter:
    """An adapter by name: one of `IN_PROCESS`, or `subprocess` or `file` with a command. AdapterBroken otherwise."""
    if name in ("subprocess", "file"):
        if not command:
            raise AdapterBroken(f"the {name} adapter needs the command of the program, after --")
        if name == "subprocess":
            from conformance.adapters.subprocess_adapter import SubprocessAdapter

            return SubprocessAdapter(command)
        from conformance.adapters.file_adapter import FileAdapter

        return FileAdapter(command)
    try:
        if name == "spec":
            from conformance.adapters.spec_adapter import SpecAdapter

            return SpecAdapter()
        if name == "fastpath":
            from conformance.adapters.fastpath_adapter import FastpathAdapter

            return FastpathAdapter()
        if name in ("wheel", "wheel-plain"):
            from conformance.adapters.wheel_adapter import WheelAdapter

            return WheelAdapter(plain=name == "wheel-plain")
    except ImportError as error:
        raise AdapterBroken(f"the {name} adapter cannot be used: {error}") from error
    raise AdapterBroken(f"there is no adapter {name!r}; there are {', '.join((*IN_PROCESS, 'subprocess', 'file'))}")
