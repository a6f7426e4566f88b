"""Hard swish by a clipped line where that is the same, and by choosing where it is not: as the spec computes it."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from fastpath.layers.activation import HardSwish
from fastpath.rounding import quantize
from spec.layers.activation import HARD_SWISH, activate

NEIGHBOURS = 5
"""Numbers on either side of an end of the line."""

SCALE = np.float32(37.5)
INFINITY = np.float32(np.inf)


def around(end: np.float32) -> list[np.float32]:
    """A number and its neighbours."""
    numbers = [end]
    for _ in range(NEIGHBOURS):
        numbers = [
            np.nextafter(numbers[0], np.float32(-np.inf)),
            *numbers,
            np.nextafter(numbers[-1], np.float32(np.inf)),
        ]
    return numbers


def arguments(swish: HardSwish) -> np.ndarray:
    """Numbers around both ends, both zeros, and a few others."""
    others = np.linspace(-9, 9, 41, dtype=np.float32)
    return np.array([*around(swish.lower), *around(swish.upper), 0.0, -0.0, 1e-30, -1e-30, *others], np.float32)


@given(
    alpha=st.floats(0.015625, 4, width=32) | st.floats(-4, -0.015625, width=32),
    beta=st.floats(-4, 4, width=32),
)
@example(alpha=float(np.float32(1 / 6)), beta=0.5)
@example(alpha=float(np.float32(0.1666667)), beta=0.5)
@example(alpha=float(np.float32(0.2)), beta=0.5)
def test_hard_swish_is_that_of_the_spec(alpha: float, beta: float) -> None:
    swish = HardSwish(np.float32(alpha), np.float32(beta))
    values = arguments(swish)
    expected = np.array(activate(values.tolist(), HARD_SWISH, [alpha, beta]), np.float32)
    exact = values.copy()
    swish(exact)
    assert exact.tobytes() == expected.tobytes()
    table = np.stack([values, values[::-1]])
    for view in (table.copy(), table.T.copy().T, np.pad(table, 1)[1:-1, 1:-1], table[:, np.newaxis].copy()):
        swish(view)
        assert view.reshape(2, -1)[0].tobytes() == expected.tobytes()
    loose = values.copy()
    swish.but_for_signs(loose)
    assert np.array_equal(loose, expected)
    assert np.array_equal(quantize(loose, SCALE), quantize(expected, SCALE))


def test_the_usual_numbers_take_the_clipped_line() -> None:
    assert HardSwish(np.float32(0.1666667), np.float32(0.5)).clips
    assert not HardSwish(np.float32(-0.5), np.float32(0.5)).clips
