"""The two arithmetics agree in every bit; the spec's is that of binary32."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.optimize.arithmetic import NUMPY_ARITHMETIC
from spec.optimize.arithmetic import SPEC_ARITHMETIC, Arithmetic

FLOATS = st.floats(width=32)
PAIRS = st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=30)
OPERATIONS = ("multiply", "add", "subtract", "divide")


def bits(values: array[float]) -> bytes:
    return values.tobytes()


def both(call: Callable[[Arithmetic], array[float]]) -> array[float]:
    spec, fast = call(SPEC_ARITHMETIC), call(NUMPY_ARITHMETIC)
    assert bits(spec) == bits(fast)
    return spec


@pytest.mark.parametrize("name", OPERATIONS)
@given(pairs=PAIRS)
def test_operations_agree(name: str, pairs: list[tuple[float, float]]) -> None:
    left, right = (array("f", side) for side in zip(*pairs, strict=True))
    both(lambda arithmetic: getattr(arithmetic, name)(left, right))


@given(st.lists(FLOATS, min_size=1, max_size=30))
def test_square_roots_agree(values: list[float]) -> None:
    both(lambda arithmetic: arithmetic.square_root(array("f", values)))


@given(st.data())
def test_rows_agree(data: st.DataObject) -> None:
    rows, length = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 7))
    values = array("f", data.draw(st.lists(FLOATS, min_size=rows * length, max_size=rows * length)))
    factors = array("f", data.draw(st.lists(FLOATS, min_size=rows, max_size=rows)))

    def multiplied(arithmetic: Arithmetic) -> array[float]:
        copy = array("f", values)
        arithmetic.multiply_rows(copy, factors)
        return copy

    both(multiplied)


@given(st.lists(st.integers(0, 2**16 - 1), max_size=40))
def test_widening_agrees(patterns: list[int]) -> None:
    finite = [pattern for pattern in patterns if pattern & 0x7C00 != 0x7C00]
    both(lambda arithmetic: arithmetic.widen(array("H", finite)))


@pytest.mark.parametrize("arithmetic", [SPEC_ARITHMETIC, NUMPY_ARITHMETIC], ids=["spec", "fastpath"])
def test_known_values(arithmetic: Arithmetic) -> None:
    third = arithmetic.divide(array("f", [1.0]), array("f", [3.0]))
    assert third.tobytes() == bytes.fromhex("abaaaa3e")
    assert arithmetic.square_root(array("f", [2.0])).tobytes() == bytes.fromhex("f304b53f")
    odd = arithmetic.divide(array("f", [1.0, -1.0, 0.0]), array("f", [0.0, 0.0, 0.0]))
    assert odd.tolist()[:2] == [math.inf, -math.inf]
    assert odd.tobytes()[8:] == bytes.fromhex("0000c0ff")
    assert arithmetic.add(array("f", [3e38]), array("f", [3e38])).tolist() == [math.inf]
    assert arithmetic.widen(array("H", [1])).tolist() == [2.0**-24]


def test_products_are_rounded_before_they_are_added() -> None:
    """A fused multiply-add would keep the last bits of the product."""
    value = array("f", [1.0 + 2.0**-12])
    product = both(lambda arithmetic: arithmetic.multiply(value, value))
    rest = both(lambda arithmetic: arithmetic.subtract(product, array("f", [1.0 + 2.0**-11])))
    assert rest.tolist() == [0.0]
