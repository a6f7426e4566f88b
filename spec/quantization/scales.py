"""Where the scales of a layer come from: the calibration table, or the weights themselves."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

from spec.errors import FormatError
from spec.formats.table import Table
from spec.graph import Layer
from spec.quantization.arithmetic import Arithmetic


class MissingRowError(Exception):
    """A row that a layer needs is not in the table. `kind` says which: the scale of its input, or of its weights."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


@dataclass(frozen=True)
class ScaleSource:
    """The scales for one model. `table` is None when no table was given: then static scales come from the weights."""

    table: Table | None
    arithmetic: Arithmetic
    upstream: bool

    def bottom_scale(self, layer: Layer) -> list[float]:
        """The scale of the layer's input: one value. FormatError for a bad row.

        MissingRowError without a row, or with `inf`: the samples left the input at zero, so nothing is known of it.
        """
        scales = self._row(layer, layer.name, 1, "activation")
        if scales[0] == math.inf and not self.upstream:
            raise MissingRowError("activation", "its activation scale is infinite: every sample left its input at zero")
        return scales

    def weight_scales(self, layer: Layer, index: int, count: int) -> list[float]:
        """The `count` scales of the row NAME_param_<index>. MissingRowError without one, FormatError for a bad one."""
        return self._row(layer, f"{layer.name}_param_{index}", count, "weight")

    def static_scales(self, layer: Layer, index: int, count: int, values: array[float]) -> list[float]:
        """Scales of weights that need no calibration: from the table, or from `values` when there is no table."""
        if self.table is None:
            return self.arithmetic.static_scales(values, count)
        return self.weight_scales(layer, index, count)

    def _row(self, layer: Layer, key: str, count: int, kind: str) -> list[float]:
        if self.table is None:
            raise MissingRowError(kind, "no calibration table was given")
        rows = self.table.bottom_scales if kind == "activation" else self.table.weight_scales
        if key not in rows:
            why = "is commented out" if key in self.table.commented else "is missing"
            raise MissingRowError(kind, f"its row {key} {why} in {self.table.file}")
        scales = list(rows[key])
        if not self.upstream:
            self._check(layer, key, count, scales)
        if not scales:
            raise FormatError(
                self.table.file, f"row {key}", f"expected {count} scales for layer {layer.name}, but got none"
            )
        return scales

    def _check(self, layer: Layer, key: str, count: int, scales: list[float]) -> None:
        assert self.table is not None
        if len(scales) != count:
            raise FormatError(
                self.table.file, f"row {key}", f"layer {layer.name} needs {count} scales, but the row has {len(scales)}"
            )
        for position, scale in enumerate(scales):
            if not scale > 0.0:
                message = f"scale {position} is {scale}: layer {layer.name} needs a positive number"
                raise FormatError(self.table.file, f"row {key}", message)


def quantize_groups(
    layer: Layer, name: str, scales: list[float], source: ScaleSource, groups: int
) -> tuple[array[int], list[float]]:
    """int8 codes of the float record `name` in `groups` groups, and the scales to store with them.

    A scale of `inf` stands for a group of zeros, and is stored as 1. With `upstream` it is stored as it is, one scale
    serves all groups, and surplus scales are stored unused.
    """
    values = layer.weight(name).floats()
    if source.upstream:
        used = scales * groups if len(scales) == 1 else scales[:groups]
        if len(used) < groups:
            raise FormatError(
                source.table.file if source.table else "",
                f"row of layer {layer.name}",
                f"expected {groups} scales, but got {len(used)}: the real tool reads past the end",
            )
        return source.arithmetic.quantize(values, used, upstream=True), scales
    size = len(values) // groups
    for group, scale in enumerate(scales):
        if math.isinf(scale) and any(values[group * size : (group + 1) * size]):
            raise FormatError(
                source.table.file if source.table else "",
                f"row of layer {layer.name}",
                f"scale {group} is infinite, which stands for zero weights, but group {group} of {name} is not zero",
            )
    codes = source.arithmetic.quantize(values, scales, upstream=False)
    return codes, [1.0 if math.isinf(scale) else scale for scale in scales]
