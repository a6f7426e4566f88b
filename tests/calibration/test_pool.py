"""Room for arrays that stay: arrays that live are never given again, memory of dead ones is."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastpath.calibration.pool import CHUNK, Pool

SIZES = st.sampled_from([0, 1, 1000, CHUNK // 3, CHUNK, CHUNK + 1])


def kept(pool: Pool, size: int, value: float) -> NDArray[np.float32]:
    """An array of this value: twice as much room is asked for as is needed."""
    pool.room(2 * size).fill(value)
    return pool.keep(size)


@given(st.lists(st.tuples(SIZES, st.booleans()), max_size=12))
def test_arrays_that_live_stay_as_they_are(wanted: list[tuple[int, bool]]) -> None:
    pool = Pool()
    living = {}
    for number, (size, lives) in enumerate(wanted):
        array = kept(pool, size, number)
        assert array.size == size
        if lives:
            living[number] = array
        del array
    assert all((array == number).all() for number, array in living.items())


def test_memory_behind_the_living_is_used_again() -> None:
    pool = Pool()
    first = kept(pool, 10, 1)
    second = kept(pool, 10, 2)
    place = second.ctypes.data
    del second
    third = kept(pool, 20, 3)
    assert third.ctypes.data == place
    assert (first == 1).all()


def test_memory_that_is_given_back_leaves_the_living_alone() -> None:
    pool = Pool()
    first = kept(pool, 10, 1)
    place = first.ctypes.data
    pool.give_back()
    second = kept(pool, 10, 2)
    assert abs(second.ctypes.data - place) >= first.nbytes
    assert (first == 1).all()


def test_the_room_given_last_can_be_written_until_it_is_kept() -> None:
    pool = Pool()
    room = pool.room(5)
    room[:] = np.arange(5)
    assert pool.keep(3).tolist() == [0, 1, 2]
