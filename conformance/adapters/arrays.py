"""Between tensors of the suite and numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.tensor import Tensor

DTYPES = {"float32": "<f4", "int8": "|i1", "int32": "<i4", "uint8": "|u1"}


def to_array(tensor: Tensor) -> NDArray[Any]:
    """A writable array."""
    return np.frombuffer(tensor.data, DTYPES[tensor.dtype]).reshape(tensor.shape).copy()


def from_array(array: NDArray[Any]) -> Tensor:
    """A tensor of an array whose dtype is float32, int8, int32 or uint8; TypeError for others."""
    name = array.dtype.name
    if name == "float32":
        return Tensor(array.shape, "float32", array.astype("<f4").tobytes())
    if name == "int8":
        return Tensor(array.shape, "int8", array.tobytes())
    if name == "int32":
        return Tensor(array.shape, "int32", array.astype("<i4").tobytes())
    if name == "uint8":
        return Tensor(array.shape, "uint8", array.tobytes())
    raise TypeError(f"a blob holds float32, int8, int32 or uint8, not {name}")
