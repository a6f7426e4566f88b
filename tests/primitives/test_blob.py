"""Blobs: shapes, element types, and the way to numpy and back."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

from spec.blob import Blob, as_blob, float_blob, int8_blob, int32_blob


def test_numpy_reads_a_blob_with_its_shape_and_type() -> None:
    made = np.array(float_blob((2, 3), [1, 2, 3, 4, 5, 6]))
    assert made.dtype == np.float32
    assert made.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert np.array(int8_blob((1,), [-128])).dtype == np.int8
    assert np.array(int32_blob((1,), [70000])).tolist() == [70000]


@pytest.mark.parametrize("dtype", ["float32", "int8", "int32"])
def test_a_numpy_array_and_back(dtype: str) -> None:
    data = np.arange(24).reshape(2, 3, 4).astype(dtype)
    made = as_blob(data)
    assert made.dtype == dtype
    assert np.array_equal(np.array(made), data)


def test_wider_floats_and_lists_become_float32() -> None:
    assert as_blob(array("d", [0.1])).values == [0.10000000149011612]
    assert as_blob([[1, 2], [3, 4]]) == Blob((2, 2), "float32", [1.0, 2.0, 3.0, 4.0])


def test_a_transposed_array_is_read_in_its_own_order() -> None:
    assert as_blob(np.array([[1, 2], [3, 4]], dtype=np.int8).T).values == [1, 3, 2, 4]


def test_what_is_no_blob() -> None:
    with pytest.raises(ValueError, match="needs 6 values, not 5"):
        float_blob((2, 3), [0.0] * 5)
    with pytest.raises(ValueError, match="1 to 4 dims"):
        float_blob((), [0.0])
    with pytest.raises(ValueError, match="different lengths"):
        as_blob([[1.0], [2.0, 3.0]])
    with pytest.raises(TypeError, match="elements of format"):
        as_blob(np.zeros(3, dtype=np.uint16))


def test_floats_and_ints_are_not_mistaken_for_each_other() -> None:
    with pytest.raises(TypeError, match="float32"):
        int8_blob((1,), [1]).floats()
    with pytest.raises(TypeError, match="integer"):
        float_blob((1,), [1.0]).ints()
