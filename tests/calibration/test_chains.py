"""Sums in whole units are the sums one after the other, ties and changes of exponent included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastpath.calibration.chains import SIDE_BY_SIDE, Terms, last_sums, run_of, total_of
from fastpath.calibration.compiled_chains import CompiledTerms, terms_of
from tests.kernels.levels import every_compiled_level, forced

Floats = NDArray[np.float32]


def one_by_one(start: float, terms: Floats) -> np.float32:
    result = np.float32(start)
    for term in terms:
        result = result + term
    return result


@st.composite
def sequences(draw: st.DrawFn) -> tuple[Floats, Floats]:
    """Terms, and sums to begin with: many ties, many signs, large and tiny numbers."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(1, 1500))
    kind = draw(st.sampled_from(["squares", "signed", "eighths", "quarters", "tiny", "binary"]))
    if kind == "squares":
        terms = np.square(random.normal(size=size))
    elif kind == "signed":
        terms = random.normal(size=size)
    elif kind == "eighths":
        terms = random.integers(0, 9, size) / 8
    elif kind == "quarters":
        terms = random.integers(-9, 9, size) / 4
    elif kind == "tiny":
        terms = random.normal(size=size) * 1e-38
    else:
        terms = random.integers(0, 65, size) * 2.0 ** -draw(st.integers(0, 12))
    sums = random.normal(size=SIDE_BY_SIDE) * 10.0 ** draw(st.integers(-3, 6))
    if draw(st.booleans()):
        sums = np.abs(sums[0]) * (1 + random.random(SIDE_BY_SIDE) * 1e-3)
    if draw(st.booleans()):
        sums = np.round(sums * 8) / 8
    return terms.astype(np.float32), sums.astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(sequences(), st.integers(1, 700), st.data())
def test_sums_go_on_from_anywhere(sequence: tuple[Floats, Floats], period: int, data: st.DataObject) -> None:
    terms, sums = sequence
    assert_goes_on(Terms(terms, period), terms, sums, data)


@every_compiled_level()
@settings(max_examples=40, deadline=None)
@given(sequence=sequences(), data=st.data())
def test_sums_go_on_by_kernels(level: str, sequence: tuple[Floats, Floats], data: st.DataObject) -> None:
    terms, sums = sequence
    with forced(level):
        assert_goes_on(CompiledTerms(terms), terms, sums, data)


def assert_goes_on(chain: Terms | CompiledTerms, terms: Floats, sums: Floats, data: st.DataObject) -> None:
    """From a few places on, the terms are added as one by one."""
    with np.errstate(all="ignore"):
        for _ in range(2):
            start = data.draw(st.integers(0, len(terms)))
            expected = [one_by_one(value, terms[start:]) for value in sums]
            assert chain.add(sums, start).tolist() == expected


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_columns_are_added_row_after_row(rows: int, columns: int, seed: int) -> None:
    numbers = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    assert last_sums(numbers).tolist() == [one_by_one(0.0, column) for column in numbers.T]
    assert total_of(numbers[:, 0], np.float32(0.3)) == one_by_one(0.3, numbers[:, 0])


def test_a_tie_by_hand() -> None:
    """In units of 1, 2.5 makes 4 of an even 2 and of an odd 1; the second tie begins even: 4 + 0.5 stays 4."""
    run = run_of(np.array([2.5, 0.5], np.float32), 1.0)
    assert run.offsets == (2.0, 3.0)
    assert (run.low, run.high) == (2.0, 3.0)


@pytest.mark.parametrize("value", [np.inf, np.nan, 0.0, 1e-42])
def test_sums_without_units_are_added_one_by_one(value: float) -> None:
    terms = np.ones(300, np.float32)
    sums = np.full(SIDE_BY_SIDE, value, np.float32)
    with np.errstate(all="ignore"):
        result = Terms(terms, 300).add(sums, 0)
    np.testing.assert_array_equal(result, np.full(SIDE_BY_SIDE, one_by_one(value, terms)))


@every_compiled_level()
def test_long_sequences_are_added_run_by_run(level: str) -> None:
    random = np.random.default_rng(5)
    terms = np.square(random.normal(size=10_000)).astype(np.float32)
    sums = (1000 + random.random(100)).astype(np.float32)
    with forced(level):
        chain = terms_of(terms, 100)
        assert isinstance(chain, CompiledTerms)
        assert chain.add(sums, 77).tolist() == [one_by_one(value, terms[77:]) for value in sums]


def test_terms_that_overflow_stay_with_numpy() -> None:
    for terms in (np.full(200, 1e38, np.float32), np.array([np.nan, 1.0], np.float32)):
        assert isinstance(terms_of(terms, 10), Terms)
