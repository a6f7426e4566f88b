"""The errors that ncnn-assay raises: each says where it happened and what was expected instead."""

from __future__ import annotations


class AssayError(Exception):
    """Any error of this project that a user can cause."""


class FormatError(AssayError):
    """A file does not follow its format.

    `file` names it as the caller did; `place` is a line, a byte offset or a layer, in words ("line 3", "byte 1024").
    """

    def __init__(self, file: str, place: str, message: str) -> None:
        super().__init__(f"{file}: {place}: {message}" if place else f"{file}: {message}")
        self.file = file
        self.place = place
        self.message = message


class GraphError(AssayError):
    """A network is wired or parametrised in a way that cannot run. `layer` names the layer."""

    def __init__(self, layer: str, message: str) -> None:
        super().__init__(f"layer {layer}: {message}" if layer else message)
        self.layer = layer
        self.message = message


class UnsupportedError(GraphError):
    """A network asks for something that this project knows of and does not do."""


class CalibrationError(AssayError):
    """Calibration cannot go on. `sample` names the sample, `layer` the layer, each where there is one."""

    def __init__(self, message: str, *, sample: str = "", layer: str = "") -> None:
        where = ": ".join(part for part in (sample, f"layer {layer}" if layer else "") if part)
        super().__init__(f"{where}: {message}" if where else message)
        self.sample = sample
        self.layer = layer
        self.message = message


class UsageError(AssayError):
    """A command was called with arguments that it cannot use."""


class FormatWarning(UserWarning):
    """Something in a file that is readable, but that another reader would take differently or drop."""
