"""Every float layer of the spec against the ncnn wheel, on small shapes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layers_float.cases import CASES
from tests.layers_float.runtime import assert_agree

pytest.importorskip("ncnn", reason="the ncnn wheel is not installed")


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_spec_agrees_with_the_wheel(name: str, data: st.DataObject) -> None:
    strategy, agreement = CASES[name]
    assert_agree(data.draw(strategy), agreement)
