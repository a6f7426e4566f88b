"""Whole networks at every level in turn, against the same network in numpy alone, whose int8 products go through BLAS.

`python -m tests.kernels.every_level` runs the tests of plans at every level, too.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from fastpath import Net, kernels
from fastpath.cpu_level import INTERPRETED
from fastpath.layers.common import Array
from tests.kernels.levels import LEVELS, every_compiled_level, forced, summary, why_not
from tests.models import DIGITS, model_folder

NETWORKS = (*DIGITS, "mtcnn-rnet", "fastestdet", "ppocr-rec-lstm", "squeezenet_v1.1")


def outputs(name: str, level: str) -> list[Array]:
    """What an int8 network makes of its first input, the second time, when it has a plan."""
    folder = model_folder(name)
    inputs = {path.stem.removeprefix("input-0-"): np.load(path) for path in folder.glob("input-0-*.npy")}
    with forced(level):
        net = Net()
        net.load_param(folder / "int8-kl.param")
        net.load_model(folder / "int8-kl.bin")
        net.infer(inputs)
        return list(net.infer(inputs).values())


@cache
def by_numpy(name: str) -> list[Array]:
    return outputs(name, INTERPRETED)


@every_compiled_level()
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_the_same_bits(name: str, level: str) -> None:
    found = outputs(name, level)
    assert [blob.tobytes() for blob in found] == [blob.tobytes() for blob in by_numpy(name)]


def test_a_forced_level_is_used_for_long_and_short_sums() -> None:
    for level in LEVELS:
        if not why_not(level):
            with forced(level):
                assert kernels.level() == kernels.wide().name == kernels.narrow().name == level


def test_the_summary_names_every_level() -> None:
    assert all(level in summary() for level in LEVELS)
