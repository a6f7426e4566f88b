"""The readable engine and the fast one give the same bits on whole int8 networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastpath.commands.engines import open_engine
from tests.models import DIGITS, model_folder


def int8_outputs(engine: str, folder: Path) -> dict[str, np.ndarray]:
    net = open_engine(engine, str(folder / "int8-kl.param"), str(folder / "int8-kl.bin"))
    feeds = {name: np.load(folder / f"input-0-{name}.npy") for name in net.input_names()}
    return net.run(feeds, net.output_names())


@pytest.mark.parametrize("name", (*DIGITS, "rfb320"))
def test_int8_outputs_are_equal_bit_for_bit(name: str) -> None:
    folder = model_folder(name)
    by_spec, by_fastpath = int8_outputs("spec", folder), int8_outputs("fastpath", folder)
    assert by_spec.keys() == by_fastpath.keys()
    for blob, values in by_spec.items():
        np.testing.assert_array_equal(by_fastpath[blob].view(np.int32), values.view(np.int32), err_msg=blob)
