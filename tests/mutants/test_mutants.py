"""The golden cases see through every wrong spec of the zoo."""

from __future__ import annotations

from dataclasses import replace

import pytest

from golden import vectors
from tests.mutants import page
from tests.mutants.mutation import applied, function_of
from tests.mutants.zoo import ZOO

CAUGHT_BY = page.caught_by()


def test_the_page_is_current() -> None:
    assert list(CAUGHT_BY) == list(ZOO)
    assert page.PAGE.read_text(encoding="utf-8") == page.text(CAUGHT_BY)
    assert len(ZOO) >= 50


@pytest.mark.parametrize("name", ZOO)
def test_caught_by_the_named_case(name: str) -> None:
    assert page.outcome(ZOO[name], vectors.case(CAUGHT_BY[name])) == "failed"


@pytest.mark.parametrize("case_id", sorted(set(CAUGHT_BY.values())))
def test_without_a_fault_the_case_passes(case_id: str) -> None:
    assert page.outcome(None, vectors.case(case_id)) == "passed"


@pytest.mark.parametrize("name", ZOO)
def test_the_fault_goes_away(name: str) -> None:
    function = function_of(ZOO[name].target)
    code = function.__code__
    with applied(ZOO[name]):
        assert function.__code__ is not code
        assert (
            function.__code__.co_code != code.co_code
            or function.__code__.co_consts != code.co_consts
            or (function.__code__.co_names != code.co_names or function.__code__.co_varnames != code.co_varnames)
        )
    assert function.__code__ is code


def test_words_that_are_not_there_are_an_error() -> None:
    mutant = replace(ZOO["half-up"], changes=(("no such words", ""),))
    with pytest.raises(ValueError, match="half-up: 0 times 'no such words'"), applied(mutant):
        pass
