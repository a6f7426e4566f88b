"""Numbers as the suite carries them: a shape, a dtype and little-endian bytes."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Dtype = Literal["float32", "int8", "int32", "uint8"]

TYPECODES: dict[str, str] = {"float32": "f", "int8": "b", "int32": "i", "uint8": "B"}
"""How `array` spells each dtype."""


@dataclass(frozen=True)
class Tensor:
    """A blob of 1 to 4 dims in numpy order; `data` is C-contiguous and little-endian."""

    shape: tuple[int, ...]
    dtype: Dtype
    data: bytes

    def __post_init__(self) -> None:
        size = math.prod(self.shape) * array(TYPECODES[self.dtype]).itemsize
        if len(self.data) != size:
            raise ValueError(f"shape {self.shape} of {self.dtype} needs {size} bytes, not {len(self.data)}")

    def values(self) -> array[Any]:
        """The numbers in C order."""
        numbers: array[Any] = array(TYPECODES[self.dtype])
        numbers.frombytes(self.data)
        return _swapped(numbers)

    def to_json(self) -> dict[str, Any]:
        """As the protocol writes it."""
        return {"shape": list(self.shape), "dtype": self.dtype, "hex": self.data.hex()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Tensor:
        """From the protocol's form; ValueError where bytes and shape do not agree."""
        return cls(tuple(data["shape"]), data["dtype"], bytes.fromhex(data["hex"]))


def tensor(shape: Sequence[int], values: Iterable[float], dtype: Dtype = "float32") -> Tensor:
    """A tensor of numbers; float32 values are rounded, halves to even.

    >>> tensor((2,), [1.0, -0.5]).data.hex()
    '0000803f000000bf'
    """
    numbers: array[Any] = array(TYPECODES[dtype], values)
    return Tensor(tuple(shape), dtype, _swapped(numbers).tobytes())


def _swapped(numbers: array[Any]) -> array[Any]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
