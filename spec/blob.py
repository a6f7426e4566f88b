"""A blob: the array that flows between layers."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from spec.graph import Shape

Dtype = Literal["float32", "int8", "int32"]

_TYPECODES: dict[Dtype, str] = {"float32": "f", "int8": "b", "int32": "i"}
_TYPESTRS: dict[Dtype, str] = {"float32": "<f4", "int8": "|i1", "int32": "<i4"}


@dataclass(frozen=True)
class Blob:
    """Values in C order with a shape of 1 to 4 dims in numpy order: (w,), (h, w), (c, h, w) or (c, d, h, w).

    float32 blobs hold Python floats that are binary32 numbers, int8 and int32 blobs hold ints. `numpy.array(blob)`
    and `memoryview(blob.array())` give the numbers to other libraries; `tolist()` gives nested lists.
    """

    shape: Shape
    dtype: Dtype
    values: list[float] | list[int]

    def __post_init__(self) -> None:
        if not 1 <= len(self.shape) <= 4:
            raise ValueError(f"a blob has 1 to 4 dims, not shape {self.shape}")
        if math.prod(self.shape) != len(self.values):
            raise ValueError(f"shape {self.shape} needs {math.prod(self.shape)} values, not {len(self.values)}")

    def array(self) -> array[Any]:
        """The values as a contiguous array of the blob's dtype."""
        return array(_TYPECODES[self.dtype], self.values)

    @property
    def __array_interface__(self) -> dict[str, object]:
        """How numpy reads a blob, without the spec importing numpy."""
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": _TYPESTRS[self.dtype],
            "data": self.array().tobytes(),
        }

    def tolist(self) -> list[Any]:
        """Nested lists, outermost axis first."""
        return _nest(self.values, self.shape)

    def reshaped(self, shape: Shape) -> Blob:
        """The same values in C order with another shape."""
        return Blob(shape, self.dtype, self.values)

    def floats(self) -> list[float]:
        """The values of a float32 blob; TypeError for integers, which float layers cannot read."""
        if self.dtype != "float32":
            raise TypeError(f"expected a float32 blob, but got {self.dtype}")
        return self.values  # type: ignore[return-value]

    def ints(self) -> list[int]:
        """The values of an int8 or int32 blob; TypeError for floats."""
        if self.dtype == "float32":
            raise TypeError("expected an integer blob, but got float32")
        return self.values  # type: ignore[return-value]


def float_blob(shape: Shape, values: Sequence[float]) -> Blob:
    """A float32 blob; values are rounded to binary32."""
    return Blob(shape, "float32", array("f", values).tolist())


def int8_blob(shape: Shape, values: Sequence[int]) -> Blob:
    """An int8 blob."""
    return Blob(shape, "int8", list(values))


def int32_blob(shape: Shape, values: Sequence[int]) -> Blob:
    """An int32 blob."""
    return Blob(shape, "int32", list(values))


def as_blob(data: object) -> Blob:
    """A blob from a Blob, nested lists of numbers, or anything with the buffer protocol (arrays of numpy, say).

    Floats become float32, also from wider types; int8 and int32 buffers keep their type; lists of ints become float32.
    """
    if isinstance(data, Blob):
        return data
    if isinstance(data, (list, tuple)):
        shape, flat = _flatten(data)
        return float_blob(shape, flat)
    view = memoryview(data)  # type: ignore[arg-type]
    flat_list = array(view.format or "B", view.tobytes()).tolist()
    shape = tuple(view.shape or ())
    if view.format in ("f", "d"):
        return float_blob(shape, flat_list)
    if view.format == "b":
        return Blob(shape, "int8", flat_list)
    if view.format in ("i", "l", "q"):
        return Blob(shape, "int32", flat_list)
    raise TypeError(f"a blob holds float32, int8 or int32, not elements of format {view.format!r}")


def _nest(values: Sequence[Any], shape: Shape) -> list[Any]:
    if len(shape) == 1:
        return list(values)
    step = math.prod(shape[1:])
    return [_nest(values[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]


def _flatten(data: Sequence[Any]) -> tuple[Shape, list[float]]:
    if not data or not isinstance(data[0], (list, tuple)):
        return (len(data),), [float(item) for item in data]
    rows = [_flatten(row) for row in data]
    if any(shape != rows[0][0] for shape, _ in rows):
        raise ValueError("rows of different lengths do not make a blob")
    return (len(data), *rows[0][0]), [item for _, flat in rows for item in flat]
