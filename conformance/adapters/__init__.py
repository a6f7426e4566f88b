"""How the suite reaches each implementation."""

from __future__ import annotations

from importlib import import_module

from conformance.adapter import Adapter, AdapterBroken, Rounding

IN_PROCESS = ("spec", "fastpath", "wheel", "wheel-plain", "onnxruntime")
"""Adapters that need no argument."""


def open_adapter(
    name: str,
    command: list[str] | None = None,
    *,
    rounding: Rounding = "other",
    layers: tuple[str, ...] = ("RNN", "LSTM", "GRU"),
    timeout: float = 60.0,
    validating: bool = False,
) -> Adapter:
    """An adapter: one of `IN_PROCESS`, `package.module:factory`, or `subprocess` or `file` with a command.

    A program that only reads files cannot say what it claims: `rounding` and `layers` say it. A program has `timeout`
    seconds for a case; `validating` holds every message of both directions against its schema. AdapterBroken for an
    adapter that does not exist or cannot be used here.
    """
    if ":" in name:
        return _foreign(name)
    if name in ("subprocess", "file"):
        if not command:
            raise AdapterBroken(f"the {name} adapter needs the command of the program, after --")
        if name == "subprocess":
            from conformance.adapters.subprocess_adapter import SubprocessAdapter

            return SubprocessAdapter(command, timeout=timeout, validating=validating)
        from conformance.adapters.file_adapter import FileAdapter

        return FileAdapter(command, rounding=rounding, layers=layers, timeout=timeout)
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
        if name == "onnxruntime":
            from conformance.adapters.onnxruntime_adapter import OnnxRuntimeAdapter

            return OnnxRuntimeAdapter()
    except ImportError as error:
        raise AdapterBroken(f"the {name} adapter cannot be used: {error}") from error
    raise AdapterBroken(f"there is no adapter {name!r}; there are {', '.join((*IN_PROCESS, 'subprocess', 'file'))}")


def _foreign(name: str) -> Adapter:
    """Somebody else's adapter, made by calling what `package.module:factory` names."""
    module, _, factory = name.partition(":")
    try:
        adapter = getattr(import_module(module), factory)()
    except (ImportError, AttributeError) as error:
        raise AdapterBroken(f"the adapter {name} cannot be used: {error}") from error
    if not isinstance(adapter, Adapter):
        raise AdapterBroken(f"{name} makes no adapter: it needs identity, run and close")
    return adapter
